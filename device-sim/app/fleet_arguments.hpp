#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "device-sim/fleet/fleet_options.hpp"
#include "protocol/link/tls_context.hpp"

namespace spoke::sim {

/// What the options of a fleet are written to: where CLI11 wants another form than the fleet.
struct FleetArguments {
    FleetOptions fleet{};
    mqtt::TlsOptions tls{};
    bool use_tls = false;
    std::uint64_t heartbeat_ms = 60'000;
    std::uint64_t reconnect_max_ms = 300'000;
    std::uint64_t ride_ms = 0;
    std::uint64_t boot = 0;
    std::uint32_t keep_alive_s = 60;
    std::uint32_t port_min = 1;  // 0 where a free one can be taken
    std::string firmware = "good";
    std::string faults = "none";
    std::string net = "perfect";
};

/// A number with its unit; a bare number is refused, since nobody remembers which unit it would be.
[[nodiscard]] CLI::AsNumberWithUnit duration();

void add_fleet_options(CLI::App& command, FleetArguments& arguments);
void add_connection_options(CLI::App& command, FleetArguments& arguments);
void add_behaviour_options(CLI::App& command, FleetArguments& arguments);

/// `--firmware`, `--faults` and `--net`, and what they can be at the end of --help.
void add_fault_options(CLI::App& command, FleetArguments& arguments);

/// Errors  std::runtime_error if TLS cannot be set up.
[[nodiscard]] FleetOptions fleet_options(FleetArguments const& arguments);

}  // namespace spoke::sim
