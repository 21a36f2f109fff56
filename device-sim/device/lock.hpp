#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/device/dice.hpp"
#include "device-sim/device/journal.hpp"
#include "device-sim/device/order.hpp"
#include "device-sim/device/payloads.hpp"
#include "device-sim/device/result.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// Where a message of a lock goes; each stands for one topic below `d/{id}/`.
enum class Channel : std::uint8_t { answer, state, presence, event };

/// What a lock does to the world. A test hands in one that records.
class LockSink {
public:
    /// `trace` is what the order carried to be echoed, often empty. Both views end with the call.
    virtual void publish(Channel channel, std::string_view payload, std::string_view trace) = 0;

    /// An order has come to this end (`started` is none). Called whether or not an answer can
    /// leave.
    virtual void settled(Result result) = 0;

    /// An order was not answered: no usable id, or a mute lock.
    virtual void ignored() = 0;

    /// The lock has lost its power and is up again: its connection broke without a goodbye.
    virtual void power_cycled() = 0;

protected:
    ~LockSink() = default;
};

/// What the locks of a fleet have in common. Shares are probabilities of 0..1 per order.
struct LockModel {
    std::string firmware = "2.4.1";
    std::string hardware = "OC33";
    std::chrono::milliseconds motor_min{300};  // how long the motor takes
    std::chrono::milliseconds motor_max{900};
    std::chrono::milliseconds ring{400};  // each time
    std::chrono::seconds heartbeat{60};   // until configured otherwise
    std::chrono::milliseconds
        ride_min{};  // the rider closes the lock by hand after this; 0 is never
    std::chrono::milliseconds ride_max{};
    double battery_percent_min = 20;  // a new lock has anything between these
    double battery_percent_max = 100;
    double jam_share = 0;  // the motor jams
    double crash_share =
        0;  // power is lost after the order was written down, before the motor moves
    double mute_share = 0;  // the order is not seen at all
};

struct LockIdentity {
    std::string id;
    std::uint64_t seed = 0;
    std::uint32_t boot = 1;
    std::uint8_t protocol_level = 5;
    bool clock_set = true;  // otherwise without wall clock until on_time()
    std::chrono::milliseconds clock_error{0};
};

/// A shared-bike lock: the device side of the command contract (README, "The contract").
/// Owned by whoever drives its link; pure: messages and time come in, effects go out through a
/// LockSink. Bound    eight receipts, eight unacknowledged events, two acts at a time. Thread   one
/// at a time.
class Lock {
public:
    /// `model` must outlive the lock.
    Lock(LockModel const& model, LockIdentity identity, Now now);

    /// CONNACK came: publishes birth, state and the events that still wait for their PUBACK.
    void on_connected(Now now, LockSink& sink);

    /// Nothing is published until on_connected(); acts go on, their results wait in the journal.
    void on_disconnected() noexcept;

    /// A message on `d/{id}/cmd`. `trace`: the MQTT 5 user property `traceparent`, or empty.
    void on_order(Bytes payload, std::string_view trace, Now now, LockSink& sink);

    /// A message on `d/{id}/cfg`. Anything but newer settings changes nothing.
    void on_wanted_settings(Bytes payload, Now now, LockSink& sink);

    /// A message on `$time`. Sets the clock.
    void on_time(Bytes payload, Now now);

    /// The oldest unacknowledged event has its PUBACK.
    void on_event_acknowledged();

    /// To be called once deadline() is reached; does whatever is due by `now`.
    void on_deadline(Now now, LockSink& sink);

    /// When on_deadline() should be called next; may change with every other call.
    [[nodiscard]] SteadyTime deadline() const noexcept;

    /// The rider pushes the lock shut. Nothing happens unless it is open.
    void close_by_hand(Now now, LockSink& sink);

    /// Everything but flash is lost and the lock boots again; unfinished orders become
    /// `fail:reboot`.
    void power_cycle(Now now);

    /// The will of the connection to be made, valid for this boot.
    [[nodiscard]] std::string will() const;

    [[nodiscard]] std::string const& id() const noexcept { return identity_.id; }
    [[nodiscard]] LockState state() const noexcept { return lock_; }
    [[nodiscard]] bool has_clock() const noexcept { return identity_.clock_set; }
    [[nodiscard]] std::uint8_t protocol_level() const noexcept { return identity_.protocol_level; }

private:
    struct Running {
        OrderHead head;
        Act act;
        SteadyTime began;
        SteadyTime ends;
    };

    [[nodiscard]] std::optional<Why> objection(Order const& order, Now now) const;
    [[nodiscard]] bool is_late(Order const& order, Now now) const;
    [[nodiscard]] bool is_replay(Order const& order) const;
    [[nodiscard]] bool holds(Condition const& condition, Lane lane) const;
    [[nodiscard]] bool is_busy(Act const& act) const;

    void refuse(OrderHead head, Why why, Now now, LockSink& sink);
    void cancel(OrderHead head, Cancel const& wanted, Now now, LockSink& sink);
    void carry_out(Order order, Now now, LockSink& sink);
    [[nodiscard]] std::chrono::milliseconds begin(Act const& act, Now now);
    [[nodiscard]] Result finish(Act const& act, Now now);
    [[nodiscard]] Result finish_unlock(Unlock const& act, Now now);
    [[nodiscard]] Result finish_lock();
    void complete(Running done, Now now, LockSink& sink);
    void apply(Settings const& settings, Now now);

    void finish_due_acts(Now now, LockSink& sink);
    void answer(AnswerText const& text, Now now, LockSink& sink);
    void publish_state(Now now, LockSink& sink);
    void publish_event(std::string payload, LockSink& sink);
    void report_low_battery(Now now, LockSink& sink);

    [[nodiscard]] Snapshot snapshot(Now now) const;
    [[nodiscard]] std::chrono::milliseconds uptime(Now now) const;
    [[nodiscard]] std::int64_t wall_ms(Now now) const;

    LockModel const& model_;
    LockIdentity identity_;
    Dice dice_;

    // What flash keeps.
    Journal journal_;
    std::array<std::uint64_t, kLaneCount> last_n_{};
    std::vector<std::string> events_;
    std::chrono::seconds heartbeat_;
    std::uint32_t settings_version_ = 0;
    bool alarm_ = false;

    // What the mechanics and the sensors say.
    LockState lock_ = LockState::locked;
    std::string ride_;
    SteadyTime opened_at_{};
    double battery_percent_;
    double latitude_;
    double longitude_;
    int rssi_;
    bool low_battery_reported_ = false;

    // What a reboot clears.
    std::vector<Running> running_;
    SteadyTime booted_at_;
    SteadyTime connected_at_{};
    bool connected_ = false;

    SteadyTime heartbeat_at_ = SteadyTime::max();
    SteadyTime reboot_at_ = SteadyTime::max();
    SteadyTime hand_close_at_ = SteadyTime::max();
};

}  // namespace spoke::sim
