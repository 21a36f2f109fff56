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
#include "device-sim/device/lock_fact.hpp"
#include "device-sim/device/order.hpp"
#include "device-sim/device/payloads.hpp"
#include "device-sim/device/result.hpp"
#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// Where a message of a lock goes; each stands for one topic below `d/{id}/`.
enum class Channel : std::uint8_t { answer, state, presence, event, position };

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

    /// The lock goes to sleep: `last_words` go out on `up` (retained), then it disconnects.
    virtual void fell_asleep(std::string_view last_words) = 0;

    /// It wants its connection again.
    virtual void woke_up() = 0;

    /// What truly happens.
    virtual void happened(LockFact const&) {}

protected:
    ~LockSink() = default;
};

/// How faithful a lock is to the contract. The wrong ones show that a judge can see.
struct FirmwareFlaws {
    bool no_journal = false;        // keeps no receipts and minds no `n`
    bool ignores_deadline = false;  // carries out what is late
};

/// What the locks of a fleet have in common. Shares are probabilities of 0..1 per order.
struct LockModel {
    std::string firmware = "2.4.1";
    std::string hardware = "OC33";
    FirmwareFlaws flaws{};
    std::chrono::milliseconds motor_min{300};  // how long the motor takes
    std::chrono::milliseconds motor_max{900};
    std::chrono::milliseconds slow_motor_min{2'000};  // when it is slow
    std::chrono::milliseconds slow_motor_max{9'000};
    std::chrono::milliseconds motor_limit{8'000};  // then it is given up: `timeout_motor`
    std::chrono::milliseconds ring{400};           // each time
    std::chrono::milliseconds update{4'000};       // to load and check a firmware
    std::chrono::seconds heartbeat{60};            // until configured otherwise
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
    std::string_view rat = "LTE-M";           // static storage: the radio it reports
    std::optional<double> battery_percent{};  // instead of what the model draws
};

/// What befalls the next order that is carried out, beside the chances of the model.
struct Mishap {
    bool crash = false;
    bool jam = false;
    bool slow_motor = false;
};

/// A shared-bike lock: the device side of the command contract (README, "The contract").
/// Owned by whoever drives its link; pure: messages and time come in, effects go out through a
/// LockSink. Bound    eight receipts, eight unacknowledged events, three acts at a time. Thread one
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
    void power_cycle(Now now, LockSink& sink);

    void meets(Mishap mishap) noexcept { mishap_ = mishap; }

    /// Its clock is set wrong by so much more.
    void shift_clock(std::chrono::milliseconds by) noexcept { identity_.clock_error += by; }

    /// The will of the connection to be made, valid for this boot.
    [[nodiscard]] std::string will() const;

    [[nodiscard]] std::string const& id() const noexcept { return identity_.id; }
    [[nodiscard]] LockState state() const noexcept { return lock_; }
    [[nodiscard]] bool has_clock() const noexcept { return identity_.clock_set; }
    [[nodiscard]] bool is_asleep() const noexcept { return wake_at_ != SteadyTime::max(); }
    [[nodiscard]] std::uint8_t protocol_level() const noexcept { return identity_.protocol_level; }

    /// Whether its state tells what became of this order: by a receipt, or since it was not begun.
    [[nodiscard]] bool can_tell_of(std::string_view order, std::uint64_t n,
                                   Lane lane) const noexcept;

private:
    struct Running {
        OrderHead head;
        Act act;
        SteadyTime began;
        SteadyTime ends;
        Why trouble = Why::none;  // what the motor will meet
    };

    void refuse_or_carry_out(ParsedOrder parsed, Now now, LockSink& sink);
    [[nodiscard]] bool answer_known(OrderHead const& head, ParsedOrder const& parsed, Now now,
                                    LockSink& sink);
    [[nodiscard]] std::optional<Why> objection(Order const& order, Now now) const;
    [[nodiscard]] bool is_late(Order const& order, Now now) const;
    [[nodiscard]] bool is_replay(Order const& order) const;
    [[nodiscard]] bool holds(Condition const& condition, Lane lane) const;
    [[nodiscard]] bool is_busy(Act const& act) const;

    void refuse(OrderHead head, Why why, Now now, LockSink& sink);
    void cancel(OrderHead head, Cancel const& wanted, Now now, LockSink& sink);
    void carry_out(Order order, Now now, LockSink& sink);
    void begin(Running& running, Mishap mishap);
    void begin_motor(Running& running, Mishap mishap);
    [[nodiscard]] Result finish(Running const& done, Now now, LockSink& sink);
    [[nodiscard]] Result finish_unlock(Running const& done, Now now, LockSink& sink);
    [[nodiscard]] Result finish_lock(Running const& done, Now now, LockSink& sink);
    void complete(Running done, Now now, LockSink& sink);
    void apply(Settings const& settings, Now now);

    void finish_due_acts(Now now, LockSink& sink);
    void fall_asleep(Now now, LockSink& sink);
    void wake_up(LockSink& sink);
    void add_track_point(Now now, LockSink& sink);
    void publish_track(Now now, LockSink& sink);
    void begin_riding(Now now);
    void stop_riding(Now now, LockSink& sink);

    void answer(AnswerText text, Now now, LockSink& sink);
    void publish_state(Now now, LockSink& sink);
    void publish_event(std::string payload, LockSink& sink);
    void report_low_battery(Now now, LockSink& sink);
    void tell(LockFact::Kind kind, Running const& running, LockSink& sink, Result result = {},
              bool moved = false) const;
    [[nodiscard]] LockFact fact_of(LockFact::Kind kind, Running const& running) const;

    [[nodiscard]] Snapshot snapshot(Now now) const;
    [[nodiscard]] unsigned speed() const noexcept;
    [[nodiscard]] TrackPoint place(Now now) const;
    [[nodiscard]] std::uint64_t key_for(std::string_view order) const noexcept;
    [[nodiscard]] std::chrono::milliseconds uptime(Now now) const;
    [[nodiscard]] std::int64_t wall_ms(Now now) const;
    [[nodiscard]] bool is_riding() const noexcept {
        return lock_ == LockState::unlocked && !ride_.empty();
    }

    LockModel const& model_;
    LockIdentity identity_;
    Dice dice_;
    Mishap mishap_{};

    // What flash keeps.
    Journal journal_;
    std::array<std::uint64_t, kLaneCount> last_n_{};
    std::vector<std::string> events_;
    std::chrono::seconds heartbeat_;
    std::chrono::seconds track_{0};
    std::uint32_t settings_version_ = 0;
    std::uint16_t updates_ = 0;
    bool alarm_ = false;

    // What the mechanics and the sensors say.
    LockState lock_ = LockState::locked;
    std::string ride_;
    SteadyTime opened_at_{};
    double battery_percent_;
    double latitude_;  // where the latest ride began, or ended
    double longitude_;
    double course_ = 0;  // of the ride, in radians
    int rssi_;
    bool low_battery_reported_ = false;

    // What a reboot clears.
    std::vector<Running> running_;
    std::vector<TrackPoint> points_;
    SteadyTime booted_at_;
    SteadyTime connected_at_{};
    std::chrono::seconds sleep_length_{};
    bool connected_ = false;

    SteadyTime heartbeat_at_ = SteadyTime::max();
    SteadyTime reboot_at_ = SteadyTime::max();
    SteadyTime hand_close_at_ = SteadyTime::max();
    SteadyTime sleep_at_ = SteadyTime::max();
    SteadyTime wake_at_ = SteadyTime::max();
    SteadyTime track_at_ = SteadyTime::max();
};

}  // namespace spoke::sim
