#include "device-sim/load/acknowledged_feed.hpp"

namespace spoke::sim::load {

void AcknowledgedFeed::pump(SteadyTime now) {
    if (sent_ == total_ || !ids_.has_free()) return;
    while (sent_ < total_ && ids_.has_free()) {
        auto id = ids_.take();
        sent_at_[id.value - 1U] = now;
        append_(client_.outbound(), id, sent_++);
    }
    client_.touch();
}

std::optional<std::chrono::nanoseconds> AcknowledgedFeed::take(Acknowledgement const& answer,
                                                               SteadyTime now) {
    if (!ids_.release(answer.id)) return std::nullopt;
    ++acknowledged_;
    return now - sent_at_[answer.id.value - 1U];
}

}  // namespace spoke::sim::load
