#include "bridge/api/hook_request.hpp"

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>

#include "bridge/api/json_members.hpp"
#include "bridge/hook/hook_signature.hpp"
#include "bridge/hook/hook_url.hpp"
#include "protocol/topic/filter_sets.hpp"
#include "protocol/topic/topic.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr std::size_t kTopicsMax = 32;

template <class Enum>
bool read_choice(json::value const& value, std::initializer_list<Enum> choices, Enum& out) {
    auto const* text = value.if_string();
    if (text == nullptr) return false;
    auto found = std::ranges::find_if(
        choices, [&](Enum choice) { return name_of(choice) == std::string_view{*text}; });
    if (found == choices.end()) return false;
    out = *found;
    return true;
}

bool read_url(json::value const& value, HookWish& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !parse_hook_url(*text)) return false;
    out.url = std::string_view{*text};
    return true;
}

bool read_topics(json::value const& value, HookWish& out) {
    auto const* list = value.if_array();
    if (list == nullptr || list->empty() || list->size() > kTopicsMax) return false;
    out.topics.clear();
    for (auto const& item : *list) {
        auto const* text = item.if_string();
        if (text == nullptr) return false;
        std::string_view filter{*text};
        if (!mqtt::is_valid_topic_filter(filter) || !mqtt::is_valid_utf8(filter)) return false;
        out.topics.emplace_back(filter);
    }
    return true;
}

bool read_secret(json::value const& value, HookWish& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !is_hook_secret(*text)) return false;
    out.secret = std::string_view{*text};
    return true;
}

constexpr std::array kMembers{
    JsonMember<HookWish>{
        "url", "an http:// or https:// URL of at most 2048 bytes without user and fragment",
        [](json::value const& v, HookWish& w) { return read_url(v, w); }, true},
    JsonMember<HookWish>{"topics", "an array of 1 to 32 MQTT topic filters",
                         [](json::value const& v, HookWish& w) { return read_topics(v, w); }, true},
    JsonMember<HookWish>{
        "format", "\"plain\" or \"cloudevents\"",
        [](json::value const& v, HookWish& w) {
            return read_choice(v, {HookFormat::plain, HookFormat::cloudevents}, w.format);
        }},
    JsonMember<HookWish>{"state", "\"active\", \"paused\" or \"disabled\"",
                         [](json::value const& v, HookWish& w) {
                             return read_choice(
                                 v, {HookState::active, HookState::paused, HookState::disabled},
                                 w.state);
                         }},
    JsonMember<HookWish>{"secret", "\"whsec_\" and the base64 of 24 to 64 bytes",
                         [](json::value const& v, HookWish& w) { return read_secret(v, w); }},
};

/// What the rules forbid. A name is looked up, and its addresses are judged, at each attempt.
std::optional<RequestError> check_url(std::string const& text, HookRules rules) {
    auto url = parse_hook_url(text);
    if (!url->is_tls && !rules.allow_http) {
        return RequestError{"\"url\" must be https (hooks.allow_http is off)", "url"};
    }
    boost::system::error_code error;
    auto address = boost::asio::ip::make_address(url->host, error);
    if (error || rules.allow_private) return std::nullopt;
    auto is_public = address.is_v4() ? is_public_address(address.to_v4().to_bytes())
                                     : is_public_address(address.to_v6().to_bytes());
    if (is_public) return std::nullopt;
    return RequestError{"\"url\" must have a public address (hooks.allow_private is off)", "url"};
}

}  // namespace

std::optional<RequestError> parse_hook(std::string_view body, HookRules rules,
                                       std::vector<EventClass> const& recorded, HookWish& out) {
    auto error = read_members<HookWish>(body, kMembers, out);
    if (!error) error = check_url(out.url, rules);
    if (error) return error;
    for (auto const& topic : out.topics) {
        auto is_seen = std::ranges::any_of(
            recorded, [&](auto const& c) { return mqtt::overlap(topic, c.filter); });
        if (!is_seen) {
            return RequestError{"\"topics\": no message of " + topic + " is recorded", "topics"};
        }
    }
    return std::nullopt;
}

bool is_hook_name(std::string_view name) {
    constexpr std::size_t kNameMax = 64;
    auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_' || c == '.';
    };
    return !name.empty() && name.size() <= kNameMax && std::ranges::all_of(name, is_fine);
}

}  // namespace spoke::bridge
