#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// An inbox as it is told: all of it, never what has changed.
struct InboxView {
    std::shared_ptr<std::string const> document;  // null: the log cannot be read now
    std::string etag;
    std::uint64_t unread = 0;
};

/// A request that waits until an inbox is another one than it knows.
struct InboxWait {
    std::string who;
    std::function<bool(InboxView const&)> is_known;
    SteadyTime until{};
    std::function<void(InboxView const&)> done;  // called once
};

/// The requests that wait, by inbox and by time. Calls none of their functions but `is_known`.
class InboxWaits {
public:
    using Ticket = std::pair<std::string, std::uint64_t>;

    Ticket add(InboxWait wait);

    /// The one of this ticket; nullopt if it was taken before.
    [[nodiscard]] std::optional<InboxWait> take(Ticket const& ticket);

    [[nodiscard]] bool has(std::string_view who) const;
    [[nodiscard]] bool has(Ticket const& ticket) const;

    /// Takes out those who do not know the inbox as it is now.
    [[nodiscard]] std::vector<InboxWait> take_satisfied(std::string_view who,
                                                        InboxView const& view);
    [[nodiscard]] std::vector<InboxWait> take_overdue(SteadyTime now);

    /// Everybody somebody waits for.
    [[nodiscard]] std::vector<std::string> names() const;

    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;
    [[nodiscard]] std::size_t size() const noexcept { return by_time_.size(); }

private:
    using ByNumber = std::map<std::uint64_t, InboxWait>;

    std::map<std::string, ByNumber, std::less<>> waits_;
    std::set<std::pair<SteadyTime, Ticket>> by_time_;
    std::uint64_t added_ = 0;
};

}  // namespace spoke::bridge
