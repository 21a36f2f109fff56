#include "protocol/base/base64.hpp"

#include <cstdint>

namespace spoke {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Takes up to three bytes into the high bits of 24.
std::uint32_t group_of(std::string_view bytes) noexcept {
    std::uint32_t group = 0;
    for (std::size_t at = 0; at < 3; ++at) {
        group <<= 8;
        if (at < bytes.size()) group |= static_cast<unsigned char>(bytes[at]);
    }
    return group;
}

}  // namespace

std::string to_base64(std::string_view bytes, Base64Padding padding) {
    std::string text;
    text.reserve((bytes.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        auto part = bytes.substr(at, 3);
        auto group = group_of(part);
        for (std::size_t digit = 0; digit <= part.size(); ++digit)
            text += kAlphabet[group >> (18 - 6 * digit) & 0x3F];
        if (padding == Base64Padding::with) text.append(3 - part.size(), '=');
    }
    return text;
}

std::optional<std::string> from_base64(std::string_view text, Base64Padding padding) {
    auto digits = text;
    if (padding == Base64Padding::with) digits = text.substr(0, text.find('='));
    std::string bytes;
    bytes.reserve(digits.size() / 4 * 3 + 2);
    std::uint32_t group = 0;
    unsigned bits = 0;
    for (char digit : digits) {
        auto value = kAlphabet.find(digit);
        if (value == std::string_view::npos) return std::nullopt;
        group = group << 6 | static_cast<std::uint32_t>(value);
        bits += 6;
        if (bits < 8) continue;
        bits -= 8;
        bytes += static_cast<char>(group >> bits & 0xFF);
    }
    // Padding that is wrong, a lone digit, bits left over: all that another text would say as well.
    if (to_base64(bytes, padding) != text) return std::nullopt;
    return bytes;
}

}  // namespace spoke
