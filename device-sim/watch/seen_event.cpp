#include "device-sim/watch/seen_event.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>
#include <charconv>
#include <iterator>
#include <utility>

#include "device-sim/judge/command_note.hpp"

namespace spoke::sim {
namespace {

namespace json = boost::json;

std::optional<std::uint64_t> read_number(std::string_view text) {
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return number;
}

std::optional<json::value> parse(std::string_view text) {
    json::error_code error;
    auto value = json::parse({text.data(), text.size()}, error);
    if (error.failed()) return std::nullopt;
    return value;
}

std::optional<std::string> text_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return std::nullopt;
    return std::string{value->get_string().data(), value->get_string().size()};
}

std::optional<std::uint64_t> number_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (auto const* number = value->if_int64(); number != nullptr && *number >= 0) {
        return static_cast<std::uint64_t>(*number);
    }
    auto const* number = value->if_uint64();
    return number == nullptr ? std::nullopt : std::optional{*number};
}

std::optional<InboxState> state_of(json::object const& object) {
    auto unread = number_of(object, "unread");
    auto const* by = object.if_contains("by");
    if (!unread || by == nullptr || !by->is_object()) return std::nullopt;
    InboxState state{*unread, {}};
    for (auto const& [type, value] : by->get_object()) {
        auto count = number_of(by->get_object(), type);
        if (!count) return std::nullopt;
        // A type that nothing unread is of may be told as 0 or not at all.
        if (*count != 0) state.by.emplace(std::string{type}, *count);
    }
    return state;
}

void take_data(json::value const& data, SeenEvent& out) {
    out.data = json::serialize(data);
    auto const* object = data.if_object();
    if (object == nullptr) return;
    out.message = text_of(*object, "m").value_or("");
    if (out.type != "read" && out.type != "expired") return;
    out.upto = Place::parse(text_of(*object, "upto").value_or(""));
    out.state = state_of(*object);
}

std::optional<SeenEvent> event_of(json::value const& value) {
    auto const* object = value.if_object();
    if (object == nullptr) return std::nullopt;
    auto place = Place::parse(text_of(*object, "id").value_or(""));
    auto topic = text_of(*object, "topic");
    auto n = number_of(*object, "n");
    auto at = read_rfc3339(text_of(*object, "at").value_or(""));
    auto const* data = object->if_contains("data");
    if (!place || !topic || !n || !at || data == nullptr) return std::nullopt;
    SeenEvent event;
    event.place = std::move(*place);
    event.topic = std::move(*topic);
    event.n = *n;
    event.type = text_of(*object, "type").value_or("");
    event.at = *at;
    take_data(*data, event);
    return event;
}

}  // namespace

std::string Place::text() const {
    return fmt::format("{}.{}", epoch, offset);
}

std::optional<Place> Place::parse(std::string_view text) {
    auto dot = text.find('.');
    if (dot == 0 || dot == std::string_view::npos) return std::nullopt;
    auto is_word = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z'); };
    auto epoch = text.substr(0, dot);
    auto offset = read_number(text.substr(dot + 1));
    if (!offset || !std::all_of(epoch.begin(), epoch.end(), is_word)) return std::nullopt;
    return Place{std::string{epoch}, *offset};
}

std::string to_text(InboxState const& state) {
    std::string out;
    for (auto const& [type, count] : state.by) {
        fmt::format_to(std::back_inserter(out), "{}{} {}", out.empty() ? "" : ", ", type, count);
    }
    return fmt::format("{} ({})", state.unread, out);
}

std::optional<InboxDocument> read_inbox(std::string_view text) {
    auto value = parse(text);
    if (!value || !value->is_object()) return std::nullopt;
    auto state = state_of(value->get_object());
    if (!state) return std::nullopt;
    auto cursor = text_of(value->get_object(), "cursor");
    return InboxDocument{std::move(*state), Place::parse(cursor.value_or(""))};
}

std::optional<SeenEvent> read_event(std::string_view document) {
    auto value = parse(document);
    return value ? event_of(*value) : std::nullopt;
}

std::optional<SeenEvent> read_event(EventParts const& parts) {
    auto place = Place::parse(parts.id);
    auto n = read_number(parts.n);
    auto at = read_rfc3339(parts.at);
    auto data = parse(parts.payload);
    if (!place || !n || !at || parts.topic.empty()) return std::nullopt;
    SeenEvent event;
    event.place = std::move(*place);
    event.topic = parts.topic;
    event.n = *n;
    event.type = parts.type;
    event.at = *at;
    json::string_view text{parts.payload.data(), parts.payload.size()};
    take_data(data ? *data : json::value(text), event);
    return event;
}

std::optional<EventPage> read_page(std::string_view text) {
    auto value = parse(text);
    if (!value || !value->is_object()) return std::nullopt;
    auto const* events = value->get_object().if_contains("events");
    auto next = text_of(value->get_object(), "next");
    if (events == nullptr || !events->is_array() || !next) return std::nullopt;
    EventPage page;
    page.next = std::move(*next);
    for (auto const& item : events->get_array()) {
        auto event = event_of(item);
        if (!event) return std::nullopt;
        page.events.push_back(std::move(*event));
    }
    return page;
}

std::optional<ResetNote> read_reset(std::string_view text) {
    auto value = parse(text);
    if (!value || !value->is_object()) return std::nullopt;
    auto reason = text_of(value->get_object(), "reason");
    auto cursor = text_of(value->get_object(), "cursor");
    if (!reason || !cursor) return std::nullopt;
    return ResetNote{std::move(*reason), std::move(*cursor),
                     text_of(value->get_object(), "topic").value_or("")};
}

std::optional<HelloNote> read_hello(std::string_view text) {
    auto value = parse(text);
    if (!value || !value->is_object()) return std::nullopt;
    auto const* resumed = value->get_object().if_contains("resumed");
    HelloNote note;
    note.resumed = resumed != nullptr && resumed->is_bool() && resumed->get_bool();
    note.lost = number_of(value->get_object(), "lost").value_or(0);
    return note;
}

}  // namespace spoke::sim
