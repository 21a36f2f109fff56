#include "device-sim/watch/inbox_model.hpp"

#include <algorithm>
#include <iterator>

namespace spoke::sim {

void InboxModel::take(SeenEvent const& event) {
    if (event.type == "read") {
        mark_ = std::max(mark_, event.upto ? event.upto->offset : 0);
        while (!unread_.empty() && unread_.begin()->first <= mark_) {
            auto const& type = unread_.begin()->second;
            --state_.unread;
            if (--state_.by[type] == 0) state_.by.erase(type);
            unread_.erase(unread_.begin());
        }
    } else {
        unread_.emplace(event.place.offset, event.type);
        ++state_.unread;
        ++state_.by[event.type];
    }
    states_.emplace(event.place.offset, state_);
}

InboxState InboxModel::at(std::uint64_t offset) const {
    auto behind = states_.upper_bound(offset);
    return behind == states_.begin() ? InboxState{} : std::prev(behind)->second;
}

}  // namespace spoke::sim
