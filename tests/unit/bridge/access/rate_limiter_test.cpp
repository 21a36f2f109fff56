#include "bridge/access/rate_limiter.hpp"

#include <catch2/catch.hpp>

namespace spoke::bridge::test {
namespace {

using namespace std::chrono_literals;

constexpr SteadyTime kStart = SteadyTime{} + 1000s;

}  // namespace

TEST_CASE("rate: a burst, then what flows in", "[bridge][access]") {
    RateLimiter limiter{{}};
    RatePolicy policy{2, 5};
    for (unsigned left = 5; left-- > 0;) {
        auto verdict = limiter.take("a", policy, kStart);
        CHECK(verdict.is_allowed);
        CHECK(verdict.remaining == left);
    }
    auto refused = limiter.take("a", policy, kStart);
    CHECK_FALSE(refused.is_allowed);
    CHECK(refused.remaining == 0);
    CHECK(refused.retry_in == 1s);
    CHECK(refused.full_in == 3s);
    CHECK(limiter.take("b", policy, kStart).is_allowed);
    CHECK_FALSE(limiter.take("a", policy, kStart + 499ms).is_allowed);
    CHECK(limiter.take("a", policy, kStart + 500ms).is_allowed);
    CHECK_FALSE(limiter.take("a", policy, kStart + 500ms).is_allowed);
}

TEST_CASE("rate: a bucket does not hold more than it can", "[bridge][access]") {
    RateLimiter limiter{{}};
    RatePolicy policy{10, 2};
    CHECK(limiter.take("a", policy, kStart).is_allowed);
    CHECK(limiter.take("a", policy, kStart + 1h).remaining == 1);
}

TEST_CASE("rate: zero is no limit, and no bucket", "[bridge][access]") {
    RateLimiter limiter{{}};
    for (int i = 0; i < 100; ++i) CHECK(limiter.take("a", {0, 1}, kStart).is_allowed);
    CHECK(limiter.size() == 0);
}

TEST_CASE("rate: the table is bounded, and forgets whom it has not heard of", "[bridge][access]") {
    RateLimiter limiter{{3}};
    RatePolicy policy{1, 1};
    for (auto const* name : {"a", "b", "c"}) CHECK(limiter.take(name, policy, kStart).is_allowed);
    CHECK_FALSE(limiter.take("a", policy, kStart).is_allowed);
    CHECK(limiter.take("d", policy, kStart).is_allowed);  // b goes
    CHECK(limiter.size() == 3);
    CHECK_FALSE(limiter.take("a", policy, kStart).is_allowed);
    CHECK(limiter.take("b", policy, kStart).is_allowed);
}

}  // namespace spoke::bridge::test
