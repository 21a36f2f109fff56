#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <queue>
#include <vector>

#include "protocol/base/time.hpp"

namespace spoke::sim {

/// The next deadline of each member of a fleet, told by number. One heap for all of them, so that a
/// bike needs no timer of its own. An entry which was overtaken by an earlier one stays in the heap
/// until its time and is then dropped: at most one entry per arm() that moved a deadline forward.
class DeadlineQueue {
public:
    explicit DeadlineQueue(std::size_t members) : armed_(members, SteadyTime::max()) {}

    /// Makes sure that `member` is due at `when` or earlier. SteadyTime::max() is never.
    void arm(std::size_t member, SteadyTime when) {
        if (when >= armed_[member]) return;
        armed_[member] = when;
        heap_.push({when, member});
    }

    /// The earliest time at which pop_due() gives somebody; nullopt if never.
    [[nodiscard]] std::optional<SteadyTime> next() const {
        if (heap_.empty()) return std::nullopt;
        return heap_.top().when;
    }

    /// One member which is due, and no longer armed; nullopt if there is none. A member may come
    /// without need, since its deadline may have moved back after it was armed: it arms itself
    /// anew.
    [[nodiscard]] std::optional<std::size_t> pop_due(SteadyTime now) {
        while (!heap_.empty() && heap_.top().when <= now) {
            auto [when, member] = heap_.top();
            heap_.pop();
            if (armed_[member] != when) continue;
            armed_[member] = SteadyTime::max();
            return member;
        }
        return std::nullopt;
    }

private:
    struct Entry {
        SteadyTime when;
        std::size_t member;
        friend bool operator>(Entry const& a, Entry const& b) noexcept { return a.when > b.when; }
    };

    std::vector<SteadyTime> armed_;
    std::priority_queue<Entry, std::vector<Entry>, std::greater<>> heap_;
};

}  // namespace spoke::sim
