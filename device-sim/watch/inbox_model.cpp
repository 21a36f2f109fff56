#include "device-sim/watch/inbox_model.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

/// A bridge that was down or busy when a message expired need not speak of it if a newer one has
/// replaced it before the bridge looked.
constexpr auto kLooksWithin = 10s;

std::uint64_t count_of(InboxState const& state, std::string const& type) {
    auto found = state.by.find(type);
    return found == state.by.end() ? 0 : found->second;
}

void add(InboxState& state, std::string const& type) {
    ++state.unread;
    ++state.by[type];
}

}  // namespace

bool InboxRange::allows(InboxState const& told) const {
    std::uint64_t sum = 0;
    for (auto const& [type, count] : told.by) {
        sum += count;
        if (count > count_of(most, type)) return false;
    }
    if (sum != told.unread) return false;
    return std::all_of(least.by.begin(), least.by.end(),
                       [&](auto const& item) { return item.second <= count_of(told, item.first); });
}

std::string to_text(InboxRange const& range) {
    if (range.least == range.most) return to_text(range.most);
    return fmt::format("between {} and {}", to_text(range.least), to_text(range.most));
}

void InboxModel::remove(Message& message, SeenEvent const& by) {
    if (message.gone_at != 0) return;
    message.gone_at = by.place.offset;
    message.gone_when = by.at;
}

void InboxModel::take(SeenEvent const& event, std::string const& collapse,
                      std::optional<TimeSpan> const& expires) {
    when_.emplace_back(event.at, event.place.offset);
    if (event.type == "read" || event.type == "expired") {
        told_until_ = std::max(told_until_, event.at);
        if (event.type == "read" && event.upto) mark_ = std::max(mark_, event.upto->offset);
        while (marked_ < messages_.size() && messages_[marked_].place.offset <= mark_) {
            remove(messages_[marked_++], event);
        }
        marked_at_[event.place.offset] = marked_;
        return;
    }
    if (!collapse.empty()) {
        auto [older, is_first] = by_collapse_.try_emplace(collapse, messages_.size());
        if (!is_first) remove(messages_[std::exchange(older->second, messages_.size())], event);
    }
    messages_.push_back({event.place, event.type, expires});
}

InboxRange InboxModel::at(std::uint64_t offset, TimeSpan const& when) const {
    auto behind = marked_at_.upper_bound(offset);
    auto first = behind == marked_at_.begin() ? 0 : std::prev(behind)->second;
    InboxRange out;
    for (auto i = first; i < messages_.size() && messages_[i].place.offset <= offset; ++i) {
        auto const& message = messages_[i];
        if (message.gone_at != 0 && message.gone_at <= offset) continue;
        // It does not count any more at the very moment.
        if (message.expires && message.expires->to <= when.from) continue;
        add(out.most, message.type);
        if (!message.expires || message.expires->from > when.to) add(out.least, message.type);
    }
    return out;
}

std::uint64_t InboxModel::last_offset(WallTime before) const {
    auto found = std::find_if(when_.rbegin(), when_.rend(),
                              [before](auto const& item) { return item.first < before; });
    return found == when_.rend() ? 0 : found->second;
}

bool InboxModel::has_unread_upto(std::uint64_t offset, WallTime now) const {
    return std::any_of(messages_.begin(), messages_.end(), [&](Message const& message) {
        return message.place.offset <= offset && message.gone_at == 0 &&
               (!message.expires || message.expires->from > now);
    });
}

std::optional<Place> InboxModel::untold_expiry(WallTime now) const {
    auto found = std::find_if(messages_.begin(), messages_.end(), [&](Message const& message) {
        if (!message.expires || message.expires->to > now) return false;
        bool was_unread =
            message.gone_at == 0 || message.gone_when > message.expires->to + kLooksWithin;
        return was_unread && told_until_ < message.expires->from;
    });
    return found == messages_.end() ? std::nullopt : std::optional{found->place};
}

}  // namespace spoke::sim
