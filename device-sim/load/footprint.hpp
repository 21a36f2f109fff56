#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device-sim/load/meter.hpp"
#include "device-sim/load/sequence_checker.hpp"
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
/// way. Durable ones can be made by one run and read by another: the sessions come back, and a
/// message to each topic must arrive, once and at the session that had subscribed.
class ManySubscriptions final : public Workload {
public:
    explicit ManySubscriptions(Settings const& settings)
        : Workload{settings}, meter_{settings.broker_pid}, settled_{settings.broker_pid} {}

    Outcome run() override;

private:
    void on_client_up(Client& client, mqtt::ConnAck const& answer) override;
    void on_subscribed(Client& client) override;
    void on_delivery(Client& client, Delivery const& delivery) override;
    void on_turn_end() override;

    Group connect_subscribers();
    void fill(Group const& group);
    void read();
    void describe_fill(JsonLine& report) const;
    void describe_read(Outcome& outcome) const;
    [[nodiscard]] std::string topic_of(std::uint32_t session, std::uint32_t index) const;
    void subscribe_next(Client& client);
    [[nodiscard]] std::uint32_t share_of(std::uint32_t tag) const noexcept;

    Meter meter_;
    Meter settled_;                     // sampled once, when the broker has come to rest
    std::vector<std::uint32_t> asked_;  // by tag

    bool are_returning_ = false;
    std::uint64_t sessions_missing_ = 0;
    Client* asker_ = nullptr;  // publishes to the topics while they are read
    std::uint32_t sent_ = 0;   // message n goes to subscription n / peers of session n % peers
    std::uint32_t arrived_ = 0;
    std::uint64_t misrouted_ = 0;
    std::vector<SequenceChecker> checkers_;  // by session
};

}  // namespace spoke::sim::load
