#include "bridge/store/event_usage.hpp"

#include <algorithm>
#include <utility>

#include "protocol/topic/topic.hpp"

namespace spoke::bridge {

EventClasses::EventClasses(std::vector<EventClass> configured) : classes_(std::move(configured)) {
    EventClass rest;
    rest.filter.clear();
    classes_.push_back(std::move(rest));
}

std::size_t EventClasses::of(std::string_view topic) const noexcept {
    auto last = classes_.end() - 1;
    auto found = std::find_if(classes_.begin(), last, [&](EventClass const& candidate) {
        return mqtt::matches(candidate.filter, topic);
    });
    return static_cast<std::size_t>(found - classes_.begin());
}

}  // namespace spoke::bridge
