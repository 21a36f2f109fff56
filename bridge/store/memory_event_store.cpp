#include "bridge/store/memory_event_store.hpp"

#include <algorithm>
#include <utility>

#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

std::string key_of(std::string_view topic, std::string_view key) {
    std::string out{topic};
    out.push_back('\n');
    out.append(key);
    return out;
}

template <class Map>
auto find_in(Map const& map, std::string_view key) -> std::optional<typename Map::mapped_type> {
    auto found = map.find(key);
    if (found == map.end()) return std::nullopt;
    return found->second;
}

}  // namespace

MemoryEventStore::MemoryEventStore(std::string epoch, std::vector<EventClass> classes, Defer defer)
    : epoch_(std::move(epoch)),
      classes_(std::move(classes)),
      defer_(std::move(defer)),
      held_(classes_.size()) {}

void MemoryEventStore::append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need,
                                     Done done) {
    // Shown when it is told: a reader must not see what its writer does not know of yet.
    defer_([this, events = std::move(events), mark = std::move(mark),
            done = std::move(done)]() mutable {
        for (auto& event : events) add(std::move(event));
        if (mark) {
            auto& upto = marks_[mark->who];
            upto = std::max(upto, mark->upto);
        }
        if (done) done(true);
    });
}

void MemoryEventStore::add(Event event) {
    auto event_class = classes_.of(event.topic);
    auto& held = held_[event_class];
    held.offsets.push_back(event.offset);
    held.bytes += bytes_of(event);
    by_topic_[event.topic].push_back(event.offset);
    if (!event.key.empty()) by_key_[key_of(event.topic, event.key)] = event.offset;
    last_offset_ = event.offset;
    events_.emplace(event.offset, std::move(event));
    auto const& limits = classes_[event_class];
    while (held.offsets.size() > limits.events_max || held.bytes > limits.bytes_max) {
        remove_oldest(event_class);
    }
}

void MemoryEventStore::remove_oldest(std::size_t event_class) {
    auto& held = held_[event_class];
    auto found = events_.find(held.offsets.front());
    auto const& event = found->second;
    auto topic = by_topic_.find(event.topic);
    topic->second.pop_front();
    if (topic->second.empty()) by_topic_.erase(topic);
    if (!event.key.empty()) by_key_.erase(key_of(event.topic, event.key));
    held.bytes -= bytes_of(event);
    held.removed_upto = event.offset;
    held.offsets.pop_front();
    events_.erase(found);
}

EventPage MemoryEventStore::events(EventQuery const& query) const {
    EventPage page;
    page.scanned_to = query.after;
    std::size_t scanned = 0;
    for (auto at = events_.upper_bound(query.after); at != events_.end(); ++at) {
        if (page.events.size() == query.limit || scanned++ == query.scan_max) return page;
        page.scanned_to = at->first;
        auto is_wanted =
            query.filters.empty() || std::ranges::any_of(query.filters, [&](auto const& filter) {
                return mqtt::matches(filter, at->second.topic);
            });
        if (is_wanted) page.events.push_back(at->second);
    }
    page.scanned_to = std::max(page.scanned_to, last_offset_);
    return page;
}

std::uint64_t MemoryEventStore::last_n(std::string_view topic) const {
    auto found = by_topic_.find(topic);
    return found == by_topic_.end() ? 0 : events_.at(found->second.back()).n;
}

std::optional<Event> MemoryEventStore::find_event(std::string_view topic,
                                                  std::string_view key) const {
    auto offset = find_in(by_key_, key_of(topic, key));
    if (!offset) return std::nullopt;
    return events_.at(*offset);
}

std::uint64_t MemoryEventStore::removed_upto(std::size_t event_class) const {
    return held_.at(event_class).removed_upto;
}

/// Whatever was delivered to the process before this one is not in this log.
std::vector<EventArrival> MemoryEventStore::arrivals() const {
    return {};
}

std::uint64_t MemoryEventStore::inbox_mark(std::string_view who) const {
    return find_in(marks_, who).value_or(0);
}

void MemoryEventStore::put_position(std::string name, std::uint64_t offset) {
    positions_[std::move(name)] = offset;
}

void MemoryEventStore::erase_position(std::string_view name) {
    auto found = positions_.find(name);
    if (found != positions_.end()) positions_.erase(found);
}

std::optional<std::uint64_t> MemoryEventStore::position(std::string_view name) const {
    return find_in(positions_, name);
}

}  // namespace spoke::bridge
