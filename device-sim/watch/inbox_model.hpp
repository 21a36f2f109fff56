#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "device-sim/watch/seen_event.hpp"

namespace spoke::sim {

/// What an inbox must say at each place of the log: made from the events of its topic alone.
/// In  events in order. Every message is unread until a mark at or behind it, events `read` move
///     the mark and never back, and are no messages themselves.
class InboxModel {
public:
    void take(SeenEvent const& event);

    /// The state at a place: behind the last event up to there.
    [[nodiscard]] InboxState at(std::uint64_t offset) const;

    [[nodiscard]] std::uint64_t last_offset() const noexcept {
        return states_.empty() ? 0 : states_.rbegin()->first;
    }
    [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }

    /// Whether a message at or before this place is unread at the end.
    [[nodiscard]] bool has_unread_upto(std::uint64_t offset) const noexcept {
        return !unread_.empty() && unread_.begin()->first <= offset;
    }

private:
    std::map<std::uint64_t, std::string> unread_{};  // offset: type
    std::map<std::uint64_t, InboxState> states_{};   // behind each event
    InboxState state_{};
    std::uint64_t mark_ = 0;
};

}  // namespace spoke::sim
