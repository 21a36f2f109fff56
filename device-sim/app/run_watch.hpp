#pragma once

#include <string>

#include "device-sim/watch/watch.hpp"

namespace spoke::sim {

struct WatchRunOptions {
    WatchOptions watch{};
    bool json = false;
    std::string summary{};  // file names; empty: none
    std::string junit{};
};

/// Runs a watch to its verdict; SIGINT and SIGTERM end the running phase, a second one the process.
/// Out     0 all counts are zero, 1 one is not, 3 it proves nothing.
/// Errors  std::runtime_error if there are not enough file descriptors, a program cannot be started
///         or a file cannot be written.
[[nodiscard]] int run_watch(WatchRunOptions const& options);

}  // namespace spoke::sim
