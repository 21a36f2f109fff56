#include "broker/core/timer_wheel.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <deque>
#include <map>
#include <random>
#include <vector>

#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;
using namespace std::chrono_literals;

namespace {

constexpr SteadyTime kStart{100h};

/// A wheel whose firings are written down.
struct Bench {
    TimerWheel wheel{kStart};
    SteadyTime now = kStart;
    std::vector<void*> fired{};

    void advance_to(SteadyTime::duration since_start) {
        now = kStart + since_start;
        wheel.advance(now, [this](TimerNode& node) { fired.push_back(node.owner()); });
    }
    void arm(TimerNode& node, SteadyTime::duration since_start) {
        wheel.arm(node, kStart + since_start);
    }
};

struct Owner {
    TimerNode timer{TimerKind::session, this};
};

}  // namespace

TEST_CASE("timer wheel: a timer fires at its time or within one tick, never earlier") {
    // Around the tick itself, and around each border where a timer begins in the next level.
    auto delay = GENERATE(1ms, 49ms, 50ms, 51ms, 99ms, 100ms, 3'149ms, 3'150ms, 3'199ms, 3'200ms,
                          3'201ms, 3'250ms, 204'750ms, 204'800ms, 204'801ms, 13'107'150ms,
                          13'107'200ms, 13'107'201ms);
    auto begun = GENERATE(0ms, 50ms, 3'150ms, 3'200ms, 204'800ms);
    Bench bench;
    Owner owner;
    bench.advance_to(begun);
    bench.arm(owner.timer, begun + delay);
    CHECK(owner.timer.is_armed());
    bench.advance_to(begun + delay - 1ms);
    CHECK(bench.fired.empty());
    bench.advance_to(begun + delay + TimerWheel::kTick);
    CHECK(bench.fired == std::vector<void*>{&owner});
    CHECK_FALSE(owner.timer.is_armed());
}

TEST_CASE("timer wheel: a timer in the past fires with the next tick") {
    Bench bench;
    Owner owner;
    bench.advance_to(10s);
    bench.arm(owner.timer, 3s);
    bench.advance_to(10s);
    CHECK(bench.fired.empty());
    bench.advance_to(10s + TimerWheel::kTick);
    CHECK(bench.fired.size() == 1);
}

TEST_CASE("timer wheel: arming again moves the timer, cancelling stops it") {
    Bench bench;
    Owner owner;
    bench.arm(owner.timer, 1s);
    bench.arm(owner.timer, 5s);
    bench.advance_to(4'900ms);
    CHECK(bench.fired.empty());
    bench.arm(owner.timer, 4'950ms);
    bench.advance_to(5s);
    CHECK(bench.fired.size() == 1);

    bench.arm(owner.timer, 6s);
    owner.timer.cancel();
    CHECK_FALSE(owner.timer.is_armed());
    owner.timer.cancel();
    bench.advance_to(10s);
    CHECK(bench.fired.size() == 1);
}

TEST_CASE("timer wheel: a node that is destroyed is not fired") {
    Bench bench;
    {
        Owner owner;
        bench.arm(owner.timer, 1s);
    }
    bench.advance_to(2s);
    CHECK(bench.fired.empty());
}

TEST_CASE("timer wheel: a wheel that is destroyed leaves its nodes unarmed") {
    Owner owner;
    {
        TimerWheel wheel{kStart};
        wheel.arm(owner.timer, kStart + 1h);
    }
    CHECK_FALSE(owner.timer.is_armed());
}

TEST_CASE("timer wheel: what fires may arm itself and cancel others of the same tick") {
    TimerWheel wheel{kStart};
    Owner first;
    Owner second;
    wheel.arm(first.timer, kStart + 1s);
    wheel.arm(second.timer, kStart + 1s);
    int fired = 0;
    auto fire = [&](TimerNode& node) {
        ++fired;
        CHECK(node.owner() == &first);
        second.timer.cancel();
        wheel.arm(node, kStart + 2s);
    };
    wheel.advance(kStart + 1'500ms, fire);
    CHECK(fired == 1);
    wheel.advance(kStart + 2'020ms, fire);
    CHECK(fired == 2);
}

TEST_CASE("timer wheel: timers beyond the last level wait for their time") {
    Bench bench;
    Owner owner;
    // 64^4 ticks of 50 ms are 9 days and 17 hours; twice that goes round twice.
    auto delay = std::chrono::hours{24} * 10 + 123ms;
    bench.arm(owner.timer, delay);
    bench.advance_to(delay - 1ms);
    CHECK(bench.fired.empty());
    bench.advance_to(delay + TimerWheel::kTick);
    CHECK(bench.fired.size() == 1);
}

TEST_CASE("timer wheel: until_next never passes a timer and never waits without need") {
    Bench bench;
    Owner owner;
    bench.arm(owner.timer, 700ms);
    CHECK(bench.wheel.until_next(bench.now) == 700ms);
    CHECK(bench.wheel.until_next(kStart + 690ms) == 10ms);
    CHECK(bench.wheel.until_next(kStart + 800ms) == 0ms);
    owner.timer.cancel();
    CHECK(bench.wheel.until_next(bench.now) == 3'200ms);

    // Sleeping just as long as it says reaches every timer in time.
    bench.arm(owner.timer, 1h + 20ms);
    int wakes = 0;
    while (bench.fired.empty()) {
        auto step = bench.wheel.until_next(bench.now);
        REQUIRE(step > 0ms);
        REQUIRE(step <= 3'200ms);
        bench.advance_to(bench.now + step - kStart);
        ++wakes;
    }
    CHECK(bench.now >= kStart + 1h + 20ms);
    CHECK(bench.now <= kStart + 1h + 20ms + TimerWheel::kTick);
    CHECK(wakes <= 3600 * 1000 / 3200 + 64);
}

TEST_CASE("timer wheel: agrees with a sorted list under random use") {
    auto seed = test::seed_or(20'240'611);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    auto up_to = [&](std::uint64_t n) { return random() % n; };

    Bench bench;
    std::deque<Owner> owners(200);
    std::map<void*, SteadyTime> due;
    for (int step = 0; step < 20'000; ++step) {
        Owner& owner = owners[up_to(owners.size())];
        if (up_to(4) == 0) {
            owner.timer.cancel();
            due.erase(&owner);
        } else {
            constexpr std::uint64_t kReach[] = {200, 4'000, 300'000, 20'000'000};
            auto at = bench.now + std::chrono::milliseconds{up_to(kReach[up_to(4)])};
            bench.wheel.arm(owner.timer, at);
            due[&owner] = at;
        }
        if (up_to(3) != 0) continue;
        constexpr std::uint64_t kStride[] = {60, 3'000, 400'000};
        bench.fired.clear();
        auto before = bench.now;
        bench.advance_to(bench.now - kStart + std::chrono::milliseconds{up_to(kStride[up_to(3)])});
        for (void* fired : bench.fired) {
            auto found = due.find(fired);
            REQUIRE(found != due.end());
            REQUIRE(found->second <= bench.now);                      // not early
            REQUIRE(found->second + 2 * TimerWheel::kTick > before);  // nor overlooked before
            due.erase(found);
        }
        for (auto const& [armed, at] : due) REQUIRE(at + TimerWheel::kTick > bench.now);
    }
}
