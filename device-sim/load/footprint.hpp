#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device-sim/load/meter.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim::load {

/// conn: opens idle connections, lets the broker settle, and divides what its memory grew by their
/// number. Then watches them do nothing for `seconds`.
class IdleConnections final : public Workload {
public:
    explicit IdleConnections(Settings const& settings)
        : Workload{settings}, ramp_{settings.broker_pid}, idle_{settings.broker_pid} {}

    Outcome run() override;

private:
    void on_client_up(Client& client, mqtt::ConnAck const& answer) override;

    Meter ramp_;
    Meter idle_;
};

/// subs: makes distinct subscriptions over a few connections and divides what the broker's memory
/// grew by their number; the connections are up before. Each connection has one SUBSCRIBE on the
/// way.
class ManySubscriptions final : public Workload {
public:
    explicit ManySubscriptions(Settings const& settings)
        : Workload{settings}, meter_{settings.broker_pid}, settled_{settings.broker_pid} {}

    Outcome run() override;

private:
    void on_subscribed(Client& client) override;
    void subscribe_next(Client& client);
    [[nodiscard]] std::uint32_t share_of(std::uint32_t tag) const noexcept;

    Meter meter_;
    Meter settled_;                     // sampled once, when the broker has come to rest
    std::vector<std::uint32_t> asked_;  // by tag
};

}  // namespace spoke::sim::load
