#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// A hash map from numbers other than 0 to plain values, in one piece of memory: linear probing, at
/// most three quarters full. For millions of small entries. Pointers to values are good until the
/// next change.
template <class Value>
class FlatMap {
    static_assert(std::is_trivially_copyable_v<Value>);

public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    [[nodiscard]] Value* find(std::uint64_t key) noexcept {
        if (entries_.empty()) return nullptr;
        auto& entry = entries_[place_of(key)];
        return entry.key == key ? &entry.value : nullptr;
    }
    [[nodiscard]] Value const* find(std::uint64_t key) const noexcept {
        return const_cast<FlatMap*>(this)->find(key);
    }
    /// The value of the key; a new one is `Value{}`.
    [[nodiscard]] Value& operator[](std::uint64_t key) {
        MQ_ASSERT(key != 0);
        if ((size_ + 1) * 4 > entries_.size() * 3) grow();
        auto& entry = entries_[place_of(key)];
        if (entry.key == 0) {
            entry = {key, Value{}};
            ++size_;
        }
        return entry.value;
    }
    void erase(std::uint64_t key) noexcept {
        if (entries_.empty()) return;
        auto hole = place_of(key);
        if (entries_[hole].key != key) return;
        --size_;
        // Close the hole with whatever comes behind it and could stand there.
        for (auto next = hole;;) {
            next = (next + 1) & mask();
            if (entries_[next].key == 0) break;
            auto home = home_of(entries_[next].key);
            if (((next - home) & mask()) < ((next - hole) & mask())) continue;
            entries_[hole] = entries_[next];
            hole = next;
        }
        entries_[hole] = {};
    }
    /// Keeps the memory of a small map.
    void clear() noexcept {
        if (size_ == 0) return;
        if (entries_.size() > kKeptMax) {
            entries_ = {};
        } else {
            for (auto& entry : entries_) entry = {};
        }
        size_ = 0;
    }

private:
    static constexpr std::size_t kKeptMax = 8192;
    struct Entry {
        std::uint64_t key = 0;
        Value value{};
    };

    [[nodiscard]] std::size_t mask() const noexcept { return entries_.size() - 1; }
    [[nodiscard]] std::size_t home_of(std::uint64_t key) const noexcept {
        return static_cast<std::size_t>(key * 0x9E37'79B9'7F4A'7C15 >>
                                        (64 - std::countr_zero(entries_.size())));
    }
    /// Where the key is, or could be put.
    [[nodiscard]] std::size_t place_of(std::uint64_t key) const noexcept {
        auto place = home_of(key);
        while (entries_[place].key != key && entries_[place].key != 0) place = (place + 1) & mask();
        return place;
    }
    void grow() {
        auto old = std::exchange(entries_, {});
        entries_.resize(old.empty() ? 64 : old.size() * 2);
        for (auto const& entry : old) {
            if (entry.key != 0) entries_[place_of(entry.key)] = entry;
        }
    }

    std::vector<Entry> entries_{};  // a power of two
    std::size_t size_ = 0;
};

}  // namespace spoke::broker
