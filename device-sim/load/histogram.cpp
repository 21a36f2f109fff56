#include "device-sim/load/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace spoke::sim::load {

Histogram::Nanos Histogram::at(double share) const noexcept {
    if (count_ == 0) return Nanos{};
    auto wanted = static_cast<std::uint64_t>(std::ceil(share * static_cast<double>(count_)));
    wanted = std::clamp<std::uint64_t>(wanted, 1, count_);
    std::uint64_t seen = 0;
    for (std::size_t bucket = 0; bucket < kBuckets; ++bucket) {
        seen += counts_[bucket];
        if (seen >= wanted) return to_nanos(std::min(last_value_of(bucket), max_));
    }
    return max();
}

}  // namespace spoke::sim::load
