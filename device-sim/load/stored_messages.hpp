#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "device-sim/load/acknowledged_feed.hpp"
#include "device-sim/load/bystander.hpp"
#include "device-sim/load/meter.hpp"
#include "device-sim/load/sequence_checker.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim::load {

/// What `retain` and `store` share: one publisher fills the broker, later everything is read back,
/// in the same run or in another one with the same run id. While it is read, a bystander may look
/// on.
class StoredMessages : public Workload {
protected:
    explicit StoredMessages(Settings const& settings)
        : Workload{settings}, fill_{settings.broker_pid}, read_{settings.broker_pid} {}

    /// Publishes `count` messages, each answered; counts latency in `meter` if there is one.
    void feed(std::uint64_t count, Meter* meter, AcknowledgedFeed::Append append);

    [[nodiscard]] bool has_part(Part part) const noexcept {
        return settings_.part == Part::whole || settings_.part == part;
    }

    /// Lets a bystander in if one is wanted; it acts until a meter's interval ends.
    void admit_bystander();

    /// Ends `meter`'s interval, but samples the broker again once it has come to rest: what it
    /// does later for these messages counts as well.
    void end_settled(Meter& meter);

    /// Adds what both meters say, latency and what is kept for each message.
    void describe(Outcome& outcome, std::string_view read_word) const;

    virtual void on_stored(Client& client, Delivery const& delivery) = 0;

    void on_delivery(Client& client, Delivery const& delivery) final;
    void on_acknowledged(Client& client, Acknowledgement const& acknowledgement) override;
    void on_turn_end() override;
    void on_turn_measured(std::chrono::nanoseconds duration) override;
    [[nodiscard]] SteadyTime next_wake() const override;

    Meter fill_;
    Meter read_;
    std::uint64_t misrouted_ = 0;
    std::uint64_t refused_ = 0;

private:
    void describe_fill(JsonLine& report) const;
    void describe_read(JsonLine& report, std::string_view read_word) const;
    void describe_bystander(JsonLine& report) const;

    std::optional<AcknowledgedFeed> feed_;
    Meter* feed_meter_ = nullptr;
    std::optional<Bystander> bystander_;
    bool is_bystander_active_ = false;
};

/// retain: N retained messages, then readers that subscribe to all of them by one wildcard: each
/// must get each once, with the RETAIN flag. Deletes them at the end unless told to keep them.
class RetainedMessages final : public StoredMessages {
public:
    explicit RetainedMessages(Settings const& settings) : StoredMessages{settings} {}

    Outcome run() override;

private:
    void fill();
    void read();
    void clear();
    [[nodiscard]] std::string topic_of(std::uint64_t index) const;
    void on_stored(Client& client, Delivery const& delivery) override;

    std::vector<std::vector<bool>> seen_;  // by reader, message
    std::uint64_t arrived_ = 0;
    std::uint64_t duplicated_ = 0;
    std::uint64_t unmarked_ = 0;  // without RETAIN
    SteadyTime asked_at_{};
};

/// store: durable sessions subscribe and leave, messages are queued for them in turn, then all come
/// back and must get theirs in order. Deletes the sessions at the end.
class OfflineQueues final : public StoredMessages {
public:
    explicit OfflineQueues(Settings const& settings) : StoredMessages{settings} {}

    Outcome run() override;

private:
    void make_sessions();
    void fill();
    void drain();
    void forget_sessions();
    [[nodiscard]] SequenceTotals add_up() const;
    [[nodiscard]] std::string topic_of(std::uint32_t session) const;
    void on_client_up(Client& client, mqtt::ConnAck const& answer) override;
    void on_stored(Client& client, Delivery const& delivery) override;

    std::vector<SequenceChecker> checkers_;  // by session
    std::uint64_t arrived_ = 0;
    std::uint64_t sessions_missing_ = 0;
    bool is_draining_ = false;
    SteadyTime asked_at_{};
};

}  // namespace spoke::sim::load
