#include "protocol/base/utf8_character.hpp"

namespace spoke {
namespace {

/// The shortest form's first code point, by bytes.
constexpr std::uint32_t kFirstCode[] = {0, 0, 0x80, 0x800, 0x1'0000};

}  // namespace

Utf8Character first_character(std::string_view text) noexcept {
    auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    auto first = byte(0);
    if (first < 0x80) return {first, 1};
    auto size = first >= 0xF0 ? std::size_t{4} : first >= 0xE0 ? std::size_t{3} : std::size_t{2};
    if (first < 0xC2 || first > 0xF4 || text.size() < size) return {};
    std::uint32_t code = first & (0x7FU >> size);
    for (std::size_t at = 1; at < size; ++at) {
        if ((byte(at) & 0xC0) != 0x80) return {};
        code = code << 6 | (byte(at) & 0x3FU);
    }
    auto is_surrogate = code >= 0xD800 && code <= 0xDFFF;
    if (code < kFirstCode[size] || is_surrogate || code > 0x10'FFFF) return {};
    return {code, size};
}

}  // namespace spoke
