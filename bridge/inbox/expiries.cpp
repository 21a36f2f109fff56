#include "bridge/inbox/expiries.hpp"

#include <algorithm>

namespace spoke::bridge {

void Expiries::add(std::string_view who, WallTime when, std::uint64_t offset) {
    auto found = by_name_.find(who);
    if (found == by_name_.end()) return set(who, when, offset);
    auto place = found->second;
    place.when = std::min(place.when, when);
    place.offset = std::min(place.offset, offset);
    put(found, place);
}

void Expiries::set(std::string_view who, std::optional<WallTime> when, std::uint64_t offset) {
    auto found = by_name_.find(who);
    if (!when) {
        if (found != by_name_.end()) forget(found);
        return;
    }
    if (found == by_name_.end()) {
        if (by_name_.size() >= inboxes_max_) {
            ++refused_;
            return;
        }
        found = by_name_.emplace(std::string{who}, Place{}).first;
    }
    put(found, {*when, offset});
}

void Expiries::put(ByName::iterator at, Place place) {
    by_time_.erase({at->second.when, at->first});
    by_offset_.erase({at->second.offset, at->first});
    at->second = place;
    by_time_.emplace(place.when, at->first);
    by_offset_.emplace(place.offset, at->first);
}

void Expiries::forget(ByName::iterator at) {
    by_time_.erase({at->second.when, at->first});
    by_offset_.erase({at->second.offset, at->first});
    by_name_.erase(at);
}

std::optional<std::string> Expiries::take_due(WallTime now) {
    if (by_time_.empty() || by_time_.begin()->first > now) return std::nullopt;
    std::string who{by_time_.begin()->second};
    forget(by_name_.find(who));
    return who;
}

std::optional<WallTime> Expiries::next() const {
    if (by_time_.empty()) return std::nullopt;
    return by_time_.begin()->first;
}

std::optional<std::uint64_t> Expiries::oldest() const {
    if (by_offset_.empty()) return std::nullopt;
    return by_offset_.begin()->first;
}

}  // namespace spoke::bridge
