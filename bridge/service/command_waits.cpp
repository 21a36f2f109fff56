#include "bridge/service/command_waits.hpp"

namespace spoke::bridge {

CommandWaits::Ticket CommandWaits::add(CommandWait wait) {
    Ticket ticket{wait.id, added_++};
    by_time_.emplace(wait.until, ticket);
    waits_.emplace(ticket, std::move(wait));
    return ticket;
}

std::optional<CommandWait> CommandWaits::take(Ticket const& ticket) {
    auto at = waits_.find(ticket);
    if (at == waits_.end()) return std::nullopt;
    by_time_.erase({at->second.until, at->first});
    auto wait = std::move(at->second);
    waits_.erase(at);
    return wait;
}

std::vector<CommandWait> CommandWaits::take_satisfied(Command const& command) {
    std::vector<CommandWait> out;
    auto at = waits_.lower_bound(Ticket{command.id, 0});
    while (at != waits_.end() && at->first.first == command.id) {
        if (!at->second.is_enough(command)) {
            ++at;
            continue;
        }
        by_time_.erase({at->second.until, at->first});
        out.push_back(std::move(at->second));
        at = waits_.erase(at);
    }
    return out;
}

bool CommandWaits::has(CommandId const& id) const {
    auto at = waits_.lower_bound(Ticket{id, 0});
    return at != waits_.end() && at->first.first == id;
}

std::vector<CommandWait> CommandWaits::take_all_of(CommandId const& id) {
    Command any;
    any.id = id;
    for (auto at = waits_.lower_bound(Ticket{id, 0}); at != waits_.end() && at->first.first == id;
         ++at) {
        at->second.is_enough = [](Command const&) { return true; };
    }
    return take_satisfied(any);
}

std::vector<CommandWait> CommandWaits::take_overdue(SteadyTime now) {
    std::vector<CommandWait> out;
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
        auto at = waits_.find(by_time_.begin()->second);
        by_time_.erase(by_time_.begin());
        out.push_back(std::move(at->second));
        waits_.erase(at);
    }
    return out;
}

std::optional<SteadyTime> CommandWaits::next_deadline() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
}

}  // namespace spoke::bridge
