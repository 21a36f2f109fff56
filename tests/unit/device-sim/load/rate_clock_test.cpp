#include "device-sim/load/rate_clock.hpp"

#include <catch2/catch.hpp>

using spoke::SteadyTime;
using spoke::sim::load::RateClock;
using namespace std::chrono_literals;

TEST_CASE("rate clock: messages are due at even intervals from the start", "[load]") {
    SteadyTime start{5s};
    RateClock clock{1000, start};
    CHECK(clock.next_due() == start);
    clock.take();
    CHECK(clock.next_due() == start + 1ms);
    for (int i = 0; i < 999; ++i) clock.take();
    CHECK(clock.next_due() == start + 1s);
}

TEST_CASE("rate clock: an interval that is no whole number does not drift", "[load]") {
    SteadyTime start{};
    RateClock clock{3, start};
    for (int i = 0; i < 3'000'000; ++i) clock.take();
    CHECK(clock.next_due() - start > 1'000'000s - 1us);
    CHECK(clock.next_due() - start < 1'000'000s + 1us);
}
