#pragma once

#include <chrono>

#include "device-sim/fleet/fleet_options.hpp"

namespace spoke::sim {

struct RunOptions {
    FleetOptions fleet{};
    std::chrono::milliseconds run_for{0};  // 0: until a signal
    bool json = false;
};

/// Runs a fleet until SIGINT, SIGTERM or the end of its time, then disconnects it; a second signal
/// ends the process at once. Out     0; 1 if the time was over before any bike had been connected.
/// Errors  std::runtime_error if the system has not enough file descriptors for the fleet.
[[nodiscard]] int run_fleet(RunOptions const& options);

}  // namespace spoke::sim
