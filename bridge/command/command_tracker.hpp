#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "bridge/command/command.hpp"
#include "bridge/command/device_message.hpp"
#include "bridge/command/device_registry.hpp"
#include "bridge/command/idempotency.hpp"
#include "bridge/command/lanes.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// Why a record is written; comes back with on_saved.
enum class SavePurpose : std::uint8_t {
    accept,  // a new command: nobody is told of it before it is stored
    leave,   // it is about to be handed to the broker
    settle,  // its end: nobody is told before it is stored
    note,    // anything else: nothing waits for it
};

enum class SendResult : std::uint8_t {
    done,
    no_room,     // in the connection, for now; CommandTracker::on_room follows
    impossible,  // no connection to this broker will take it
};

/// What the tracker needs from outside. No method may call back into the tracker.
class TrackerPort {
public:
    /// Stores the record and its new arrows in the audit trail; CommandTracker::on_saved follows
    /// exactly once, later. Only `accept` may fail.
    virtual void save(Command const& command, SavePurpose purpose) = 0;

    /// The stored command of an Idempotency-Key, if the store has one.
    virtual std::optional<Command> recall(std::string_view key) = 0;

    /// Hands the order to the broker, once. Unless it gives `done` nothing has been sent.
    virtual SendResult send(Command const& command, Now const& now) = 0;

    /// The command's visible record is new (also when it is first stored).
    virtual void changed(Command const& command) = 0;

    /// A command could not be stored: it never existed.
    virtual void discarded(CommandId const& id) = 0;

protected:
    ~TrackerPort() = default;
};

/// What became of one copy of an order on its way to the broker.
enum class Handover : std::uint8_t {
    taken,     // PUBACK: the broker has it and somebody listens
    nobody,    // PUBACK 0x10: nobody listens, it goes nowhere
    refused,   // PUBACK with an error
    not_sent,  // no byte of it left the bridge
    lost,      // written, but the connection ended before the broker's word
};

enum class Refusal : std::uint8_t {
    no_such_device,
    denied,  // the device's record forbids the verb
    device_offline,
    precondition,
    key_reused,
    lane_busy,
    lane_full,
    too_many_keys,
    store_full,
    broker_down,
};

/// The whole life of every command: what may be sent when, what an answer means, when silence is an
/// end, when a retry is one (commands.md, section 2). Time and events come in, effects leave
/// through the TrackerPort. Records are kept `keep` beyond their end, so that retries find them.
/// Bound   `commands_max` records; at the bound new ones are refused.  Thread  one.
class CommandTracker {
public:
    struct Limits {
        std::size_t commands_max = 250'000;
        std::size_t lane_queue_max = 64;  // orders in one lane, the one under way included
        std::size_t keys_per_command_max = 16;
        std::chrono::milliseconds grace{2'000};         // beyond the deadline, for the answer
        std::chrono::milliseconds keep{86'400'000};     // settled records
        std::chrono::milliseconds abandon{86'400'000};  // `unknown` without any sign
    };

    /// Counts since the start.
    struct Counters {
        std::uint64_t answers_unknown = 0;     // of no command that is kept
        std::uint64_t answers_mismatched = 0;  // another device's, or another sequence number
        std::uint64_t answers_after_end = 0;   // the command was settled already
    };

    /// The registry outlives the tracker.
    CommandTracker(Limits limits, DeviceRegistry& devices, std::function<std::uint64_t()> random);

    struct Accepted {
        CommandId id;
        bool replayed = false;  // joined a command that was there before
    };

    /// Takes an order, or joins the one it repeats.
    /// Out     the command; a new one is not visible before TrackerPort::changed (or `discarded`).
    /// Errors  a Refusal: nothing was made and nothing will be sent.
    [[nodiscard]] std::variant<Accepted, Refusal> submit(CommandRequest request, Caller caller,
                                                         std::string key, Now const& now,
                                                         TrackerPort& out);

    /// Takes back an order that was not sent. Out: false if it is too late for that.
    bool cancel(CommandId const& id, Now const& now, TrackerPort& out);

    void on_saved(CommandId const& id, SavePurpose purpose, bool stored, Now const& now,
                  TrackerPort& out);

    /// The connection to the broker can take orders, or cannot any more.
    void on_broker(bool ready, Now const& now, TrackerPort& out);

