#include "protocol/link/reconnect_policy.hpp"

#include <catch2/catch.hpp>
#include <limits>
#include <random>
#include <set>

using namespace spoke;
using namespace spoke::mqtt;
using namespace std::chrono_literals;

namespace {

constexpr auto kHighest = std::numeric_limits<std::uint64_t>::max();
SteadyTime const kStart{std::chrono::hours{1}};

// With this number the delay is the ceiling.
std::uint64_t top(std::chrono::milliseconds low, std::chrono::milliseconds high) {
    return static_cast<std::uint64_t>((high - low).count());
}

}  // namespace

TEST_CASE("reconnect: the ceiling doubles with each failure up to the cap", "[link]") {
    ReconnectOptions options;
    ReconnectPolicy policy;
    for (auto ceiling : {2s, 4s, 8s, 16s, 32s, 64s, 128s, 256s, 300s, 300s, 300s}) {
        auto copy = policy;
        CHECK(copy.on_closed(options, kStart, 0) == 1s);
        copy = policy;
        CHECK(copy.on_closed(options, kStart, top(1s, ceiling) + 1) == 1s);  // one above wraps
        CHECK(policy.on_closed(options, kStart, top(1s, ceiling)) == ceiling);
    }
}

TEST_CASE("reconnect: the delay is spread over the whole range", "[link]") {
    ReconnectOptions options;
    std::mt19937_64 random{42};
    std::set<std::int64_t> tenths;
    for (int i = 0; i < 1000; ++i) {
        ReconnectPolicy policy;
        auto delay = policy.on_closed(options, kStart, random());
        REQUIRE(delay >= 1s);
        REQUIRE(delay <= 2s);
        tenths.insert((delay - 1s) / 100ms);
    }
    CHECK(tenths.size() >= 10);
}

TEST_CASE("reconnect: only a stable session starts the count anew", "[link]") {
    ReconnectOptions options;
    ReconnectPolicy policy;
    auto now = kStart;
    auto fail_after = [&](std::chrono::milliseconds age) {
        policy.on_connected(now);
        now += age;
        return policy.on_closed(options, now, top(1s, 8s));
    };
    static_cast<void>(policy.on_closed(options, now, 0));
    static_cast<void>(policy.on_closed(options, now, 0));
    CHECK(fail_after(59'999ms) == 8s);  // the third failure
    SECTION("stable") {
        policy.on_connected(now);
        now += 60s;
        CHECK(policy.on_closed(options, now, top(1s, 2s)) == 2s);
    }
    SECTION("a failure to connect in between does not count the old session again") {
        policy.on_connected(now);
        now += 60s;
        CHECK(policy.on_closed(options, now, top(1s, 2s)) == 2s);
        now += 60s;
        CHECK(policy.on_closed(options, now, top(1s, 4s)) == 4s);
    }
}

TEST_CASE("reconnect: odd options stay within bounds", "[link]") {
    ReconnectPolicy policy;
    SECTION("no delay at all") {
        ReconnectOptions options{.delay_min = 0ms, .delay_max = 0ms};
        for (int i = 0; i < 100; ++i) CHECK(policy.on_closed(options, kStart, kHighest) == 0ms);
    }
    SECTION("a minimum of 0 still backs off") {
        ReconnectOptions options{.delay_min = 0ms, .delay_max = 1s};
        for (int i = 0; i < 100; ++i) static_cast<void>(policy.on_closed(options, kStart, 0));
        CHECK(policy.on_closed(options, kStart, 1000) == 1s);
    }
    SECTION("the cap below the minimum") {
        ReconnectOptions options{.delay_min = 5s, .delay_max = 1s};
        for (int i = 0; i < 100; ++i) CHECK(policy.on_closed(options, kStart, kHighest) == 5s);
    }
    SECTION("huge values") {
        ReconnectOptions options{.delay_min = 1h, .delay_max = 24h * 365'000};
        for (int i = 0; i < 1000; ++i) {
            auto delay = policy.on_closed(options, kStart, kHighest - static_cast<unsigned>(i));
            REQUIRE(delay >= options.delay_min);
            REQUIRE(delay <= options.delay_max);
        }
    }
}
