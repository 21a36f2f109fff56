#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace spoke::sim {

/// How late the loop of this process is with its timers. What is too late to play a city tells
/// nothing about the programs it plays with.
class LoopLag {
public:
    using Micros = std::chrono::microseconds;

    static constexpr Micros kLate{250'000};
    static constexpr Micros kMuchTooLate{3'000'000};
    static constexpr double kLateShareMax = 0.02;

    void add(Micros lag) noexcept {
        ++looks_;
        if (lag > kLate) ++late_;
        max_ = std::max(max_, lag);
        latest_max_ = std::max(latest_max_, lag);
    }

    /// The longest since the last call.
    [[nodiscard]] Micros take_latest() noexcept {
        auto latest = latest_max_;
        latest_max_ = Micros{0};
        return latest;
    }

    [[nodiscard]] Micros max() const noexcept { return max_; }
    [[nodiscard]] double late_share() const noexcept {
        return looks_ == 0 ? 0 : static_cast<double>(late_) / static_cast<double>(looks_);
    }
    [[nodiscard]] bool is_overloaded() const noexcept {
        return max_ > kMuchTooLate || late_share() > kLateShareMax;
    }

private:
    std::uint64_t looks_ = 0;
    std::uint64_t late_ = 0;
    Micros max_{0};
    Micros latest_max_{0};
};

}  // namespace spoke::sim
