#pragma once

#include <functional>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bridge/store/store.hpp"

namespace spoke::bridge::test {

/// Writes as a bridge makes them, and some odder ones: the same for the same seed.
class RandomWrites {
public:
    /// Asks a store for one write.
    using Operation = std::function<void(Store&, Store::Done)>;

    struct Step {
        Operation run;
        std::vector<AuditEntry> lines;  // one or two, which no other step has
        Need need = Need::now_or_never;
    };

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

    std::mt19937_64 random_;
    std::int64_t ms_ = 1'795'374'000'000;
    std::uint64_t steps_ = 0;
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
};

[[nodiscard]] Contents contents_of(Store const& store, RandomWrites const& script);

/// Empty if they are the same, else what differs.
[[nodiscard]] std::string difference(Contents const& a, Contents const& b);

/// What was told of a step; nullopt: nothing yet.
using Outcome = std::optional<bool>;

/// Whether a store holds what it must after these steps: each that was told to be stored, none that
/// was told not to be, in order, and nothing but what those that are there make together. Which of
/// the others are there is read from the trail. Empty if all is well.
[[nodiscard]] std::string judge(Store const& store, RandomWrites const& script,
                                std::vector<RandomWrites::Step> const& steps,
                                std::vector<Outcome> const& outcomes);

}  // namespace spoke::bridge::test