    /// Something left the connection: where TrackerPort::send had no room there may be some again.
    /// Orders that wait for it leave in the order in which they came. Cheap if none does.
    void on_room(Now const& now, TrackerPort& out);

    /// How the last TrackerPort::send of the order ended. `why` is kept in the record if it
    /// reached nobody: "no_subscriber".
    void on_handover(CommandId const& id, Handover outcome, std::string_view why, Now const& now,
                     TrackerPort& out);

    /// The device can be reached (again): a new connection.
    void on_device_reachable(std::string_view device, Now const& now, TrackerPort& out);

    void on_answer(std::string_view device, Answer const& answer, Now const& now, TrackerPort& out);

    /// Settles what is open by the journal in the state, and what it shows was never executed.
    void on_state(std::string_view device, StateReport const& report, Now const& now,
                  TrackerPort& out);

    void on_timer(Now const& now, TrackerPort& out);
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;

    /// The visible record; nullptr if there is none (or none yet).
    [[nodiscard]] Command const* find(CommandId const& id) const;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    [[nodiscard]] bool broker_is_ready() const noexcept { return broker_ready_; }
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    struct Entry {
        Command command;                  // what everybody sees
        std::unique_ptr<Command> ending;  // settled, not yet stored
        SteadyTime accepted{};
        SteadyTime deadline{};
        std::optional<SteadyTime> due{};
        bool stored = false;
        bool leave_asked = false;   // the store was asked to note that it may leave
        bool leave_stored = false;  // ... and has
        bool ever_sent = false;
        bool starved = false;       // in starved_
        bool acknowledged = false;  // the broker has the last copy
        std::uint32_t copies = 0;   // handed over, and not told to have reached nobody
    };

    Entry* find_entry(CommandId const& id);
    std::optional<Refusal> check(CommandRequest const& request, Now const& now) const;
    std::variant<Accepted, Refusal> join(Entry& entry, CommandRequest const& request,
                                         std::string key, TrackerPort& out);
    void supersede_lane(CommandRequest const& request, Now const& now, TrackerPort& out);
    [[nodiscard]] bool may_go(Entry const& entry, Now const& now) const;
    void advance(Entry& entry, Now const& now, TrackerPort& out);
    void advance_lane(std::string const& device, std::string const& lane, Now const& now,
                      TrackerPort& out);
    void send(Entry& entry, Now const& now, TrackerPort& out);
    void send_again(Entry& entry, Now const& now, TrackerPort& out);
    void starve(Entry& entry);
    SendResult hand_over(Entry& entry, Now const& now, TrackerPort& out);
    void take_back(Entry& entry, std::string_view why, Now const& now, TrackerPort& out);
    [[nodiscard]] std::vector<CommandId> open_of(std::string_view device) const;
    [[nodiscard]] std::vector<CommandId> all_open() const;
    void close(Entry& entry);

    struct Arrow {
        CommandState state;
        std::string_view by;
        std::string_view why{};
    };
    void move(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out);
    void settle(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out,
                Answer const* answer = nullptr);
    void become_unknown(Entry& entry, Now const& now, TrackerPort& out);
    void apply(Entry& entry, Answer const& answer, std::string_view by, Now const& now,
               TrackerPort& out);
    void judge_by_state(Entry& entry, StateReport const& report, Now const& now, TrackerPort& out);
    static bool was_taken_after_deadline(StateReport const& report, Entry const& entry,
                                         Now const& now);
    static void save(Command& command, SavePurpose purpose, TrackerPort& out);
    void set_due(Entry& entry, std::optional<SteadyTime> due);
    void remove(Entry& entry);
    static void append(Command& command, Arrow const& arrow, SteadyTime accepted, Now const& now);

    Limits limits_;
    DeviceRegistry& devices_;  // outlives the tracker
    std::function<std::uint64_t()> random_;
    bool broker_ready_ = false;
    std::unordered_map<CommandId, Entry> entries_;
    std::set<std::pair<SteadyTime, CommandId>> due_;
    std::map<std::string, std::set<CommandId>, std::less<>> open_by_device_;  // not settled
    IdempotencyIndex requests_;
    Lanes lanes_;
    std::deque<CommandId> starved_;  // they may go, and found no room
    bool has_room_ = true;           // in the connection, as far as is known
    Counters counters_;
};

}  // namespace spoke::bridge
