#pragma once

#include <chrono>

namespace spoke {

/// Time for intervals and deadlines inside one process.
using SteadyTime = std::chrono::steady_clock::time_point;

/// Time for what leaves the process or outlives it: expiries, time stamps.
using WallTime = std::chrono::sys_time<std::chrono::milliseconds>;

/// Both clocks, read together once per loop turn and handed to whoever needs the time.
struct Now {
    SteadyTime steady{};
    WallTime wall{};
};

/// Reads both clocks. Pure code never calls this: it gets a `Now`.
[[nodiscard]] inline Now read_clocks() noexcept {
    return {
        std::chrono::steady_clock::now(),
        std::chrono::time_point_cast<std::chrono::milliseconds>(std::chrono::system_clock::now())};
}

}  // namespace spoke
