#include "device-sim/device/dice.hpp"

#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

TEST_CASE("Dice: the same seed draws the same numbers, another seed others", "[sim][dice]") {
    Dice first{42};
    Dice second{42};
    Dice other{43};
    for (int i = 0; i < 100; ++i) {
        auto drawn = first.next();
        CHECK(drawn == second.next());
        CHECK(drawn != other.next());
    }
}

TEST_CASE("Dice: numbers stay within what was asked for and reach both ends", "[sim][dice]") {
    Dice dice{1};
    bool low = false;
    bool high = false;
    for (int i = 0; i < 1000; ++i) {
        auto drawn = dice.between(3ms, 5ms);
        REQUIRE(drawn >= 3ms);
        REQUIRE(drawn <= 5ms);
        low = low || drawn == 3ms;
        high = high || drawn == 5ms;
    }
    CHECK(low);
    CHECK(high);
}

TEST_CASE("Dice: probability 0 never happens, 1 always, one half about every second time",
          "[sim][dice]") {
    Dice dice{9};
    int often = 0;
    for (int i = 0; i < 10'000; ++i) {
        REQUIRE_FALSE(dice.chance(0));
        REQUIRE(dice.chance(1));
        often += dice.chance(0.5) ? 1 : 0;
    }
    CHECK(often > 4'800);
    CHECK(often < 5'200);
}
