#pragma once

#include "device-sim/app/judged_run.hpp"
#include "device-sim/city/city.hpp"

namespace spoke::sim {

struct CityRunOptions {
    CityOptions city{};
    ReportOptions report{};
};

/// Runs a city to its verdict, as run_judged() does.
/// Errors  also std::runtime_error if there are not enough file descriptors.
[[nodiscard]] int run_city(CityRunOptions const& options);

}  // namespace spoke::sim
