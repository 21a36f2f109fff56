#include "device-sim/faults/chances.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <vector>

using namespace spoke::sim;
using namespace std::chrono_literals;

TEST_CASE("Window: it holds from its begin to before its end", "[sim][faults]") {
    Window window{10s, 20s};
    CHECK_FALSE(window.holds(9'999ms));
    CHECK(window.holds(10s));
    CHECK(window.holds(19'999ms));
    CHECK_FALSE(window.holds(20s));
}

TEST_CASE("PerOrder: it strikes its share, in its window, and draws as often outside of it",
          "[sim][faults]") {
    PerOrder chance{0.25, {10s, 20s}};
    Dice inside{7};
    Dice outside{7};
    int struck = 0;
    for (int i = 0; i < 10'000; ++i) {
        struck += chance.strikes(inside, 15s) ? 1 : 0;
        REQUIRE_FALSE(chance.strikes(outside, 20s));
    }
    CHECK(struck > 2'300);
    CHECK(struck < 2'700);
    CHECK(inside.next() == outside.next());
}

TEST_CASE("PerMinute: it strikes as often as it says, in its window", "[sim][faults]") {
    Dice dice{7};
    PerMinute chance{2.0, {1min, 101min}};
    int struck = 0;
    auto at = chance.next(dice, 0ms);
    REQUIRE(at);
    CHECK(*at >= 1min);
    while (at) {
        REQUIRE(*at < 101min);
        ++struck;
        at = chance.next(dice, *at);
    }
    CHECK(struck > 150);
    CHECK(struck < 250);
    CHECK_FALSE(PerMinute(0, {}).next(dice, 0ms));
}

TEST_CASE("Periodic: spells of a length, about every period", "[sim][faults]") {
    Dice dice{7};
    Periodic garage{60s, 10s, 40s};
    for (int i = 0; i < 100; ++i) {
        auto spell = garage.next(dice, 100s);
        REQUIRE(spell);
        CHECK(spell->at >= 130s);
        CHECK(spell->at <= 190s);
        CHECK(spell->length >= 10s);
        CHECK(spell->length <= 40s);
    }
    CHECK_FALSE(Periodic{}.next(dice, 0ms));
}

TEST_CASE("Latency: its median and its ninety-ninth of a hundred", "[sim][faults]") {
    Dice dice{7};
    Latency latency{600ms, 2000ms};
    std::vector<Elapsed> drawn(20'000);
    for (auto& time : drawn) time = latency.draw(dice);
    std::sort(drawn.begin(), drawn.end());
    auto median = drawn[drawn.size() / 2];
    auto p99 = drawn[drawn.size() / 100 * 99];
    CHECK(median > 580ms);
    CHECK(median < 620ms);
    CHECK(p99 > 1800ms);
    CHECK(p99 < 2200ms);
    CHECK(Latency{}.draw(dice) == 0ms);
}
