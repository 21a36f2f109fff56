#pragma once

#include <chrono>
#include <optional>

#include "protocol/base/time.hpp"

namespace spoke::mqtt {

/// When to send PINGREQ and when to give a silent server up (MQTT 5, 3.1.2.10). Deadlines are
/// computed from stored times when asked, so that a packet costs one store and no timer.
///
/// PINGREQ is due when nothing was sent for one interval [MQTT-3.1.2-20], and also when nothing was
/// received for one: a client which only ever publishes QoS 0 would otherwise write into a dead
/// connection until TCP gives up. The wait for the answer counts from the last byte that came:
/// PINGRESP may stand behind a long backlog, and a server which sends is alive.
class KeepAlive {
public:
    /// A new connection. An `interval` of 0 is off.
    void begin(std::chrono::seconds interval, SteadyTime now) noexcept;

    void on_sent(SteadyTime now) noexcept { sent_at_ = now; }
    void on_received(SteadyTime now) noexcept { received_at_ = now; }
    void on_ping_sent(SteadyTime now) noexcept;
    void on_pong() noexcept { ping_at_.reset(); }

    [[nodiscard]] bool is_ping_due(SteadyTime now) const noexcept;
    [[nodiscard]] bool is_dead(SteadyTime now,
                               std::chrono::milliseconds ping_timeout) const noexcept;
    /// The next time one of the two changes; SteadyTime::max() if never.
    [[nodiscard]] SteadyTime deadline(std::chrono::milliseconds ping_timeout) const noexcept;

private:
    [[nodiscard]] SteadyTime ping_due_at() const noexcept;
    [[nodiscard]] SteadyTime dead_at(std::chrono::milliseconds ping_timeout) const noexcept;

    std::chrono::seconds interval_{};
    SteadyTime sent_at_{};
    SteadyTime received_at_{};
    std::optional<SteadyTime> ping_at_{};  // the first PINGREQ without an answer
};

}  // namespace spoke::mqtt
