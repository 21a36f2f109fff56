#pragma once

#include "device-sim/app/judged_run.hpp"
#include "device-sim/watch/watch.hpp"

namespace spoke::sim {

struct WatchRunOptions {
    WatchOptions watch{};
    ReportOptions report{};
};

/// Runs a watch to its verdict, as run_judged() does.
/// Errors  also std::runtime_error if there are not enough file descriptors.
[[nodiscard]] int run_watch(WatchRunOptions const& options);

}  // namespace spoke::sim
