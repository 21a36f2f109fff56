#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "device-sim/report/fleet_counts.hpp"

namespace spoke::sim {

/// One look at a running fleet.
struct Progress {
    std::chrono::milliseconds elapsed{0};
    std::chrono::milliseconds interval{1000};  // between `before` and `counts`
    FleetCounts counts{};
    FleetCounts before{};
    std::string_view trouble{};             // why the bikes that wait do so
    std::uint64_t bytes_per_bike = 0;       // of this process
    std::chrono::microseconds loop_lag{0};  // how late the latest timer was
};

/// One line for people, without a line end. While nobody is connected it says what is waited for.
[[nodiscard]] std::string progress_line(Progress const& progress);

/// The same as one JSON object, without a line end.
[[nodiscard]] std::string progress_json(Progress const& progress);

/// What the run came to, one line for people.
[[nodiscard]] std::string summary_line(Progress const& progress);

}  // namespace spoke::sim
