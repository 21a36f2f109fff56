#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// How many requests, in the long run and at once.
struct RatePolicy {
    std::uint32_t per_second = 0;  // 0: no limit
    std::uint32_t burst = 1;       // tokens in a full bucket

    [[nodiscard]] bool is_off() const noexcept { return per_second == 0; }
};

/// One token bucket per name, full at first.
/// Bound   `buckets_max`; beyond it the bucket that was not asked for the longest goes, and is full
///         when it comes back.  Thread  one.
class RateLimiter {
public:
    struct Limits {
        std::size_t buckets_max = 100'000;
    };

    struct Verdict {
        bool is_allowed = true;
        std::uint32_t remaining = 0;       // tokens left
        std::chrono::seconds full_in{0};   // until the bucket is full again, rounded up
        std::chrono::seconds retry_in{0};  // until there is a token, rounded up; if not allowed
    };

    explicit RateLimiter(Limits limits) : limits_(limits) {}

    /// Takes a token of `name`, if there is one.
    [[nodiscard]] Verdict take(std::string_view name, RatePolicy policy, SteadyTime now);

    [[nodiscard]] std::size_t size() const noexcept { return places_.size(); }

private:
    struct Bucket {
        std::string name;
        double tokens = 0;
        SteadyTime at{};
    };

    Bucket& bucket_of(std::string_view name, RatePolicy policy, SteadyTime now);

    Limits limits_;
    std::list<Bucket> buckets_;  // last used first
    std::unordered_map<std::string_view, std::list<Bucket>::iterator> places_;
};

}  // namespace spoke::bridge
