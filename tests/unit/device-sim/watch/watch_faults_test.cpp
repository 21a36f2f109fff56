#include "device-sim/watch/watch_faults.hpp"

#include <catch2/catch.hpp>
#include <string>

namespace spoke::sim::test {
namespace {

WatchFaultPlan plan_of(std::string_view text) {
    return std::get<WatchFaultPlan>(parse_watch_faults(text));
}

}  // namespace

TEST_CASE("watch faults: a list says how often each strikes", "[watch-faults]") {
    CHECK(plan_of("none").is_none());
    CHECK_FALSE(plan_of("all").is_none());
    auto plan = plan_of("none,slow=150%,cut=30%");
    CHECK(plan.per_minute[static_cast<std::size_t>(WatchFault::slow)] == 1.5);
    CHECK(plan.per_minute[static_cast<std::size_t>(WatchFault::cut)] == 0.3);
    CHECK(plan.all() == Approx(1.8));
}

TEST_CASE("watch faults: what is no list is told", "[watch-faults]") {
    for (auto const* text :
         {"", "fire=1%", "cut", "cut=", "cut=5", "cut=-1%", "cut=6001%", "cut=1%,", "all,x"}) {
        INFO(text);
        CHECK(std::holds_alternative<std::string>(parse_watch_faults(text)));
    }
}

TEST_CASE("watch faults: they come as often as they should, and by the seed", "[watch-faults]") {
    auto plan = plan_of("cut=100%,change=300%");
    Dice dice{7};
    Dice again{7};
    WatchFaultCounts counts;
    Elapsed all{0};
    constexpr int kBlows = 4000;
    for (int i = 0; i < kBlows; ++i) {
        auto blow = plan.draw(dice);
        auto same = plan.draw(again);
        REQUIRE(blow);
        REQUIRE(same);
        REQUIRE(blow->fault == same->fault);
        REQUIRE(blow->after == same->after);
        counts.add(blow->fault);
        all += blow->after;
    }
    CHECK(static_cast<double>(all.count()) / kBlows == Approx(15'000).epsilon(0.1));
    CHECK(static_cast<double>(counts.of(WatchFault::change)) / kBlows == Approx(0.75).epsilon(0.1));
    CHECK(counts.total() == kBlows);
    CHECK_FALSE(plan_of("none").draw(dice));
}

}  // namespace spoke::sim::test
