#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace spoke::mqtt {

/// Eight characters of a string in one word, so that a check costs one step for eight of them.
/// The order of the bytes does not matter to any check here.
using AsciiWord = std::uint64_t;

inline constexpr AsciiWord kEveryByteOne = 0x0101'0101'0101'0101;
inline constexpr AsciiWord kEveryByteHighBit = 0x8080'8080'8080'8080;

[[nodiscard]] inline AsciiWord load_word(char const* from) noexcept {
    AsciiWord word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// Up to seven characters, padded with a harmless one ('x': neither NUL nor a wildcard).
[[nodiscard]] inline AsciiWord load_tail(char const* from, std::size_t size) noexcept {
    AsciiWord word = kEveryByteOne * 'x';
    std::memcpy(&word, from, size);
    return word;
}

/// Bits that are set if a byte is NUL or not ASCII. Exact as a yes or no, not about which byte.
[[nodiscard]] constexpr AsciiWord nul_or_high(AsciiWord word) noexcept {
    return (word | (word - kEveryByteOne)) & kEveryByteHighBit;
}

/// Bits that are set if a byte is `character`, for words of ASCII bytes.
[[nodiscard]] constexpr AsciiWord holds(AsciiWord word, char character) noexcept {
    return ((word ^ (kEveryByteOne * static_cast<unsigned char>(character))) - kEveryByteOne) &
           kEveryByteHighBit;
}

/// Whether `check` gives 0 for every word of `text`. Words may overlap.
template <class Check>
[[nodiscard]] bool every_word_passes(std::string_view text, Check check) noexcept {
    auto const* at = text.data();
    auto size = text.size();
    if (size < sizeof(AsciiWord)) return check(load_tail(at, size)) == 0;
    auto const* last = at + size - sizeof(AsciiWord);
    for (; at < last; at += sizeof(AsciiWord)) {
        if (check(load_word(at)) != 0) return false;
    }
    return check(load_word(last)) == 0;
}

}  // namespace spoke::mqtt
