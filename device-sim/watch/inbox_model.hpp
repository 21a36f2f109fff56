#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "device-sim/watch/seen_event.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// From one moment to another, both included: when within it nobody knows.
struct TimeSpan {
    WallTime from{};
    WallTime to{};
};

/// What the writer of a message wants to become of it in its inbox.
struct MessageTerms {
    std::string collapse{};  // a newer one of this key replaces it; empty: none does
    std::optional<std::chrono::milliseconds> ttl{};
    bool counts_on_the_way = false;  // the broker counts it down, in seconds
    friend bool operator==(MessageTerms const&, MessageTerms const&) = default;
};

/// What an inbox may say: between the state without and that with all messages of which nobody
/// knows whether they have expired already.
struct InboxRange {
    InboxState least{};
    InboxState most{};

    [[nodiscard]] bool allows(InboxState const& told) const;
};

/// "3 (like 3)", or "between 1 (like 1) and 3 (like 3)".
[[nodiscard]] std::string to_text(InboxRange const& range);

/// What an inbox must say at each place of the log and at each time: made from the events of its
/// topic alone and from what writers have said of their messages.
/// In  events in order. A message is unread until a mark at or behind it, until a newer one of its
///     collapse key, and until it expires. Events `read` move the mark and never back; they and
///     `expired` are no messages themselves.
class InboxModel {
public:
    /// `expires`: of a message that does.
    void take(SeenEvent const& event, std::string const& collapse,
              std::optional<TimeSpan> const& expires);

    /// The state at a place, behind the last event up to there, looked at within this time.
    [[nodiscard]] InboxRange at(std::uint64_t offset, TimeSpan const& when) const;

    /// The place of the last event from before this time; 0: there is none.
    [[nodiscard]] std::uint64_t last_offset(WallTime before) const;
    [[nodiscard]] std::uint64_t mark() const noexcept { return mark_; }

    /// Whether a message at or before this place is unread for certain at this time, at the end.
    [[nodiscard]] bool has_unread_upto(std::uint64_t offset, WallTime now) const;

    /// A message that was unread when it expired, before `now` for certain, and of which no event
    /// says so.
    [[nodiscard]] std::optional<Place> untold_expiry(WallTime now) const;

private:
    struct Message {
        Place place;
        std::string type;
        std::optional<TimeSpan> expires;
        std::uint64_t gone_at = 0;  // the event that marked or replaced it; 0: none
        WallTime gone_when{};
    };

    void remove(Message& message, SeenEvent const& by);

    std::vector<Message> messages_{};
    std::size_t marked_ = 0;                                      // so many are up to the mark
    std::map<std::uint64_t, std::size_t> marked_at_{};            // by the event `read`
    std::unordered_map<std::string, std::size_t> by_collapse_{};  // the newest
    std::vector<std::pair<WallTime, std::uint64_t>> when_{};      // each event, in order
    std::uint64_t mark_ = 0;
    WallTime told_until_{};  // the last event that speaks of the whole state
};

}  // namespace spoke::sim
