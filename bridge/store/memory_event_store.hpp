#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/event/event_store.hpp"
#include "bridge/store/event_usage.hpp"

namespace spoke::bridge {

/// The events without a disk: the log ends with the process, and its epoch with it.
/// Bound   `events_max` and `bytes_max` of each class; their age does not matter.
class MemoryEventStore final : public EventStore {
public:
    using Defer = std::function<void(std::function<void()>)>;

    /// `defer` runs a function soon, after the present one has returned.
    MemoryEventStore(std::string epoch, std::vector<EventClass> classes, Defer defer);

    [[nodiscard]] std::string const& epoch() const override { return epoch_; }
    [[nodiscard]] std::uint64_t last_offset() const override { return last_offset_; }
    void append_events(std::vector<Event> events, std::optional<InboxMark> mark, Need need,
                       Done done) override;
    [[nodiscard]] EventPage events(EventQuery const& query) const override;
    [[nodiscard]] std::uint64_t last_n(std::string_view topic) const override;
    [[nodiscard]] std::optional<Event> find_event(std::string_view topic,
                                                  std::string_view key) const override;
    [[nodiscard]] std::uint64_t removed_upto(std::size_t event_class) const override;
    [[nodiscard]] std::vector<EventArrival> arrivals() const override;
    void forget_arrivals() override {}
    [[nodiscard]] std::uint64_t inbox_mark(std::string_view who) const override;
    void put_position(std::string name, std::uint64_t offset) override;
    void erase_position(std::string_view name) override;
    [[nodiscard]] std::optional<std::uint64_t> position(std::string_view name) const override;

private:
    struct Held {
        std::deque<std::uint64_t> offsets{};  // oldest first
        std::uint64_t bytes = 0;
        std::uint64_t removed_upto = 0;
    };

    void add(Event event);
    void remove_oldest(std::size_t event_class);

    std::string epoch_;
    EventClasses classes_;
    Defer defer_;
    std::map<std::uint64_t, Event> events_;
    std::vector<Held> held_;  // by class, and last those of none
    std::map<std::string, std::deque<std::uint64_t>, std::less<>> by_topic_;  // oldest first
    std::map<std::string, std::uint64_t, std::less<>> by_key_;                // topic \n key
    std::map<std::string, std::uint64_t, std::less<>> marks_;
    std::map<std::string, std::uint64_t, std::less<>> positions_;
    std::uint64_t last_offset_ = 0;
};

}  // namespace spoke::bridge
