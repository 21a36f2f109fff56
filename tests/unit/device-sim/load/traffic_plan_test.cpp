#include "device-sim/load/traffic_plan.hpp"

#include <catch2/catch.hpp>

#include "protocol/topic/topic.hpp"

using namespace spoke::sim::load;

namespace {

TrafficPlan plan(Mode mode, std::uint32_t peers) {
    auto settings = defaults_of(row_of(mode));
    settings.peers = peers;
    return plan_traffic(settings);
}

}  // namespace

TEST_CASE("traffic plan: a receiver's filter matches just the flows it must get", "[load]") {
    auto mode = GENERATE(Mode::p2p, Mode::fanout, Mode::fanin, Mode::push);
    auto traffic = plan(mode, 12);
    for (std::uint32_t r = 0; r < traffic.receivers.size(); ++r) {
        for (std::uint32_t f = 0; f < traffic.flows.size(); ++f) {
            auto const& receiver = traffic.receivers[r];
            auto const& flow = traffic.flows[f];
            auto matches = spoke::mqtt::matches(receiver.filter, flow.topic);
            CAPTURE(receiver.filter, flow.topic);
            CHECK(receiver.flows.contains(f) == matches);
            CHECK(flow.receivers.contains(r) == matches);
        }
    }
}

TEST_CASE("traffic plan: peers are what the mode's word says", "[load]") {
    CHECK(plan(Mode::p2p, 5).publishers == 5);
    CHECK(plan(Mode::p2p, 5).receivers.size() == 5);
    CHECK(plan(Mode::fanout, 5).publishers == 1);
    CHECK(plan(Mode::fanout, 5).receivers.size() == 5);
    CHECK(plan(Mode::fanin, 5).publishers == 5);
    CHECK(plan(Mode::fanin, 5).receivers.size() == 1);
    CHECK(plan(Mode::push, 5).publishers == 1);
    CHECK(plan(Mode::push, 5).receivers.size() == 5);
}

TEST_CASE("traffic plan: without a rate each publisher has the flow of its own number", "[load]") {
    auto mode = GENERATE(Mode::p2p, Mode::fanout, Mode::fanin);
    auto traffic = plan(mode, 7);
    REQUIRE(traffic.flows.size() == traffic.publishers);
    for (std::uint32_t i = 0; i < traffic.publishers; ++i) {
        CHECK(traffic.flows[i].publisher == i);
    }
}

TEST_CASE("mode table: the row of a mode is its own", "[load]") {
    for (auto const& row : kModes) CHECK(&row_of(row.mode) == &row);
}
