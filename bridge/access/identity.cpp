#include "bridge/access/identity.hpp"

#include <algorithm>

#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

bool is_verb(std::string_view text) {
    auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.' || c == ':';
    };
    return text == "*" ||
           (!text.empty() && text.size() <= 64 && std::ranges::all_of(text, is_fine));
}

/// The name of an inbox, or "*". Scopes are separated by blanks, so that one with a blank in its
/// name is reached by "*" alone.
bool is_inbox(std::string_view text) {
    constexpr std::size_t kNameBytesMax = 128;
    auto is_fine = [](char c) {
        auto byte = static_cast<unsigned char>(c);
        return byte > 0x20 && byte != 0x7F && c != '/' && c != '+' && c != '#';
    };
    return !text.empty() && text.size() <= kNameBytesMax && std::ranges::all_of(text, is_fine) &&
           mqtt::is_valid_utf8(text);
}

}  // namespace

bool Scopes::may_command(std::string_view verb) const noexcept {
    if (is_everything) return true;
    return std::ranges::any_of(verbs, [&](auto const& v) { return v == "*" || v == verb; });
}

bool Scopes::may_publish(std::string_view topic) const noexcept {
    if (is_everything) return true;
    return std::ranges::any_of(filters, [&](auto const& f) { return mqtt::matches(f, topic); });
}

bool Scopes::may_read(std::string_view filter) const noexcept {
    if (is_everything) return true;
    return std::ranges::any_of(events, [&](auto const& f) { return mqtt::covers(f, filter); });
}

bool Scopes::may_read_inbox(std::string_view who) const noexcept {
    if (is_everything) return true;
    return std::ranges::any_of(inboxes, [&](auto const& i) { return i == "*" || i == who; });
}

bool Scopes::include(Scopes const& other) const noexcept {
    if (is_everything) return true;
    auto has_filter = [this](std::string const& inner) {
        return std::ranges::any_of(filters,
                                   [&](auto const& outer) { return mqtt::covers(outer, inner); });
    };
    auto has_flag = [](bool mine, bool theirs) { return mine || !theirs; };
    return !other.is_everything && has_flag(devices_read, other.devices_read) &&
           has_flag(devices_write, other.devices_write) && has_flag(audit, other.audit) &&
           has_flag(admin, other.admin) && has_flag(inbox_write, other.inbox_write) &&
           std::ranges::all_of(other.verbs, [this](auto const& v) { return may_command(v); }) &&
           std::ranges::all_of(other.filters, has_filter) &&
           std::ranges::all_of(other.events, [this](auto const& f) { return may_read(f); }) &&
           std::ranges::all_of(other.inboxes, [this](auto const& i) { return may_read_inbox(i); });
}

Scopes Scopes::all() {
    Scopes out;
    out.devices_read = out.devices_write = out.audit = out.admin = out.inbox_write = true;
    out.is_everything = true;
    return out;
}

bool add_scope(std::string_view text, Scopes& out) {
    constexpr std::string_view kCommand = "command:";
    constexpr std::string_view kInbox = "inbox:";
    constexpr std::string_view kPublish = "publish:";
    constexpr std::string_view kEvents = "events:";
    if (text == "devices:read") return out.devices_read = true;
    if (text == "devices:write") return out.devices_write = true;
    if (text == "audit") return out.audit = true;
    if (text == "admin") return out.admin = true;
    if (text == "inbox:write") return out.inbox_write = true;
    if (text.starts_with(kInbox) && is_inbox(text.substr(kInbox.size()))) {
        out.inboxes.emplace_back(text.substr(kInbox.size()));
        return true;
    }
    if (text.starts_with(kCommand) && is_verb(text.substr(kCommand.size()))) {
        out.verbs.emplace_back(text.substr(kCommand.size()));
        return true;
    }
    auto is_publish = text.starts_with(kPublish);
    if (!is_publish && !text.starts_with(kEvents)) return false;
    auto filter = text.substr(is_publish ? kPublish.size() : kEvents.size());
    if (!mqtt::is_valid_topic_filter(filter) || !mqtt::is_valid_utf8(filter)) return false;
    (is_publish ? out.filters : out.events).emplace_back(filter);
    return true;
}

std::string_view scope_forms() noexcept {
    return "devices:read, devices:write, command:<verb>, command:*, publish:<filter>, "
           "events:<filter>, inbox:<who>, "
           "inbox:*, inbox:write, audit, admin";
}

bool Identity::may_see(std::string_view device) const noexcept {
    return !devices || std::ranges::binary_search(*devices, device);
}

}  // namespace spoke::bridge
