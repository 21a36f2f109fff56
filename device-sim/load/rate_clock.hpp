#pragma once

#include <chrono>
#include <cstdint>

#include "protocol/base/time.hpp"

namespace spoke::sim::load {

/// Says when the next message of an even stream is due. A sender that falls behind sends what is
/// overdue and stamps it with the time it was due, so that waiting in the generator counts as
/// latency, too.
class RateClock {
public:
    RateClock(double per_second, SteadyTime start) noexcept
        : interval_{1e9 / per_second}, start_{start} {}

    [[nodiscard]] SteadyTime next_due() const noexcept {
        auto offset =
            std::chrono::duration<double, std::nano>{interval_ * static_cast<double>(taken_)};
        return start_ + std::chrono::duration_cast<SteadyTime::duration>(offset);
    }

    /// The next one went out.
    void take() noexcept { ++taken_; }

private:
    double interval_;  // nanoseconds
    SteadyTime start_;
    std::uint64_t taken_ = 0;
};

}  // namespace spoke::sim::load
