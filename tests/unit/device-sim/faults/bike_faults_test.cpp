#include "device-sim/faults/bike_faults.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

NetKind const& net(std::string_view name) {
    static auto const perfect = std::get<NetPlan>(parse_net("perfect"));
    static auto const garage = std::get<NetPlan>(parse_net("garage"));
    return name == "garage" ? garage.of(0.5) : perfect.of(0.5);
}

FaultPlan plan_of(std::string_view text) {
    return std::get<FaultPlan>(parse_faults(text));
}

/// All blows of the first hour.
std::vector<std::pair<Elapsed, Fault>> blows(BikeFaults& faults) {
    std::vector<std::pair<Elapsed, Fault>> all;
    while (auto at = faults.next()) {
        if (*at > 1h) break;
        auto blow = faults.next_blow(*at);
        REQUIRE(blow);
        all.emplace_back(*at, blow->fault);
    }
    return all;
}

}  // namespace

TEST_CASE("BikeFaults: without faults nothing befalls a bike", "[sim][faults]") {
    auto plan = plan_of("none");
    BikeFaults faults{plan, net("perfect"), 7};
    CHECK_FALSE(faults.next());
    auto lot = faults.draw_order(0ms);
    CHECK_FALSE((lot.crash || lot.jam || lot.slow_motor || lot.again_after || lot.cut_after ||
                 lot.puback_after));
    CHECK_FALSE(faults.draw_answer(0ms).lost);
    CHECK(faults.draw_latency() == 0ms);
    CHECK_FALSE((faults.has_no_clock() || faults.has_twin() || faults.clock_error() ||
                 faults.battery_percent()));
}

TEST_CASE("BikeFaults: what is certain strikes", "[sim][faults]") {
    auto plan = plan_of(
        "crash=100%,jam=100%,slow-motor=100%,duplicate=100%,puback-lost=100%,answer-lost=100%,"
        "answer-late=100%,clock-none=100%,clock-wrong=100%,low-battery=100%,twin=100%");
    BikeFaults faults{plan, net("perfect"), 7};
    auto lot = faults.draw_order(0ms);
    CHECK((lot.crash && lot.jam && lot.slow_motor && lot.again_after && lot.cut_after));
    CHECK_FALSE(lot.puback_after);  // it is lost already
    auto answer = faults.draw_answer(0ms);
    CHECK((answer.lost && answer.after));
    CHECK((faults.has_no_clock() && faults.has_twin() && faults.clock_error() &&
           faults.battery_percent()));
}

TEST_CASE("BikeFaults: blows come in their time; the same seed gives the same ones",
          "[sim][faults]") {
    auto plan = plan_of("stall=50%,cut=50%,vanish=50%,reboot=50%,clock-jump=50%");
    BikeFaults first{plan, net("perfect"), 7};
    BikeFaults second{plan, net("perfect"), 7};
    BikeFaults other{plan, net("perfect"), 8};
    for (int i = 0; i < 5; ++i) (void)second.draw_order(0ms);  // orders change no blow
    auto all = blows(first);
    CHECK(all.size() > 100);
    CHECK(all == blows(second));
    CHECK(all != blows(other));
    CHECK_FALSE(first.next_blow(0ms));
}

TEST_CASE("BikeFaults: a garage comes back about every minute", "[sim][faults]") {
    auto plan = plan_of("none");
    BikeFaults faults{plan, net("garage"), 7};
    auto all = blows(faults);
    CHECK(all.size() > 30);
    CHECK(all.size() < 60);
    for (auto const& blow : all) CHECK(blow.second == Fault::garage);
    CHECK(faults.draw_latency() > 0ms);
}

TEST_CASE("BikeFaults: once calm, nothing befalls it", "[sim][faults]") {
    auto plan = plan_of("crash=100%,answer-lost=100%,cut=100%");
    BikeFaults faults{plan, net("garage"), 7};
    faults.calm();
    CHECK_FALSE(faults.next());
    CHECK_FALSE(faults.next_blow(1h));
    CHECK_FALSE(faults.draw_order(0ms).crash);
    CHECK_FALSE(faults.draw_answer(0ms).lost);
}
