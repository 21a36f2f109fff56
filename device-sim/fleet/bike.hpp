#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "device-sim/device/lock.hpp"
#include "device-sim/fleet/air.hpp"
#include "device-sim/fleet/deadline_queue.hpp"
#include "device-sim/fleet/fleet_options.hpp"
#include "device-sim/report/fleet_counts.hpp"
#include "protocol/link/link.hpp"

namespace spoke::sim {

/// What the bikes of a fleet share. Outlives them.
struct FleetCommons {
    FleetOptions const& options;
    mqtt::LinkHub& hub;
    DeadlineQueue deadlines;
    FleetCounts counts{};
    FaultCounts fault_counts{};
    std::string trouble{};                // why the latest attempt to connect failed
    std::function<void()> on_deadline{};  // a deadline may have become the earliest
    std::function<void()> on_stopped{};   // a bike has stopped for good
};

struct BikeRole {
    std::size_t number = 0;  // 0 .. bikes-1, also its member number in FleetCommons::deadlines
    LockIdentity identity{};
    std::shared_ptr<mqtt::LinkOptions const> link{};
    std::unique_ptr<Air> air{};                            // null: the network is perfect
    std::shared_ptr<mqtt::LinkOptions const> twin_link{};  // null: it has no twin
};

/// A lock on its own connection: translates between the lock's channels and MQTT.
/// Owned by the Fleet. Stays where it is: its link points to it.
class Bike final : private mqtt::LinkObserver, private LockSink {
public:
    Bike(FleetCommons& commons, BikeRole role);
    Bike(Bike const&) = delete;
    Bike& operator=(Bike const&) = delete;
    ~Bike() = default;

    /// Connects, and goes on trying until stop().
    void start();

    /// Says goodbye on `up` if connected, waits for the PUBACK, disconnects.
    void stop();

    /// Disconnects at once.
    void stop_now();

    /// Whether it stopped, or never started.
    [[nodiscard]] bool is_stopped() const noexcept;

    /// From now on faults befall it.
    void begin_faults();

    /// From now on nothing befalls it any more.
    void calm();

    /// Its connection ends, if it has one.
    void cut(mqtt::Cut how);

    /// The rider pushes the lock shut. Nothing happens unless it is open.
    void close_by_hand();

    [[nodiscard]] Lock const& lock() const noexcept { return lock_; }

    /// A deadline armed in FleetCommons::deadlines has come.
    void on_deadline();

private:
    mqtt::Connect make_connect() override;
    void on_link(mqtt::LinkStatus const& status) override;
    void on_connected(mqtt::ConnAck const& packet) override;
    void on_closed(mqtt::Closed const& closed) override;
    mqtt::Acknowledge on_message(mqtt::ReceivedMessage const& message) override;
    void on_published(mqtt::PublishToken token, mqtt::PublishOutcome const& outcome) override;
    void on_subscribed(mqtt::RequestToken token, mqtt::SubAck const& packet) override;
    void on_unsubscribed(mqtt::RequestToken token, mqtt::UnsubAck const& packet) override;
    void on_request_failed(mqtt::RequestToken token, mqtt::RequestFailure why) override;

    void publish(Channel channel, std::string_view payload, std::string_view trace) override;
    void settled(Result result) override;
    void ignored() override;
    void power_cycled() override;
    void fell_asleep(std::string_view last_words) override;
    void woke_up() override;
    void happened(LockFact const& fact) override;

    [[nodiscard]] mqtt::Acknowledge take_into_air(std::string_view leaf, Bytes payload,
                                                  std::string_view trace, mqtt::AckToken token);
    void publish_into_air(Channel channel, std::string_view payload, std::string_view trace);
    void pass_air(Now now);
    void strike(Blow const& blow, Now now);
    void deliver(Pending item, Now now);
    void deliver_order(Pending item, Now now);
    void acknowledge(Pending const& order, OrderLot const& lot, Now now);
    void count(OrderLot const& lot);

    void send(Channel channel, std::string_view payload, std::string_view trace);
    void subscribe();
    void say_goodbye(std::string_view last_words);
    void arm();
    void count_state(mqtt::LinkState state, bool enters) noexcept;
    [[nodiscard]] std::string topic(std::string_view leaf) const;
    [[nodiscard]] bool speaks_v5() const noexcept;

    FleetCommons& commons_;
    std::size_t number_;
    bool stopping_ = false;
    mqtt::LinkState link_state_ = mqtt::LinkState::idle;
    std::unique_ptr<Air> air_;  // null: the network is perfect
    Lock lock_;
    mqtt::Link link_;
};

}  // namespace spoke::sim
