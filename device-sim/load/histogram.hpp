#pragma once

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace spoke::sim::load {

/// Counts durations in buckets that are narrow for short ones and wide for long ones: each power of
/// two is cut into 64 equal buckets, so a value read back is at most 1/64 (1.6 %) above the one put
/// in. Owns its counters (about 18 KiB), allocates nothing. One thread.
class Histogram {
public:
    using Nanos = std::chrono::nanoseconds;

    /// Counts one duration. Negative ones count as 0, those above `largest()` as `largest()`. O(1).
    void record(Nanos duration) noexcept {
        auto value = clamp(duration);
        ++counts_[bucket_of(value)];
        ++count_;
        sum_ += value;
        if (value > max_) max_ = value;
        if (value < min_) min_ = value;
    }

    /// The shortest duration which `share` (0..1) of all recorded ones do not exceed, rounded up to
    /// the end of its bucket but never above the longest one recorded; 0 if nothing was recorded.
    /// O(buckets).
    [[nodiscard]] Nanos at(double share) const noexcept;

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    [[nodiscard]] Nanos max() const noexcept { return to_nanos(max_); }
    [[nodiscard]] Nanos min() const noexcept { return count_ == 0 ? Nanos{} : to_nanos(min_); }
    [[nodiscard]] Nanos mean() const noexcept {
        return count_ == 0 ? Nanos{} : to_nanos(sum_ / count_);
    }

    /// Longest duration told apart, about 73 minutes.
    [[nodiscard]] static constexpr Nanos largest() noexcept { return to_nanos(kLargest); }

private:
    static constexpr int kSubBits = 6;  // 64 buckets for each power of two
    static constexpr int kValueBits = 42;
    static constexpr std::uint64_t kLargest = (std::uint64_t{1} << kValueBits) - 1;
    static constexpr std::size_t kBuckets = std::size_t{kValueBits - kSubBits + 1} << kSubBits;

    static constexpr Nanos to_nanos(std::uint64_t value) noexcept {
        return Nanos{static_cast<Nanos::rep>(value)};
    }

    static constexpr std::uint64_t clamp(Nanos duration) noexcept {
        if (duration.count() < 0) return 0;
        auto value = static_cast<std::uint64_t>(duration.count());
        return value < kLargest ? value : kLargest;
    }

    /// Values below 64 have a bucket each; above, the top seven bits choose it.
    static constexpr std::size_t bucket_of(std::uint64_t value) noexcept {
        auto shift = std::bit_width(value >> kSubBits);
        if (shift == 0) return static_cast<std::size_t>(value);
        auto drop = shift - 1;
        auto base = static_cast<std::size_t>(drop) << kSubBits;
        return base + static_cast<std::size_t>(value >> drop);
    }

    static constexpr std::uint64_t last_value_of(std::size_t bucket) noexcept {
        if (bucket < (std::size_t{2} << kSubBits)) return bucket;
        auto drop = (bucket >> kSubBits) - 1;
        auto top = bucket - (drop << kSubBits);
        return ((static_cast<std::uint64_t>(top) + 1) << drop) - 1;
    }

    std::array<std::uint64_t, kBuckets> counts_{};
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t max_ = 0;
    std::uint64_t min_ = kLargest;
};

}  // namespace spoke::sim::load
