#include "device-sim/load/acknowledged_feed.hpp"

namespace spoke::sim::load {

AcknowledgedFeed::AcknowledgedFeed(Client& client, Plan const& plan, SteadyTime now, Append append)
    : client_{client},
      ids_{plan.window},
      sent_at_(plan.window),
      total_{plan.total},
      append_{std::move(append)} {
    if (plan.rate > 0) pace_.emplace(plan.rate, now);
}

void AcknowledgedFeed::pump(SteadyTime now) {
    if (!may_send(now)) return;
    while (may_send(now)) {
        auto id = ids_.take();
        sent_at_[id.value - 1U] = pace_ ? pace_->next_due() : now;
        if (pace_) pace_->take();
        append_(client_.outbound(), id, sent_++);
    }
    client_.touch();
}

bool AcknowledgedFeed::may_send(SteadyTime now) const noexcept {
    return sent_ < total_ && ids_.has_free() && (!pace_ || pace_->next_due() <= now);
}

SteadyTime AcknowledgedFeed::next_due() const noexcept {
    auto is_waiting = pace_ && sent_ < total_ && ids_.has_free();
    return is_waiting ? pace_->next_due() : SteadyTime::max();
}

std::optional<std::chrono::nanoseconds> AcknowledgedFeed::take(Acknowledgement const& answer,
                                                               SteadyTime now) {
    if (!ids_.release(answer.id)) return std::nullopt;
    ++acknowledged_;
    return now - sent_at_[answer.id.value - 1U];
}

}  // namespace spoke::sim::load
