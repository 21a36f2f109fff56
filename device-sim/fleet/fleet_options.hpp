#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "device-sim/device/lock.hpp"
#include "device-sim/faults/fault_plan.hpp"

namespace spoke::mqtt {
class TlsContext;
}

namespace spoke::sim {

/// What fleet there is and where it goes.
struct FleetOptions {
    std::size_t bikes = 200;
    std::string id_prefix = "b";
    std::size_t first_number = 1;  // ids are prefix and number: b1, b2, ...
    std::uint64_t seed = 1;
    std::size_t v3_every = 3;             // each n-th bike speaks 3.1.1, the others 5; 0: none does
    double clockless_share = 0;           // of the bikes: without a clock until $time tells it
    std::optional<std::uint32_t> boot{};  // of all bikes; otherwise from the clock
    LockModel model{};
    FaultPlan faults{};
    NetPlan net{};
    bool faults_wait = false;  // for Fleet::begin_faults()

    /// What truly happens to a lock, at once; may be empty. Must not call the fleet.
    std::function<void(std::string_view bike, LockFact const& fact, Now now)> witness{};

    std::string host = "127.0.0.1";
    std::uint16_t port = 1883;
    std::vector<std::string> bind_addresses{};  // used in turn; empty: any
    std::shared_ptr<mqtt::TlsContext const> tls{};
    std::string user_name{};  // empty: none
    std::string password{};

    std::size_t connects_per_s = 1000;
    std::chrono::seconds keep_alive{60};
    std::chrono::seconds will_delay{20};
    std::chrono::milliseconds reconnect_max{300'000};
};

}  // namespace spoke::sim
