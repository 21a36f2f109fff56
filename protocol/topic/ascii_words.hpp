#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spoke::mqtt {

/// Eight characters of a string in one word, so that a check costs one step for eight of them.
using AsciiWord = std::uint64_t;

inline constexpr AsciiWord kEveryByteOne = 0x0101'0101'0101'0101;
inline constexpr AsciiWord kEveryByteHighBit = 0x8080'8080'8080'8080;

[[nodiscard]] constexpr AsciiWord every_byte(unsigned char byte) noexcept {
    return kEveryByteOne * byte;
}

template <class Word>
[[nodiscard]] Word load(char const* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// One to seven characters as a word, some of them perhaps twice: enough to ask whether all are
/// good.
[[nodiscard]] inline AsciiWord load_short(std::string_view text) noexcept {
    auto const* first = text.data();
    auto size = text.size();
    if (size >= 4) {
        auto high = AsciiWord{load<std::uint32_t>(first)} << 32;
        return high | load<std::uint32_t>(first + size - 4);
    }
    auto byte = [first](std::size_t at) {
        return AsciiWord{static_cast<unsigned char>(first[at])};
    };
    auto three = byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
    return three << 24 | three | byte(0) << 48 | byte(0) << 56;
}

/// Bits that are set if a byte is NUL or not ASCII. The lowest of them is in the first such byte.
[[nodiscard]] constexpr AsciiWord nul_or_high(AsciiWord word) noexcept {
    return (word | (word - kEveryByteOne)) & kEveryByteHighBit;
}

/// Zero in each byte that is '+' or '#', which differ in one bit.
[[nodiscard]] constexpr AsciiWord zero_at_wildcards(AsciiWord word) noexcept {
    static_assert(('+' ^ '#') == 0x08);
    return (word | every_byte('+' ^ '#')) ^ every_byte('+');
}

/// Bits that are set if a byte is a wildcard. Exact as a yes or no, for any bytes.
[[nodiscard]] constexpr AsciiWord holds_wildcard(AsciiWord word) noexcept {
    auto zero = zero_at_wildcards(word);
    return (zero - kEveryByteOne) & ~zero & kEveryByteHighBit;
}

/// Bits that are set if a byte is NUL, not ASCII, or a wildcard. Exact as a yes or no.
[[nodiscard]] constexpr AsciiWord no_plain_topic(AsciiWord word) noexcept {
    auto wildcard = zero_at_wildcards(word) - kEveryByteOne;
    return (word | (word - kEveryByteOne) | wildcard) & kEveryByteHighBit;
}

/// Whether `check` gives 0 for every word of `text`. Words may overlap.
template <AsciiWord (*check)(AsciiWord) noexcept>
[[nodiscard]] bool every_word_passes(std::string_view text) noexcept {
    auto const* at = text.data();
    auto size = text.size();
    if (size < sizeof(AsciiWord)) return size == 0 || check(load_short(text)) == 0;
    auto const* last = at + size - sizeof(AsciiWord);
    auto failed = check(load<AsciiWord>(last));
    for (; at < last; at += sizeof(AsciiWord)) failed |= check(load<AsciiWord>(at));
    return failed == 0;
}

/// How many bytes stand before the first that set a bit of `flags`, of nul_or_high().
[[nodiscard]] constexpr std::size_t good_bytes(AsciiWord flags) noexcept {
    auto zeros = std::endian::native == std::endian::little ? std::countr_zero(flags) : 0;
    return static_cast<std::size_t>(zeros) / 8;
}

}  // namespace spoke::mqtt
