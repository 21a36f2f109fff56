#include "bridge/access/rate_limiter.hpp"

#include <algorithm>
#include <cmath>

namespace spoke::bridge {
namespace {

std::chrono::seconds seconds_for(double tokens, RatePolicy policy) {
    return std::chrono::seconds{
        static_cast<std::int64_t>(std::ceil(tokens / static_cast<double>(policy.per_second)))};
}

}  // namespace

RateLimiter::Bucket& RateLimiter::bucket_of(std::string_view name, RatePolicy policy,
                                            SteadyTime now) {
    auto found = places_.find(name);
    if (found != places_.end()) {
        buckets_.splice(buckets_.begin(), buckets_, found->second);
        return buckets_.front();
    }
    if (places_.size() >= limits_.buckets_max) {
        places_.erase(buckets_.back().name);
        buckets_.pop_back();
    }
    buckets_.push_front({std::string{name}, static_cast<double>(policy.burst), now});
    places_.emplace(buckets_.front().name, buckets_.begin());
    return buckets_.front();
}

RateLimiter::Verdict RateLimiter::take(std::string_view name, RatePolicy policy, SteadyTime now) {
    if (policy.is_off()) return {};
    auto& bucket = bucket_of(name, policy, now);
    auto full = static_cast<double>(policy.burst);
    auto passed = std::chrono::duration<double>(now - bucket.at).count();
    bucket.tokens = std::min(full, bucket.tokens + passed * policy.per_second);
    bucket.at = now;
    Verdict verdict;
    verdict.is_allowed = bucket.tokens >= 1.0;
    if (verdict.is_allowed) {
        bucket.tokens -= 1.0;
    } else {
        verdict.retry_in = seconds_for(1.0 - bucket.tokens, policy);
    }
    verdict.remaining = static_cast<std::uint32_t>(bucket.tokens);
    verdict.full_in = seconds_for(full - bucket.tokens, policy);
    return verdict;
}

}  // namespace spoke::bridge
