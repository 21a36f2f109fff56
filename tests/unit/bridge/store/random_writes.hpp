#pragma once

#include <functional>
#include <map>
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

    explicit RandomWrites(std::uint64_t seed) : random_(seed) {}

    /// Every operation leaves one or two lines in the trail, `lines` counts them.
    Operation next();

    std::size_t lines = 0;
    std::vector<Need> needs{};  // of the operations so far

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
    Operation put(Command command, Need need);
    Operation put_device();

    std::mt19937_64 random_;
    std::int64_t ms_ = 1'795'374'000'000;
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

}  // namespace spoke::bridge::test
