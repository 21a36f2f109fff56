#pragma once

#include <cstdint>
#include <optional>
#include <random>
#include <vector>

#include "device-sim/load/flow.hpp"
#include "device-sim/load/meter.hpp"
#include "device-sim/load/publish_template.hpp"
#include "device-sim/load/rate_clock.hpp"
#include "device-sim/load/sequence_checker.hpp"
#include "device-sim/load/traffic_plan.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim::load {

/// p2p, fanout, fanin and push: numbered messages from publishers to receivers, either as many as
/// the windows allow or at a given rate. At QoS 1 and 2 a message also holds its packet id until
/// acknowledged, so a window frees only when the receivers have it and the broker has answered.
class Traffic final : public Workload {
public:
    explicit Traffic(Settings const& settings);

    Outcome run() override;

private:
    struct Flow {
        PublishTemplate message;
        FlowWindow window;
        std::uint32_t publisher;
        IndexRange receivers;
        bool is_ready = false;
    };
    struct Publisher {
        Client* client;
        PacketIds ids;
        std::vector<SteadyTime> sent_at;  // by packet id - 1
    };
    struct Receiver {
        IndexRange flows;
        std::size_t first_checker;
    };

    void build();
    void warm_up_and_measure();
    void drain();
    [[nodiscard]] Outcome conclude();
    [[nodiscard]] SequenceTotals add_up() const;

    void on_delivery(Client& client, Delivery const& delivery) override;
    void on_acknowledged(Client& client, Acknowledgement const& acknowledgement) override;
    void on_turn_end() override;
    void on_turn_measured(std::chrono::nanoseconds duration) override;
    [[nodiscard]] SteadyTime next_wake() const override;

    void make_ready(std::uint32_t flow);
    void refill();
    void send_due();
    bool send_one(std::uint32_t flow, SteadyTime stamp);
    [[nodiscard]] std::uint32_t choose_flow();
    void watch_for_stall();
    [[nodiscard]] bool is_settled() const;
    [[nodiscard]] bool is_broken() const noexcept { return disconnects_ != 0 || has_stalled_; }
    [[nodiscard]] bool has_rate() const noexcept { return settings_.rate > 0; }
    [[nodiscard]] bool is_acknowledged() const noexcept {
        return settings_.qos != mqtt::Qos::at_most_once;
    }

    TrafficPlan plan_;
    Meter meter_;
    std::vector<Flow> flows_;
    std::vector<Publisher> publishers_;
    std::vector<Receiver> receivers_;
    std::vector<SequenceChecker> checkers_;
    std::vector<std::uint32_t> ready_;
    std::optional<RateClock> pace_;
    std::minstd_rand random_;
    std::uint32_t next_flow_ = 0;
    bool is_sending_ = false;
    bool is_throttled_ = false;
    bool has_stalled_ = false;
    SteadyTime last_progress_{};
    std::uint64_t sent_ = 0;
    std::uint64_t misrouted_ = 0;
    std::uint64_t refused_ = 0;
    std::uint64_t unexpected_acknowledgements_ = 0;
    std::uint64_t stalls_ = 0;
};

}  // namespace spoke::sim::load
