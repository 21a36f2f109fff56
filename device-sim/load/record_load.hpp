#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device-sim/load/http_crowd.hpp"

namespace spoke::sim::load {

/// record: publishes over MQTT at QoS 1 and reads the events of it from a stream of the bridge,
/// with no more on the way than the window.
struct RecordSettings {
    std::string address = "127.0.0.1";
    std::uint16_t mqtt_port = 1883;
    std::uint16_t http_port = 8080;
    std::string topic = "t/bench/0";
    std::uint32_t payload_size = 64;
    std::uint32_t window = 1000;
    double rate = 0;  // per second; 0: as the window allows
    double warmup_seconds = 1;
    double seconds = 5;
    std::vector<int> pids{};
    int cpu = -1;
};

/// Errors  throws LoadFailure if a program is not there, cannot be sampled, or nothing comes for
///         30 s.
[[nodiscard]] CrowdOutcome run_record(RecordSettings const& settings);

}  // namespace spoke::sim::load
