#include "bridge/command/command_id.hpp"

namespace spoke::bridge {
namespace {

constexpr std::string_view kPrefix = "c_";
constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::size_t kDigitCount = 26;  // 130 bits, of which the first two are always 0

std::optional<unsigned> digit_value(char c) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    auto at = kDigits.find(c);
    if (at == std::string_view::npos) return std::nullopt;
    return static_cast<unsigned>(at);
}

}  // namespace

CommandId CommandId::make(WallTime now, std::function<std::uint64_t()> const& random) {
    std::array<std::byte, kSize> raw{};
    auto ms = static_cast<std::uint64_t>(now.time_since_epoch().count());
    for (std::size_t i = 0; i < 6; ++i) raw[i] = static_cast<std::byte>(ms >> (40 - 8 * i));
    auto high = random();
    auto low = random();
    for (std::size_t i = 0; i < 2; ++i) raw[6 + i] = static_cast<std::byte>(high >> (8 * i));
    for (std::size_t i = 0; i < 8; ++i) raw[8 + i] = static_cast<std::byte>(low >> (8 * i));
    return CommandId{raw};
}

std::optional<CommandId> CommandId::parse(std::string_view text) {
    if (text.size() != kPrefix.size() + kDigitCount || !text.starts_with(kPrefix)) {
        return std::nullopt;
    }
    std::array<std::byte, kSize> raw{};
    unsigned pending = 0;  // bits read and not yet stored
    unsigned pending_bits = 0;
    std::size_t at = 0;
    for (char c : text.substr(kPrefix.size())) {
        auto digit = digit_value(c);
        if (!digit) return std::nullopt;
        if (at == 0 && pending_bits == 0 && *digit > 7) return std::nullopt;  // above 128 bits
        pending = (pending << 5 | *digit) & 0xFFF;
        // The first digit holds three bits only.
        pending_bits += at == 0 && pending_bits == 0 ? 3 : 5;
        if (pending_bits >= 8) {
            pending_bits -= 8;
            raw[at++] = static_cast<std::byte>(pending >> pending_bits);
        }
    }
    return CommandId{raw};
}

std::string CommandId::text() const {
    std::string out{kPrefix};
    out.reserve(kPrefix.size() + kDigitCount);
    unsigned pending = 0;
    unsigned pending_bits = 2;  // two zero bits in front make 130 of 128
    for (auto byte : raw_) {
        pending = (pending << 8 | std::to_integer<unsigned>(byte)) & 0xFFFF;
        pending_bits += 8;
        while (pending_bits >= 5) {
            pending_bits -= 5;
            out += kDigits[pending >> pending_bits & 31];
        }
    }
    return out;
}

}  // namespace spoke::bridge
