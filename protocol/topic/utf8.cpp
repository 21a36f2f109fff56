#include "protocol/topic/utf8.hpp"

#include "protocol/topic/ascii_words.hpp"

namespace spoke::mqtt {
namespace {

constexpr bool is_continuation(unsigned char byte) noexcept {
    return (byte & 0xC0) == 0x80;
}

/// Bytes of the character that starts `text`; 0 if it is none, or U+0000.
/// The ranges are those of Unicode 15, table 3-7: they leave no room for over-long forms,
/// surrogates and anything above U+10FFFF.
std::size_t character_size(std::string_view text) noexcept {
    auto byte = [text](std::size_t at) { return static_cast<unsigned char>(text[at]); };
    auto first = byte(0);
    if (first < 0x80) return first == 0 ? 0 : 1;  // [MQTT-1.5.4-2]
    if (first < 0xC2) return 0;
    auto size = first < 0xE0 ? std::size_t{2} : first < 0xF0 ? std::size_t{3} : std::size_t{4};
    if (first > 0xF4 || text.size() < size) return 0;
    auto second = byte(1);
    auto low = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
    auto high = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;  // [MQTT-1.5.4-1]
    if (second < low || second > high) return 0;
    for (std::size_t at = 2; at < size; ++at) {
        if (!is_continuation(byte(at))) return 0;
    }
    return size;
}

bool is_valid_beyond_ascii(std::string_view text) noexcept {
    while (!text.empty()) {
        if (text.size() >= sizeof(AsciiWord)) {
            auto flags = nul_or_high(load<AsciiWord>(text.data()));
            text.remove_prefix(flags == 0 ? sizeof(AsciiWord) : good_bytes(flags));
            if (flags == 0) continue;
        }
        auto size = character_size(text);
        if (size == 0) return false;
        text.remove_prefix(size);
    }
    return true;
}

}  // namespace

bool is_valid_utf8(std::string_view text) noexcept {
    return every_word_passes<nul_or_high>(text) || is_valid_beyond_ascii(text);
}

}  // namespace spoke::mqtt
