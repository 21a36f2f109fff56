#include "bridge/inbox/inbox_waits.hpp"

namespace spoke::bridge {

InboxWaits::Ticket InboxWaits::add(InboxWait wait) {
    Ticket ticket{wait.who, added_++};
    by_time_.emplace(wait.until, ticket);
    waits_[ticket.first].emplace(ticket.second, std::move(wait));
    return ticket;
}

std::optional<InboxWait> InboxWaits::take(Ticket const& ticket) {
    auto found = waits_.find(ticket.first);
    if (found == waits_.end()) return std::nullopt;
    auto node = found->second.extract(ticket.second);
    if (node.empty()) return std::nullopt;
    if (found->second.empty()) waits_.erase(found);
    by_time_.erase({node.mapped().until, ticket});
    return std::move(node.mapped());
}

bool InboxWaits::has(std::string_view who) const {
    return waits_.contains(who);
}

bool InboxWaits::has(Ticket const& ticket) const {
    auto found = waits_.find(ticket.first);
    return found != waits_.end() && found->second.contains(ticket.second);
}

std::vector<InboxWait> InboxWaits::take_satisfied(std::string_view who, InboxView const& view) {
    std::vector<InboxWait> out;
    auto found = waits_.find(who);
    if (found == waits_.end()) return out;
    std::vector<Ticket> tickets;
    for (auto const& [number, wait] : found->second) {
        if (!wait.is_known(view)) tickets.emplace_back(found->first, number);
    }
    for (auto const& ticket : tickets) out.push_back(std::move(*take(ticket)));
    return out;
}

std::vector<InboxWait> InboxWaits::take_overdue(SteadyTime now) {
    std::vector<InboxWait> out;
    while (!by_time_.empty() && by_time_.begin()->first <= now) {
        out.push_back(std::move(*take(Ticket{by_time_.begin()->second})));
    }
    return out;
}

std::vector<std::string> InboxWaits::names() const {
    std::vector<std::string> out;
    for (auto const& [who, waits] : waits_) out.push_back(who);
    return out;
}

std::optional<SteadyTime> InboxWaits::next_deadline() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
}

}  // namespace spoke::bridge
