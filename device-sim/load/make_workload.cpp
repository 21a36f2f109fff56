#include "device-sim/load/answering_devices.hpp"
#include "device-sim/load/footprint.hpp"
#include "device-sim/load/round_trips.hpp"
#include "device-sim/load/stored_messages.hpp"
#include "device-sim/load/traffic.hpp"
#include "device-sim/load/workload.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::sim::load {

std::unique_ptr<Workload> make_workload(Settings const& settings) {
    switch (settings.mode) {
        case Mode::p2p:
        case Mode::fanout:
        case Mode::fanin:
        case Mode::push:
            return std::make_unique<Traffic>(settings);
        case Mode::rtt:
            return std::make_unique<RoundTrips>(settings);
        case Mode::conn:
            return std::make_unique<IdleConnections>(settings);
        case Mode::subs:
            return std::make_unique<ManySubscriptions>(settings);
        case Mode::retain:
            return std::make_unique<RetainedMessages>(settings);
        case Mode::store:
            return std::make_unique<OfflineQueues>(settings);
        case Mode::devices:
            return std::make_unique<AnsweringDevices>(settings);
    }
    MQ_ASSERT(false);
}

}  // namespace spoke::sim::load
