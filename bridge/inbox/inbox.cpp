#include "bridge/inbox/inbox.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace spoke::bridge {
namespace {

constexpr std::string_view kPrefix = "u/";
constexpr std::string_view kSuffix = "/in";

/// What `by` calls a message that says nothing of its type.
constexpr std::string_view kNoType = "message";

constexpr std::uint64_t kMarkWorthwhile = 1'000;  // events that need not be read again

}  // namespace

bool is_inbox_name(std::string_view who) noexcept {
    constexpr std::size_t kNameBytesMax = 128;
    auto is_fine = [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return byte >= 0x20 && byte != 0x7F && c != '/' && c != '+' && c != '#';
    };
    return !who.empty() && who.size() <= kNameBytesMax && std::ranges::all_of(who, is_fine);
}

std::string topic_of_inbox(std::string_view who) {
    return fmt::format("{}{}{}", kPrefix, who, kSuffix);
}

std::optional<std::string_view> inbox_of(std::string_view topic) noexcept {
    if (!topic.starts_with(kPrefix) || !topic.ends_with(kSuffix)) return std::nullopt;
    if (topic.size() <= kPrefix.size() + kSuffix.size()) return std::nullopt;
    topic.remove_prefix(kPrefix.size());
    topic.remove_suffix(kSuffix.size());
    if (!is_inbox_name(topic)) return std::nullopt;
    return topic;
}

bool is_notice(Event const& event) noexcept {
    return !event.from_broker && (event.type == kReadType || event.type == kExpiredType);
}

void Inbox::add(Event const& event) {
    if (event.offset <= last_) return;
    if (last_ == 0) kept_mark_n_ = event.n - 1;
    last_ = event.offset;
    last_n_ = event.n;
    if (is_notice(event)) {
        told_until_ = std::max(told_until_, event.at);
        return;
    }
    if (event.offset <= mark_) return;
    Message message{event.n, event.type.empty() ? std::string{kNoType} : event.type, event.collapse,
                    event.expires_at};
    if (!message.collapse.empty()) {
        if (auto older = by_collapse_.find(message.collapse); older != by_collapse_.end()) {
            erase(messages_.find(older->second));
        }
        by_collapse_[message.collapse] = event.offset;
    }
    if (message.expires_at) by_expiry_.emplace(*message.expires_at, event.offset);
    ++by_type_[message.type];
    text_bytes_ += message.type.size() + 2 * message.collapse.size();
    messages_.emplace(event.offset, std::move(message));
    take_out_excess();
}

void Inbox::erase(Messages::iterator at) {
    auto const& message = at->second;
    if (!message.collapse.empty()) by_collapse_.erase(message.collapse);
    if (message.expires_at) by_expiry_.erase({*message.expires_at, at->first});
    auto type = by_type_.find(message.type);
    if (--type->second == 0) by_type_.erase(type);
    text_bytes_ -= message.type.size() + 2 * message.collapse.size();
    messages_.erase(at);
}

void Inbox::take_out_excess() {
    while (!messages_.empty()) {
        auto oldest = messages_.begin();
        auto is_old = last_n_ - oldest->second.n >= limits_.behind_max;
        if (messages_.size() <= limits_.unread_max && !is_old) return;
        mark_ = oldest->first;
        is_mark_moved_ = true;
        erase(oldest);
    }
}

void Inbox::read_upto(std::uint64_t offset) {
    mark_ = std::max(mark_, offset);
    while (!messages_.empty() && messages_.begin()->first <= mark_) erase(messages_.begin());
}

bool Inbox::remove_upto(std::uint64_t offset) {
    auto before = messages_.size();
    while (!messages_.empty() && messages_.begin()->first <= offset) erase(messages_.begin());
    return messages_.size() != before;
}

void Inbox::expire(WallTime now) {
    while (!by_expiry_.empty() && by_expiry_.begin()->first <= now) {
        auto [when, offset] = *by_expiry_.begin();
        last_expired_ = std::max(last_expired_, when);
        erase(messages_.find(offset));
    }
}

std::optional<WallTime> Inbox::next_expiry() const {
    if (by_expiry_.empty()) return std::nullopt;
    return by_expiry_.begin()->first;
}

std::optional<std::uint64_t> Inbox::wished_mark() const {
    auto is_empty = messages_.empty();
    auto dead_upto_n = is_empty ? last_n_ : messages_.begin()->second.n - 1;
    auto is_worthwhile = is_mark_moved_ || dead_upto_n >= kept_mark_n_ + kMarkWorthwhile;
    if (!is_worthwhile) return std::nullopt;
    return is_empty ? cursor() : messages_.begin()->first - 1;
}

void Inbox::note_mark_kept() {
    kept_mark_n_ = messages_.empty() ? last_n_ : messages_.begin()->second.n - 1;
    is_mark_moved_ = false;
}

std::size_t Inbox::bytes() const noexcept {
    constexpr std::size_t kPerMessage = 288;  // its node, and its places in the other tables
    return sizeof(*this) + messages_.size() * kPerMessage + text_bytes_;
}

}  // namespace spoke::bridge
