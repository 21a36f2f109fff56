#include "bridge/api/event_operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <span>
#include <utility>
#include <vector>

#include "bridge/api/event_wish.hpp"
#include "bridge/api/target.hpp"
#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using Members = std::span<std::string_view const>;
using Parsed = std::variant<EventOperation, RequestError>;

constexpr std::size_t kNameBytesMax = 64;

template <std::size_t Count>
using Names = std::array<std::string_view, Count>;

// The members of each operation.
constexpr Names<4> kSub{"op", "q", "topic", "since"};
constexpr Names<3> kUnsub{"op", "q", "topic"};
constexpr Names<8> kPublish{"op", "q", "topic", "data", "text", "qos", "retain", "key"};
constexpr Names<5> kCommand{"op", "q", "device", "wait", "key"};  // the rest is the request's body
constexpr Names<4> kRead{"op", "q", "who", "upto"};

std::optional<RequestError> check_names(json::object const& object, Members known) {
    for (auto const& item : object) {
        std::string_view name{item.key()};
        if (std::ranges::find(known, name) != known.end()) continue;
        std::vector<std::string_view> names{known.begin(), known.end()};
        return RequestError{"there is no member \"" + std::string{name} + "\"", std::string{name},
                            std::string{nearest_name(name, names)}};
    }
    return std::nullopt;
}

RequestError wrong(std::string_view name, std::string_view expects) {
    return {fmt::format("\"{}\" must be {}", name, expects), std::string{name}};
}

/// A member that is a text, or is not there.
std::optional<RequestError> read_text(json::object const& object, std::string_view name,
                                      std::string& out) {
    auto const* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_string()) return wrong(name, "a text");
    out = std::string_view{value->get_string()};
    return std::nullopt;
}

std::optional<RequestError> read_number(json::object const& object, std::string_view name,
                                        std::int64_t max, std::optional<std::int64_t>& out) {
    auto const* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    auto const* number = value->if_int64();
    if (number == nullptr || *number < 0 || *number > max) {
        return wrong(name, fmt::format("a number from 0 to {}", max));
    }
    out = *number;
    return std::nullopt;
}

std::optional<RequestError> read_flag(json::object const& object, std::string_view name,
                                      bool& out) {
    auto const* value = object.if_contains(name);
    if (value == nullptr) return std::nullopt;
    if (!value->is_bool()) return wrong(name, "true or false");
    out = value->get_bool();
    return std::nullopt;
}

/// The header of a key, a quoted string (RFC 8941).
std::optional<RequestError> add_key(json::object const& object, HttpRequest& request) {
    std::string key;
    if (auto error = read_text(object, "key", key)) return error;
    if (key.empty()) return std::nullopt;
    std::string quoted = "\"";
    for (char c : key) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    request.headers.emplace_back("Idempotency-Key", quoted + '"');
    return std::nullopt;
}

Parsed parse_sub(json::object const& object) {
    EventOperation out{EventOperation::Kind::subscribe};
    auto error = check_names(object, kSub);
    if (!error) error = read_text(object, "topic", out.topic);
    if (!error) error = read_text(object, "since", out.since);
    if (error) return *error;
    if (auto why = filter_error(out.topic); !why.empty()) {
        return RequestError{std::string{why}, "topic"};
    }
    return out;
}

Parsed parse_unsub(json::object const& object) {
    EventOperation out{EventOperation::Kind::unsubscribe};
    auto error = check_names(object, kUnsub);
    if (!error) error = read_text(object, "topic", out.topic);
    if (error) return *error;
    return out;
}

Parsed parse_publish(json::object const& object) {
    EventOperation out{EventOperation::Kind::request};
    std::string topic;
    std::optional<std::int64_t> qos;
    auto retain = false;
    auto error = check_names(object, kPublish);
    if (!error) error = read_text(object, "topic", topic);
    if (!error) error = read_number(object, "qos", 2, qos);
    if (!error) error = read_flag(object, "retain", retain);
    if (!error) error = read_text(object, "text", out.request.body);
    if (!error) error = add_key(object, out.request);
    if (error) return *error;
    auto const* data = object.if_contains("data");
    if ((data == nullptr) == !object.contains("text")) {
        return RequestError{"either \"data\", which may be any JSON, or \"text\" is published",
                            "data"};
    }
    if (data != nullptr) out.request.body = json_text(*data);
    out.request.headers.emplace_back(
        "Content-Type", data != nullptr ? "application/json" : "text/plain; charset=utf-8");
    out.request.method = "POST";
    out.request.target = "/v1/publish/" + percent_encoded(topic) +
                         fmt::format("?qos={}&retain={}", qos.value_or(0), retain);
    return out;
}

