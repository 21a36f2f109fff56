#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What is to be done at a time.
/// Thread  one.
class Alarms {
public:
    using Ticket = std::pair<SteadyTime, std::uint64_t>;

    Ticket add(SteadyTime when, std::function<void()> what) {
        Ticket ticket{when, added_++};
        alarms_.emplace(ticket, std::move(what));
        return ticket;
    }

    /// Takes one back; does nothing if its time has come.
    void remove(Ticket const& ticket) { alarms_.erase(ticket); }

    /// The first whose time has come, taken out; empty if there is none.
    [[nodiscard]] std::function<void()> take_due(SteadyTime now) {
        if (alarms_.empty() || alarms_.begin()->first.first > now) return {};
        return std::move(alarms_.extract(alarms_.begin()).mapped());
    }

    [[nodiscard]] std::optional<SteadyTime> next_deadline() const {
        if (alarms_.empty()) return std::nullopt;
        return alarms_.begin()->first.first;
    }
    [[nodiscard]] std::size_t size() const noexcept { return alarms_.size(); }

private:
    std::map<Ticket, std::function<void()>> alarms_;
    std::uint64_t added_ = 0;
};

}  // namespace spoke::bridge
