#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "bridge/event/event_store.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// What there is of a class of events.
struct ClassUsage {
    std::uint64_t events = 0;
    std::uint64_t bytes = 0;
    std::uint64_t first = 0;           // none of them lies before this offset
    std::uint64_t removed_upto = 0;    // the highest offset that was removed; 0: none was
    std::optional<WallTime> oldest{};  // of the one at `first`, if that is known to be one
};

/// The classes that are configured, and last those events that are in none of them.
class EventClasses {
public:
    explicit EventClasses(std::vector<EventClass> configured);

    [[nodiscard]] std::size_t size() const noexcept { return classes_.size(); }
    [[nodiscard]] EventClass const& operator[](std::size_t i) const { return classes_[i]; }

    /// The place of the class that events of this topic are in.
    [[nodiscard]] std::size_t of(std::string_view topic) const noexcept;

private:
    std::vector<EventClass> classes_;
};

/// What counts for the limit of a class.
[[nodiscard]] inline std::uint64_t bytes_of(EventDraft const& event) noexcept {
    return event.topic.size() + event.data.size();
}

}  // namespace spoke::bridge
