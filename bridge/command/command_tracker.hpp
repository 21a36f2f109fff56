#pragma once

#include <array>
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
#include "bridge/command/receipt.hpp"
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

/// One handing over of an order to the broker.
struct Copy {
    std::uint32_t number = 0;          // from 1, per order
    std::chrono::milliseconds left{};  // of the order's time
};

/// What the tracker needs from outside. No method may call back into the tracker.
class TrackerPort {
public:
    /// Stores the record and its new arrows in the audit trail; CommandTracker::on_saved follows
    /// exactly once, later. Only `accept` may fail.
    virtual void save(Command const& command, SavePurpose purpose) = 0;

    /// Whether a new record could be stored now.
    [[nodiscard]] virtual bool takes_writes() const = 0;

    /// The stored command of an Idempotency-Key, if the store has one.
    [[nodiscard]] virtual std::optional<Command> recall(std::string_view key) const = 0;

    /// Hands the order to the broker, once. Unless it gives `done` nothing has been sent.
    virtual SendResult send(Command const& command, Copy const& copy, Now const& now) = 0;

    /// The command's visible record is new (also when it is first stored). A settled one is
    /// stored already and leaves the tracker with this call.
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

struct CopyFate {
    std::uint32_t copy = 0;  // Copy::number
    Handover outcome{};
    std::string_view why{};  // kept in the record if it reached nobody: "no_subscriber"
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
    store_full,  // as many open commands as there may be, or the store takes no writes
    broker_down,
};
inline constexpr std::size_t kRefusals = 10;

[[nodiscard]] std::string_view name_of(Refusal refusal) noexcept;

/// The whole life of every command: what may be sent when, what an answer means, when silence is an
/// end, when a retry is one (bridge/COMMANDS.md). Time and events come in, effects leave through
/// the TrackerPort. A settled command leaves as soon as its end is stored. Terms   handed over: the
/// broker was given a copy which is not known to have gone nowhere. Such an
///         order may have been carried out, whatever its visible state says.
/// Bound   `open_max` commands; at the bound new ones are refused.  Thread  one.
class CommandTracker {
public:
    struct Limits {
        std::size_t open_max = 100'000;   // not settled, or the end is not stored yet
        std::size_t lane_queue_max = 64;  // orders in one lane, the one under way included
        std::size_t keys_per_command_max = 16;
        std::chrono::milliseconds grace{2'000};         // beyond the deadline, for the answer
        std::chrono::milliseconds abandon{86'400'000};  // `unknown` without any sign
        std::chrono::milliseconds ack_patience{2'000};  // sent, no PUBACK: the device is quiet
    };

    /// Counts since the start.
    struct Counters {
        std::uint64_t answers_unknown = 0;     // of no command that is open
        std::uint64_t answers_mismatched = 0;  // another device's, or another sequence number
        std::uint64_t answers_old_boot = 0;    // given before the device's last start
        std::uint64_t answers_after_end = 0;   // the end is being stored
        std::uint64_t answers_again = 0;       // `started` of what is running already
        std::uint64_t traces_mismatched = 0;   // the answer echoes another trace
        std::uint64_t receipts_unknown = 0;    // of no open command, or of no copy of it
        std::uint64_t receipts_foreign = 0;    // of another receiver than the device
        std::array<std::uint64_t, kRefusals> refusals{};
    };

    /// The registry outlives the tracker.
    CommandTracker(Limits limits, DeviceRegistry& devices, std::function<std::uint64_t()> random);

    struct Accepted {
        CommandId id;
        bool replayed = false;  // joined a command that was there before
    };

    /// Takes over the open commands of the process before this one, before anything else. What may
    /// have left is `unknown` from now on, unless it may be sent again.
    void restore(std::vector<Command> commands, Now const& now, TrackerPort& out);

    /// Takes an order, or joins the one it repeats.
    /// Out     the command; a new one is not visible before TrackerPort::changed (or `discarded`).
    /// Errors  a Refusal: nothing was made and nothing will be sent.
    [[nodiscard]] std::variant<Accepted, Refusal> submit(CommandRequest request, Caller caller,
                                                         std::string key, Now const& now,
                                                         TrackerPort& out);

    /// Takes back an order that was not handed over. Out: false if it is too late for that.
    bool cancel(CommandId const& id, std::string_view by, Now const& now, TrackerPort& out);

    void on_saved(CommandId const& id, SavePurpose purpose, bool stored, Now const& now,
                  TrackerPort& out);

    /// The connection to the broker can take orders, or cannot any more.
    void on_broker(bool ready, Now const& now, TrackerPort& out);

    /// Something left the connection: where TrackerPort::send had no room there may be some again.
    /// Orders that wait for it leave in the order in which they came. Cheap if none does.
    void on_room(Now const& now, TrackerPort& out);

    /// How a TrackerPort::send of the order ended.
    void on_handover(CommandId const& id, CopyFate const& fate, Now const& now, TrackerPort& out);

    /// What the broker did with copy number `copy`. Each may come twice, late, or not at all.
    void on_receipt(Receipt const& receipt, std::uint32_t copy, Now const& now, TrackerPort& out);

    /// The device can be reached (again): a new connection.
    void on_device_reachable(std::string_view device, Now const& now, TrackerPort& out);

    void on_answer(std::string_view device, Answer const& answer, Now const& now, TrackerPort& out);

    /// Settles what is open by the journal in the state, and what it shows was never executed.
    void on_state(std::string_view device, StateReport const& report, Now const& now,
                  TrackerPort& out);

    void on_timer(Now const& now, TrackerPort& out);
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;

    /// The visible record; nullptr if there is none (or none yet, or none any more).
    [[nodiscard]] Command const* find(CommandId const& id) const;

    /// Whether the order may have been carried out; false if there is none.
    [[nodiscard]] bool is_handed_over(CommandId const& id) const;

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

    /// Open commands by state. Cost  O(size()).
    [[nodiscard]] std::array<std::size_t, kCommandStates> count_states() const {
        std::array<std::size_t, kCommandStates> out{};
        for (auto const& [id, entry] : entries_) {
            ++out.at(static_cast<std::size_t>(entry.command.state));
        }
        return out;
    }

    [[nodiscard]] bool broker_is_ready() const noexcept { return broker_ready_; }
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    static constexpr SteadyTime kNever = SteadyTime::max();

    struct Entry {
        Command command;                    // what everybody sees
        std::unique_ptr<Command> ending{};  // settled, not yet stored
        SteadyTime accepted{};
        SteadyTime deadline{};
        SteadyTime due = kNever;        // in due_
        SteadyTime second = kNever;     // to save arrows, to miss a PUBACK, or to try again
        std::uint64_t open_copies = 0;  // one bit for each copy that is not known to be nowhere
        std::uint32_t copies = 0;       // handed over in all
        std::uint32_t first_copy = 1;   // number of the copy which the lowest bit stands for
        std::uint32_t leaves = 0;       // saves of that kind which the store has not answered
        std::int64_t sent_us = 0;       // the broker's clock when it was written to the device
        bool arrived : 1 = false;       // a copy was written to the device, or may have been
        bool acknowledged : 1 = false;  // the broker has the last copy
        bool stored : 1 = false;
        bool leave_asked : 1 = false;   // the store was asked to note that it may leave
        bool leave_stored : 1 = false;  // ... and has
        bool again : 1 = false;         // another copy is due
        bool starved : 1 = false;       // in starved_
        bool in_lane : 1 = false;
        bool unsaved : 1 = false;  // arrows that the store does not have

        [[nodiscard]] bool is_handed_over() const { return arrived || open_copies != 0; }
    };

    struct Arrow {
        CommandState state;
        std::string_view by;
        std::string_view why{};
    };
    struct Nowhere {
        std::uint32_t copy = 0;
        std::string_view why{};
        bool ends = false;  // where no copy is left it is not tried again
    };

    void restore_one(Command command, Now const& now, TrackerPort& out);
    Entry* find_entry(CommandId const& id);
    std::variant<Accepted, Refusal> refuse(Refusal refusal);
    [[nodiscard]] std::optional<Refusal> check(CommandRequest const& request, Now const& now,
                                               TrackerPort const& out) const;
    std::variant<Accepted, Refusal> join(Entry& entry, CommandRequest const& request,
                                         std::string key, TrackerPort& out);
    Entry& add(Command command, SteadyTime accepted, SteadyTime deadline);
    void supersede_lane(CommandRequest const& request, Now const& now, TrackerPort& out);

    [[nodiscard]] bool may_go(Entry const& entry, Now const& now) const;
    void prepare(Entry& entry);
    [[nodiscard]] bool is_prepared(Entry const& entry) const;
    void advance(Entry& entry, Now const& now, TrackerPort& out);
    void advance_lane(std::string const& device, std::string const& lane, Now const& now,
                      TrackerPort& out);
    void leave_lane(Entry& entry, Now const& now, TrackerPort& out);
    void send(Entry& entry, Now const& now, TrackerPort& out);
    SendResult hand_over(Entry& entry, Now const& now, TrackerPort& out);
    void starve(Entry& entry);
    [[nodiscard]] static bool may_repeat(Entry const& entry);
    [[nodiscard]] static bool may_wait(Entry const& entry);

    void copy_is_nowhere(Entry& entry, Nowhere const& what, Now const& now, TrackerPort& out);
    void take_back(Entry& entry, std::string_view why, Now const& now, TrackerPort& out);
    void was_sent(Entry& entry, Receipt const& receipt, Now const& now, TrackerPort& out);
    void was_delivered(Entry& entry, Receipt const& receipt, Now const& now, TrackerPort& out);
    void was_refused(Entry& entry, Receipt const& receipt, Now const& now, TrackerPort& out);

    [[nodiscard]] bool is_believed(Entry const& entry, std::string_view device,
                                   Answer const& answer);
    void apply(Entry& entry, Answer const& answer, std::string_view by, Now const& now,
               TrackerPort& out);
    void judge_by_state(Entry& entry, StateReport const& report, Now const& now, TrackerPort& out);

    void on_second(Entry& entry, Now const& now, TrackerPort& out);
    void on_due(Entry& entry, Now const& now, TrackerPort& out);
    [[nodiscard]] SteadyTime next_step(Entry const& entry) const;
    void schedule(Entry& entry);

    void move(Entry& entry, Arrow const& arrow, std::chrono::milliseconds t, TrackerPort& out);
    void note(Entry& entry, Now const& now);
    void settle(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out,
                Answer const* answer = nullptr);
    void become_unknown(Entry& entry, std::string_view why, Now const& now, TrackerPort& out);
    static void save(Entry& entry, SavePurpose purpose, TrackerPort& out);
    void close(Entry& entry);
    void remove(Entry& entry);
    [[nodiscard]] std::vector<CommandId> open_of(std::string_view device) const;
    [[nodiscard]] std::vector<CommandId> all_open() const;

    Limits limits_;
    DeviceRegistry& devices_;  // outlives the tracker
    std::function<std::uint64_t()> random_;
    bool broker_ready_ = false;
    std::unordered_map<CommandId, Entry> entries_;
    std::set<std::pair<SteadyTime, CommandId>> due_;
    std::map<std::string, std::vector<CommandId>, std::less<>> open_by_device_;  // not settled
    IdempotencyIndex requests_;
    Lanes lanes_;
    std::deque<CommandId> starved_;  // they may go, and found no room
    bool has_room_ = true;           // in the connection, as far as is known
    Counters counters_;
};

}  // namespace spoke::bridge