Parsed parse_command(json::object const& object) {
    EventOperation out{EventOperation::Kind::request};
    std::string device;
    std::optional<std::int64_t> wait;
    auto error = read_text(object, "device", device);
    if (!error) error = read_number(object, "wait", 3'600, wait);
    if (!error) error = add_key(object, out.request);
    if (!error && device.empty()) error = wrong("device", "the id of a device");
    if (error) return *error;
    // The rest is the body of the request, which is read as any other.
    json::object body;
    for (auto const& item : object) {
        if (std::ranges::find(kCommand, std::string_view{item.key()}) == kCommand.end()) {
            body.emplace(item.key(), item.value());
        }
    }
    out.request.method = "POST";
    out.request.target = "/v1/devices/" + percent_encoded(device) + "/commands";
    if (wait) out.request.target += fmt::format("?wait={}", *wait);
    out.request.headers.emplace_back("Content-Type", "application/json");
    out.request.body = json_text(body);
    out.member = "command";
    return out;
}

Parsed parse_read(json::object const& object) {
    EventOperation out{EventOperation::Kind::request};
    std::string who;
    auto error = check_names(object, kRead);
    if (!error) error = read_text(object, "who", who);
    if (!error && who.empty()) error = wrong("who", "the name of an inbox");
    if (error) return *error;
    json::object body;
    if (auto const* upto = object.if_contains("upto")) body["upto"] = *upto;
    out.request.method = "POST";
    out.request.target = "/v1/inboxes/" + percent_encoded(who) + "/read";
    out.request.headers.emplace_back("Content-Type", "application/json");
    out.request.body = json_text(body);
    return out;
}

struct Row {
    EventOperationForm form;
    Parsed (*parse)(json::object const& object);
};
constexpr std::array kRows{Row{{"sub", kSub}, parse_sub}, Row{{"unsub", kUnsub}, parse_unsub},
                           Row{{"publish", kPublish}, parse_publish},
                           Row{{"command", kCommand, true}, parse_command},
                           Row{{"read", kRead}, parse_read}};

Parsed parse(json::object const& object) {
    std::string op;
    if (auto error = read_text(object, "op", op)) return *error;
    for (auto const& row : kRows) {
        if (row.form.name == op) return row.parse(object);
    }
    return wrong("op", "sub, unsub, publish, command or read");
}

/// A number or a short text.
std::optional<std::string> number_of(json::object const& object) {
    auto const* q = object.if_contains("q");
    if (q == nullptr) return std::string{};
    auto is_short = q->is_string() && q->get_string().size() <= kNameBytesMax;
    if (!is_short && !q->is_int64() && !q->is_uint64()) return std::nullopt;
    return json_text(*q);
}

}  // namespace

std::vector<EventOperationForm> event_operation_forms() {
    std::vector<EventOperationForm> out;
    for (auto const& row : kRows) out.push_back(row.form);
    return out;
}

EventOperationResult parse_event_operation(std::string_view text) {
    EventOperationResult out;
    json::error_code error;
    auto value = json::parse(json::string_view{text.data(), text.size()}, error);
    auto const* object = error.failed() ? nullptr : value.if_object();
    if (object == nullptr) {
        out.operation = RequestError{"the message is not a JSON object"};
        return out;
    }
    auto q = number_of(*object);
    if (!q) {
        out.operation = wrong("q", "a whole number, or a text of at most 64 bytes");
        return out;
    }
    out.q = std::move(*q);
    out.operation = parse(*object);
    return out;
}

std::string operation_answer(std::string_view q, std::string_view member,
                             HttpResponse const& response) {
    auto is_ok = response.status < 400;
    if (!is_ok) member = "problem";
    auto out = q.empty() ? std::string{"{"} : fmt::format("{{\"q\":{},", q);
    out += fmt::format("\"ok\":{}", is_ok);
    if (response.body.starts_with('{')) {
        if (!member.empty()) {
            out += fmt::format(",\"{}\":{}", member, response.body);
        } else if (response.body != "{}") {
            return out + ',' + response.body.substr(1);
        }
    }
    return out + '}';
}

}  // namespace spoke::bridge
