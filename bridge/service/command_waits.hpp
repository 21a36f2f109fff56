#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "bridge/command/command.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// A request that waits for a command.
struct CommandWait {
    CommandId id;
    std::function<bool(Command const&)> is_enough;
    SteadyTime until{};  // then `done` comes with the record as it is
    /// Called once: the record, or null if the store could not take it and it never existed.
    std::function<void(Command const*)> done;
    std::uint64_t not_before = 0;  // of Service::saves_asked(): not told before those are committed
};

/// The requests that wait, by command and by time. Calls none of their functions but `is_enough`.
class CommandWaits {
public:
    using Ticket = std::pair<CommandId, std::uint64_t>;

    Ticket add(CommandWait wait);

    /// The one of this ticket; nullopt if it was taken before.
    [[nodiscard]] std::optional<CommandWait> take(Ticket const& ticket);

    [[nodiscard]] bool has(CommandId const& id) const;

    /// Takes out those for which `command` is enough.
    [[nodiscard]] std::vector<CommandWait> take_satisfied(Command const& command);

    [[nodiscard]] std::vector<CommandWait> take_all_of(CommandId const& id);
    [[nodiscard]] std::vector<CommandWait> take_overdue(SteadyTime now);

    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;
    [[nodiscard]] std::size_t size() const noexcept { return waits_.size(); }

private:
    std::map<Ticket, CommandWait> waits_;
    std::set<std::pair<SteadyTime, Ticket>> by_time_;
    std::uint64_t added_ = 0;
};

}  // namespace spoke::bridge
