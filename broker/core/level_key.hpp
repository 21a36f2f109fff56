#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace spoke::broker {

namespace level_bits {

static_assert(std::endian::native == std::endian::little, "first bytes are taken as low ones");

__extension__ using Wide = unsigned __int128;

inline constexpr std::uint64_t kFirst = 0x9E37'79B9'7F4A'7C15;
inline constexpr std::uint64_t kSecond = 0xD6E8'FEB8'6659'FD93;
inline constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;

[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t a, std::uint64_t b) noexcept {
    auto product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <class Word>
[[nodiscard]] inline Word read(char const* from) noexcept {
    Word word;
    std::memcpy(&word, from, sizeof word);
    return word;
}

/// Up to seven bytes as one word with zeros behind; without a read beyond them.
[[nodiscard]] inline std::uint64_t read_tail(char const* from, std::size_t size) noexcept {
    if (size >= 4) {
        std::uint64_t last = read<std::uint32_t>(from + size - 4);
        return read<std::uint32_t>(from) | last
                                               << (8 * (size - 4));  // where they overlap, the same
    }
    if (size == 0) return 0;
    auto byte = [&](std::size_t at) {
        return static_cast<std::uint64_t>(static_cast<unsigned char>(from[at])) << (8 * at);
    };
    return byte(0) | byte(size / 2) | byte(size - 1);
}

/// The lowest bit set tells the first '/' of eight bytes: it is the highest of its byte.
[[nodiscard]] constexpr std::uint64_t slashes(std::uint64_t word) noexcept {
    auto zeros = word ^ (kOnes * '/');
    return (zeros - kOnes) & ~zeros & (kOnes * 0x80);
}

[[nodiscard]] constexpr std::uint64_t finish(std::uint64_t hash, std::uint64_t tail,
                                             std::size_t size) noexcept {
    return mix(hash ^ tail ^ (size * kSecond), kFirst);
}

}  // namespace level_bits

/// One level of a topic or filter, ready to be looked up.
struct LevelKey {
    std::string_view text;
    std::uint64_t hash;
    std::uint64_t head;  // the first eight bytes, zeros behind a shorter text
};

/// Walks the levels of a topic or filter from the left, as mqtt::Levels does, and hashes each on
/// the way, eight bytes at a time. With a `seed` that peers do not know they cannot choose levels
/// which collide.
class LevelWalk {
public:
    LevelWalk(std::string_view topic, std::uint64_t seed) noexcept
        : at_(topic.data()), end_(topic.data() + topic.size()), seed_(seed) {}

    /// Whether there is one more level; then it is `key`.
    [[nodiscard, gnu::always_inline]] bool next(LevelKey& key) noexcept {
        using namespace level_bits;
        if (is_done_) return false;
        auto left = static_cast<std::size_t>(end_ - at_);
        auto word = left >= 8 ? read<std::uint64_t>(at_) : read_tail(at_, left);
        auto slash = slashes(word);
        auto size = left;
        if (slash != 0) {
            size = static_cast<std::size_t>(std::countr_zero(slash)) / 8;
            word &= ((slash & -slash) >> 7) - 1;  // what stands before it
        } else if (left >= 8) {
            return next_long(key);
        }
        key = {{at_, size}, finish(seed_, word, size), word};
        step(size, slash == 0);
        return true;
    }
    /// Whether the last key was that of the last level.
    [[nodiscard]] bool is_done() const noexcept { return is_done_; }

private:
    /// For levels of eight bytes and more.
    [[nodiscard, gnu::noinline]] bool next_long(LevelKey& key) noexcept {
        using namespace level_bits;
        auto hash = seed_;
        auto left = static_cast<std::size_t>(end_ - at_);
        std::size_t size = 0;
        for (;;) {
            auto const* at = at_ + size;
            auto word = left - size >= 8 ? read<std::uint64_t>(at) : read_tail(at, left - size);
            auto slash = slashes(word);
            if (slash == 0 && left - size >= 8) {
                hash = mix(hash ^ word, kSecond);
                size += 8;
                continue;
            }
            if (slash != 0) word &= ((slash & -slash) >> 7) - 1;
            size = slash != 0 ? size + static_cast<std::size_t>(std::countr_zero(slash)) / 8 : left;
            key = {{at_, size}, finish(hash, word, size), read<std::uint64_t>(at_)};
            step(size, slash == 0);
            return true;
        }
    }
    void step(std::size_t size, bool is_last) noexcept {
        at_ += is_last ? size : size + 1;
        is_done_ = is_last;
    }

    char const* at_;
    char const* end_;
    std::uint64_t seed_;
    bool is_done_ = false;
};

/// The key of a text that is one level, or is to be taken as one.
[[nodiscard]] inline LevelKey level_key(std::string_view text, std::uint64_t seed) noexcept {
    using namespace level_bits;
    auto hash = seed;
    auto const* at = text.data();
    auto left = text.size();
    for (; left >= 8; at += 8, left -= 8) hash = mix(hash ^ read<std::uint64_t>(at), kSecond);
    auto tail = read_tail(at, left);
    auto head = text.size() < 8 ? tail : read<std::uint64_t>(text.data());
    return {text, finish(hash, tail, text.size()), head};
}

/// level_key().hash of what stands in a node.
struct LevelHash {
    std::uint64_t seed;

    template <class Node>
    [[nodiscard]] std::uint64_t operator()(Node const& node) const noexcept {
        return level_key(node.text(), seed).hash;
    }
};

/// Text that stands behind a node, in memory of at least eight bytes with zeros behind a shorter
/// one, so that most comparisons are of one word.
struct LevelText {
    [[nodiscard]] static std::size_t room(std::string_view text) noexcept {
        return std::max<std::size_t>(text.size(), 8);
    }
    static void write(void* to, std::string_view text) noexcept {
        std::memset(to, 0, 8);
        text.copy(static_cast<char*>(to), text.size());
    }
    [[nodiscard]] static bool is(std::string_view written, LevelKey const& key) noexcept {
        using namespace level_bits;
        auto size = written.size();
        if (size != key.text.size() || read<std::uint64_t>(written.data()) != key.head)
            return false;
        return size <= 8 || std::memcmp(written.data() + 8, key.text.data() + 8, size - 8) == 0;
    }
};

}  // namespace spoke::broker
