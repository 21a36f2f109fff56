#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/event/event.hpp"
#include "bridge/event/need.hpp"

namespace spoke::bridge {

/// Events that share a retention: those whose topic matches the filter, and no filter before it.
struct EventClass {
    std::string filter;
    std::chrono::milliseconds keep{std::chrono::hours{1}};
    std::uint64_t events_max = 10'000;
    std::uint64_t bytes_max = std::uint64_t{64} << 20;  // of topics and data
};

/// Which events, in order of their offsets.
struct EventQuery {
    std::uint64_t after = 0;             // those behind this offset
    std::vector<std::string> filters{};  // that match one of these; empty: all
    std::size_t limit = 1'000;
    std::size_t scan_max = 4'000;  // events that are looked at
};

struct EventPage {
    std::vector<Event> events{};
    std::uint64_t scanned_to = 0;  // all events up to this offset were looked at
};

/// How far somebody has read his inbox.
struct InboxMark {
    std::string who;
    std::uint64_t upto = 0;  // offset; never goes back
};

/// Keeps the events of the log.
/// Order   events are written in the order of the calls, which is that of their offsets.
/// Reads   show what has been committed.
/// Bound   those of the store: `now_or_never` fails beyond it. Old events are removed by the store
///         itself, by the limits of their class.
/// Thread  the bridge's; completions come there, never before the call has returned.
class EventStore {
public:
    using Done = std::function<void(bool stored)>;

    virtual ~EventStore() = default;

    /// The epoch of the log.
    [[nodiscard]] virtual std::string const& epoch() const = 0;

    /// The highest offset ever committed; 0: none.
    [[nodiscard]] virtual std::uint64_t last_offset() const = 0;

    /// Writes the events, all or none, and the mark with them.
    virtual void append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need need,
                               Done done) = 0;

    [[nodiscard]] virtual EventPage events(EventQuery const& query) const = 0;

    /// The number of the last event in this topic; 0: none is there.
    [[nodiscard]] virtual std::uint64_t last_n(std::string_view topic) const = 0;

    /// The event with this key in this topic.
    [[nodiscard]] virtual std::optional<Event> find_event(std::string_view topic,
                                                          std::string_view key) const = 0;

    /// The highest offset that was removed from a class (its place in the list given at the start;
    /// behind the last: events of none, which are kept as EventClass says); 0: none was.
    [[nodiscard]] virtual std::uint64_t removed_upto(std::size_t event_class) const = 0;

    /// Arrivals of the last events that came over MQTT, oldest first; at least those of the last
    /// 8192 events.
    [[nodiscard]] virtual std::vector<EventArrival> arrivals() const = 0;

    /// Those of the events before are none of arrivals() any more: the session they came in is
    /// over.
    virtual void forget_arrivals() = 0;

    /// How far somebody has read his inbox; 0: not at all.
    [[nodiscard]] virtual std::uint64_t inbox_mark(std::string_view who) const = 0;

    /// The place of a reader that goes on behind it after a restart, such as a webhook. Written
    /// soon, with what is written next; the newest of one name counts.
    virtual void put_position(std::string name, std::uint64_t offset) = 0;
    virtual void erase_position(std::string_view name) = 0;
    [[nodiscard]] virtual std::optional<std::uint64_t> position(std::string_view name) const = 0;
};

}  // namespace spoke::bridge
