#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

namespace spoke::bridge {

/// Counts of requests and how long they took, the time they were held included.
class HttpMetrics {
public:
    void add(unsigned status, std::chrono::nanoseconds took);
    void count_unauthorized() noexcept { ++unauthorized_; }

    /// As Prometheus reads it (text format 0.0.4), each line ended.
    void append_to(std::string& out) const;

private:
    /// Upper bounds in milliseconds: a wait may last up to 55 s.
    static constexpr std::array<std::uint32_t, 14> kBounds{
        1, 2, 5, 10, 20, 50, 100, 200, 500, 1'000, 2'000, 5'000, 10'000, 60'000};

    std::array<std::uint64_t, 6> by_class_{};  // index 2: 2xx
    std::array<std::uint64_t, kBounds.size() + 1> by_time_{};
    std::chrono::nanoseconds sum_{};
    std::uint64_t unauthorized_ = 0;
};

}  // namespace spoke::bridge
