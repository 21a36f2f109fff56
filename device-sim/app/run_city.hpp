#pragma once

#include <string>

#include "device-sim/city/city.hpp"

namespace spoke::sim {

struct CityRunOptions {
    CityOptions city{};
    bool json = false;
    std::string summary{};  // file names; empty: none
    std::string junit{};
};

/// Runs a city to its verdict; SIGINT and SIGTERM end the running phase, a second one the process.
/// Out     0 every invariant holds, 1 one does not, 3 it proves nothing.
/// Errors  std::runtime_error if there are not enough file descriptors, a program cannot be started
///         or a file cannot be written.
[[nodiscard]] int run_city(CityRunOptions const& options);

}  // namespace spoke::sim
