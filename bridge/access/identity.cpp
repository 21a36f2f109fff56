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

Scopes Scopes::all() {
    Scopes out;
    out.devices_read = out.devices_write = out.audit = out.admin = true;
    out.is_everything = true;
    return out;
}

bool add_scope(std::string_view text, Scopes& out) {
    constexpr std::string_view kCommand = "command:";
    constexpr std::string_view kPublish = "publish:";
    constexpr std::string_view kEvents = "events:";
    if (text == "devices:read") return out.devices_read = true;
    if (text == "devices:write") return out.devices_write = true;
    if (text == "audit") return out.audit = true;
    if (text == "admin") return out.admin = true;
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
    return "devices:read, devices:write, command:<verb>, command:*, publish:<filter>, events:<filter>, audit, admin";
}

bool Identity::may_see(std::string_view device) const noexcept {
    return !devices || std::ranges::binary_search(*devices, device);
}

}  // namespace spoke::bridge
