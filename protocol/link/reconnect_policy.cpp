#include "protocol/link/reconnect_policy.hpp"

#include <algorithm>

namespace spoke::mqtt {

std::chrono::milliseconds ReconnectPolicy::on_closed(ReconnectOptions const& options,
                                                     SteadyTime now,
                                                     std::uint64_t random) noexcept {
    bool was_stable = connected_at_ && now - *connected_at_ >= options.stable_after;
    connected_at_.reset();
    if (was_stable) failures_ = 0;
    if (failures_ < 32) ++failures_;
    auto delay_min = std::max<std::int64_t>(options.delay_min.count(), 0);
    auto delay_max = std::max<std::int64_t>(options.delay_max.count(), delay_min);
    auto base = std::max<std::int64_t>(delay_min, 1);  // 0 would never grow
    auto ceiling = base > (delay_max >> failures_) ? delay_max : base << failures_;
    auto width = static_cast<std::uint64_t>(ceiling - delay_min) + 1;
    return std::chrono::milliseconds{delay_min + static_cast<std::int64_t>(random % width)};
}

}  // namespace spoke::mqtt
