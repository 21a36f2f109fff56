#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/store/memory_event_store.hpp"

namespace spoke::bridge::test {

/// A store of events that commits one write when told to, or fails it.
class HeldEventStore final : public EventStore {
public:
    explicit HeldEventStore(std::vector<EventClass> classes)
        : held_{"k7", std::move(classes), [](std::function<void()> const& task) { task(); }} {}

    struct Write {
        std::vector<Event> events;
        std::optional<InboxMark> mark;
        Need need;
        Done done;
    };
    std::deque<Write> pending;
    bool can_read = true;                   // else nothing is found, and nothing was looked at
    std::uint64_t removed_before_read = 0;  // of all classes, just before the next read

    void append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need need,
                       Done done) override {
        pending.push_back({std::move(events), std::move(mark), need, std::move(done)});
    }

    /// The oldest write is committed, or refused.
    void complete_one(bool stored = true) {
        auto write = std::move(pending.front());
        pending.pop_front();
        if (stored) {
            held_.append_events(std::move(write.events), std::move(write.mark), write.need, {});
        }
        if (write.done) write.done(stored);
    }
    void complete_all() {
        while (!pending.empty()) complete_one();
    }

    std::string const& epoch() const override { return held_.epoch(); }
    std::uint64_t last_offset() const override { return held_.last_offset(); }
    EventPage events(EventQuery const& query) const override {
        if (!can_read) return {{}, query.after};
        removed_ = removed_before_read;
        return held_.events(query);
    }
    std::uint64_t last_n(std::string_view topic) const override { return held_.last_n(topic); }
    std::optional<Event> find_event(std::string_view topic, std::string_view key) const override {
        return held_.find_event(topic, key);
    }
    std::uint64_t removed_upto(std::size_t event_class) const override {
        return std::max(removed_, held_.removed_upto(event_class));
    }
    std::vector<EventArrival> arrivals() const override { return held_.arrivals(); }
    void forget_arrivals() override { held_.forget_arrivals(); }
    std::uint64_t inbox_mark(std::string_view who) const override { return held_.inbox_mark(who); }
    void put_position(std::string name, std::uint64_t offset) override {
        held_.put_position(std::move(name), offset);
    }
    void erase_position(std::string_view name) override { held_.erase_position(name); }
    std::optional<std::uint64_t> position(std::string_view name) const override {
        return held_.position(name);
    }

private:
    MemoryEventStore held_;
    mutable std::uint64_t removed_ = 0;
};

}  // namespace spoke::bridge::test
