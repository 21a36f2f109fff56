#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bridge/event/event_store.hpp"
#include "bridge/store/store.hpp"

namespace spoke::bridge::test {

/// The records and the events of one form.
struct BothStores {
    Store& store;
    EventStore& events;
};

/// Writes as a bridge makes them, and some odder ones: the same for the same seed.
class RandomWrites {
public:
    /// Asks a store for one write.
    using Operation = std::function<void(BothStores, Store::Done)>;

    /// It has lines, an event, or both, which no other step has.
    struct Step {
        Operation run;
        std::vector<AuditEntry> lines{};
        Need need = Need::now_or_never;
        std::uint64_t event = 0;  // the offset of one that stays; 0: it has none
    };

    /// Of the events of all steps: one is small enough to lose some.
    [[nodiscard]] static std::vector<EventClass> classes();

    explicit RandomWrites(std::uint64_t seed) : random_(seed) {}

    Step next();

    [[nodiscard]] std::vector<CommandId> const& ids() const noexcept { return ids_; }
    [[nodiscard]] static std::vector<std::string> keys();
    [[nodiscard]] static std::vector<std::string> devices();
    [[nodiscard]] static std::vector<std::string> people();
    [[nodiscard]] Command const& last_of(CommandId const& id) const { return commands_.at(id); }

private:
    std::uint64_t below(std::uint64_t bound);
    bool one_in(std::uint64_t bound) { return below(bound) == 0; }
    std::string const& one_of(std::vector<std::string> const& texts);
    std::string odd_text();
    WallTime now();
    Command fresh();
    void change(Command& command);
    void move(Command& command, CommandState state);
    std::vector<AuditEntry> entries_of(Command& command);
    AuditEntry entry(std::string what);
    [[nodiscard]] std::string step_mark() const;
    Step put(Command command, Need need);
    Step put_device();
    std::vector<Event> fresh_events();
    Event fresh_event(std::string topic);
    Step append_events();

    std::mt19937_64 random_;
    std::int64_t ms_ = 1'795'374'000'000;
    std::uint64_t steps_ = 0;
    std::uint64_t offset_ = 0;
    std::vector<CommandId> ids_;
    std::vector<CommandId> open_;
    std::map<CommandId, Command> commands_;
};

/// All that a store tells, in an order of its own.
struct Contents {
    std::vector<Command> open;
    std::vector<StoredDevice> devices;
    std::vector<Command> commands;
    std::vector<std::pair<std::string, Command>> by_key;
    std::vector<AuditEntry> trail;
    std::map<std::uint64_t, std::string> events;  // all of it as text
    std::vector<std::uint64_t> removed;           // by class
    std::vector<std::uint64_t> marks;             // of people
};

[[nodiscard]] Contents contents_of(BothStores stores, RandomWrites const& script);

/// Empty if they are the same, else what differs.
[[nodiscard]] std::string difference(Contents const& a, Contents const& b);

/// What was told of a step; nullopt: nothing yet.
using Outcome = std::optional<bool>;

/// Whether a store holds what it must after these steps: each that was told to be stored, none that
/// was told not to be, in order, and nothing but what those that are there make together. Which of
/// the others are there is read from the trail and the log. Empty if all is well.
[[nodiscard]] std::string judge(BothStores stores, RandomWrites const& script,
                                std::vector<RandomWrites::Step> const& steps,
                                std::vector<Outcome> const& outcomes);

}  // namespace spoke::bridge::test
