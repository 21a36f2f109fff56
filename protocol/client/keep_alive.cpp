#include "protocol/client/keep_alive.hpp"

#include <algorithm>

namespace spoke::mqtt {

void KeepAlive::begin(std::chrono::seconds interval, SteadyTime now) noexcept {
    interval_ = interval;
    sent_at_ = now;
    received_at_ = now;
    ping_at_.reset();
}

void KeepAlive::on_ping_sent(SteadyTime now) noexcept {
    sent_at_ = now;
    if (!ping_at_) ping_at_ = now;
}

SteadyTime KeepAlive::ping_due_at() const noexcept {
    if (interval_ == std::chrono::seconds{0}) return SteadyTime::max();
    auto quiet_since = ping_at_ ? sent_at_ : std::min(sent_at_, received_at_);
    return quiet_since + interval_;
}

SteadyTime KeepAlive::dead_at(std::chrono::milliseconds ping_timeout) const noexcept {
    return ping_at_ ? std::max(*ping_at_, received_at_) + ping_timeout : SteadyTime::max();
}

bool KeepAlive::is_ping_due(SteadyTime now) const noexcept {
    return now >= ping_due_at();
}

bool KeepAlive::is_dead(SteadyTime now, std::chrono::milliseconds ping_timeout) const noexcept {
    return now >= dead_at(ping_timeout);
}

SteadyTime KeepAlive::deadline(std::chrono::milliseconds ping_timeout) const noexcept {
    return std::min(ping_due_at(), dead_at(ping_timeout));
}

}  // namespace spoke::mqtt
