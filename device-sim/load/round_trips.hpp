#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "device-sim/load/flow.hpp"
#include "device-sim/load/meter.hpp"
#include "device-sim/load/publish_template.hpp"
#include "device-sim/load/rate_clock.hpp"
#include "device-sim/load/sequence_checker.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim::load {

/// rtt: in each pair a requester publishes, a responder answers on the pair's other topic, and the
/// next request leaves when the answer is there and, with a rate, its time has come. Latency is
/// that of the whole round: two messages.
class RoundTrips final : public Workload {
public:
    explicit RoundTrips(Settings const& settings)
        : Workload{settings}, meter_{settings.broker_pid} {}

    Outcome run() override;

private:
    /// One end of a pair. Its tag is 2 * pair for the requester, one more for the responder.
    struct End {
        Client* client;
        PublishTemplate message;
        PacketIds ids;
        SequenceChecker checker;
        std::uint32_t sent = 0;
        std::optional<PayloadHead> pending;  // to be sent when a packet id is free
    };

    void build(Group const& clients);
    void measure();
    [[nodiscard]] Outcome conclude() const;
    [[nodiscard]] bool is_settled() const;
    [[nodiscard]] std::string topic_of(std::uint32_t tag) const;

    void on_delivery(Client& client, Delivery const& delivery) override;
    void on_acknowledged(Client& client, Acknowledgement const& acknowledgement) override;
    void on_turn_measured(std::chrono::nanoseconds duration) override;

    [[nodiscard]] SteadyTime next_wake() const override;
    void on_turn_end() override;

    void take_response(End& requester, PayloadHead const& head);
    void request(End& requester, std::uint32_t pair);
    void send(End& end, PayloadHead const& head);

    Meter meter_;
    std::vector<End> ends_;
    std::optional<RateClock> pace_{};
    std::vector<std::uint32_t> waiting_{};  // pairs whose next request is not due
    bool is_sending_ = false;
    std::uint64_t rounds_ = 0;
    std::uint64_t misrouted_ = 0;
    std::uint64_t refused_ = 0;
    SteadyTime last_progress_{};
};

}  // namespace spoke::sim::load
