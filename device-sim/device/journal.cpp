#include "device-sim/device/journal.hpp"

#include <algorithm>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::sim {

Journal::Entry const* Journal::find(std::string_view id) const noexcept {
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](Entry const& entry) { return entry.id == id; });
    return found == entries_.end() ? nullptr : &*found;
}

void Journal::write(Entry entry) {
    MQ_ASSERT(find(entry.id) == nullptr);
    if (entries_.size() == kJournalSize) {
        auto oldest = std::find_if(entries_.begin(), entries_.end(),
                                   [](Entry const& old) { return old.result != kStarted; });
        MQ_ASSERT(oldest != entries_.end());
        entries_.erase(oldest);
    }
    entries_.push_back(std::move(entry));
}

void Journal::settle(std::string_view id, Result result, std::chrono::milliseconds took) {
    auto found = std::find_if(entries_.begin(), entries_.end(),
                              [&](Entry const& entry) { return entry.id == id; });
    MQ_ASSERT(found != entries_.end() && found->result == kStarted);
    found->result = result;
    found->took = took;
}

void Journal::forget(std::string_view id) {
    std::erase_if(entries_,
                  [&](Entry const& entry) { return entry.id == id && entry.result != kStarted; });
}

void Journal::fail_running() {
    for (auto& entry : entries_) {
        if (entry.result == kStarted) entry.result = failed(Why::reboot);
    }
}

}  // namespace spoke::sim
