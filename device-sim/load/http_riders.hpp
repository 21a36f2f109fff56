#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "device-sim/load/json_line.hpp"

namespace spoke::sim::load {

/// commands: riders who give orders over HTTP and wait for what became of them, each one at a time,
/// each to devices of its own.
struct RiderSettings {
    std::string address = "127.0.0.1";
    std::uint16_t port = 8080;
    std::string device_prefix;  // device ids are this and a number from 0
    std::uint32_t first = 0;    // the first number that gets orders
    std::uint32_t devices = 1000;
    std::uint32_t riders = 1;
    std::string verb = "unlock";
    std::uint64_t ttl_ms = 10'000;
    std::uint32_t wait_seconds = 20;  // 0: the answer comes when the order is recorded
    bool wait_offline = false;        // orders for devices that are away wait for them
    std::string token{};              // bearer token; empty: none
    double warmup_seconds = 1;
    double seconds = 5;
    std::uint64_t commands = 0;  // end after so many, not by time
    std::vector<int> pids{};     // processes whose processor time is told, per command
    std::uint64_t seed = 1;      // in the keys of the orders
};

struct RidersOutcome {
    JsonLine report;
    bool is_sound = true;  // every order came to the end it should
};

/// Runs the riders to the end of the measurement.
/// Errors  throws LoadFailure if the bridge is not there or a process cannot be sampled.
[[nodiscard]] RidersOutcome run_riders(RiderSettings const& settings);

}  // namespace spoke::sim::load
