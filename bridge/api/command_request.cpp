#include "bridge/api/command_request.hpp"

#include <algorithm>
#include <array>

#include "bridge/api/json_members.hpp"
#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

/// What the body says; the rest comes from the verb.
struct Body {
    std::string verb;
    std::optional<milliseconds> ttl;
    std::string args;
    std::string condition;
    std::string ref;
    std::optional<std::string> lane;
    std::optional<IfOffline> if_offline;
    std::optional<Deliver> deliver;
    bool supersede = false;
    bool fail_if_busy = false;
};

bool is_word(std::string_view text, std::size_t size_max) {
    auto is_fine = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-' || c == '.' || c == ':';
    };
    return !text.empty() && text.size() <= size_max && std::ranges::all_of(text, is_fine);
}

bool is_printable(std::string_view text, std::size_t size_max) {
    auto is_fine = [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F; };
    return !text.empty() && text.size() <= size_max && std::ranges::all_of(text, is_fine);
}

bool read_word(json::value const& value, std::string& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !is_word(*text, 64)) return false;
    out = std::string_view{*text};
    return true;
}

bool read_object(json::value const& value, std::string& out) {
    if (!value.is_object()) return false;
    out = json_text(value);
    return true;
}

bool read_bool(json::value const& value, bool& out) {
    if (!value.is_bool()) return false;
    out = value.get_bool();
    return true;
}

bool read_ttl(json::value const& value, Body& out) {
    json::error_code error;
    auto ms = value.is_number() ? value.to_number<std::int64_t>(error) : 0;
    if (error.failed() || ms < 100 || ms > 86'400'000) return false;
    out.ttl = milliseconds{ms};
    return true;
}

bool read_ref(json::value const& value, Body& out) {
    auto const* text = value.if_string();
    if (text == nullptr || !is_printable(*text, 128)) return false;
    out.ref = std::string_view{*text};
    return true;
}

bool read_lane(json::value const& value, Body& out) {
    return read_word(value, out.lane.emplace());
}

template <class Value>
struct Word {
    std::string_view text;
    Value meaning;
};

/// One of two words.
template <class Out, class Value>
bool read_choice(json::value const& value, Out& out, Word<Value> first, Word<Value> second) {
    auto const* text = value.if_string();
    if (text == nullptr) return false;
    for (auto const& word : {first, second}) {
        if (std::string_view{*text} == word.text) {
            out = word.meaning;
            return true;
        }
    }
    return false;
}

bool read_if_offline(json::value const& value, Body& out) {
    return read_choice(value, out.if_offline, Word<IfOffline>{"fail", IfOffline::fail},
                       Word<IfOffline>{"wait", IfOffline::wait});
}

constexpr std::array kMembers{
    JsonMember<Body>{"do", "a verb: 1 to 64 letters, digits and _-.:",
                     [](json::value const& v, Body& b) { return read_word(v, b.verb); }, true},
    JsonMember<Body>{"args", "an object",
                     [](json::value const& v, Body& b) { return read_object(v, b.args); }},
    JsonMember<Body>{"ttl_ms", "a whole number from 100 to 86400000", read_ttl},
    JsonMember<Body>{"ref", "a text of 1 to 128 bytes without control characters", read_ref},
    JsonMember<Body>{"if", "an object",
                     [](json::value const& v, Body& b) { return read_object(v, b.condition); }},
    JsonMember<Body>{"if_offline", "\"fail\" or \"wait\"", read_if_offline},
    JsonMember<Body>{"if_busy", "\"queue\" or \"fail\"",
                     [](json::value const& v, Body& b) {
                         return read_choice(v, b.fail_if_busy, Word<bool>{"queue", false},
                                            Word<bool>{"fail", true});
                     }},
    JsonMember<Body>{"lane", "a name: 1 to 64 letters, digits and _-.:", read_lane},
    JsonMember<Body>{"supersede", "true or false",
                     [](json::value const& v, Body& b) { return read_bool(v, b.supersede); }},
    JsonMember<Body>{"deliver", "\"once\" or \"until\"",
                     [](json::value const& v, Body& b) {
                         return read_choice(v, b.deliver, Word<Deliver>{"once", Deliver::once},
                                            Word<Deliver>{"until", Deliver::until});
                     }},
};

}  // namespace

std::optional<RequestError> parse_command_request(std::string_view body, std::string_view device,
                                                  CommandRequest& out) {
    Body said;
    if (auto error = read_members<Body>(body, kMembers, said)) return error;
    auto const& verb = verb_of(said.verb);
    out.device = device;
    out.verb = std::move(said.verb);
    out.args = std::move(said.args);
    out.condition = std::move(said.condition);
    out.ref = std::move(said.ref);
    out.lane = std::move(said.lane).value_or(std::string{verb.lane});
    out.ttl = said.ttl.value_or(verb.ttl);
    out.if_offline = said.if_offline.value_or(verb.if_offline);
    out.deliver = said.deliver.value_or(verb.deliver);
    out.supersede = said.supersede;
    out.fail_if_busy = said.fail_if_busy;
    return std::nullopt;
}

std::optional<RequestError> parse_idempotency_key(std::string_view header, std::string& out) {
    constexpr std::size_t kSizeMax = 255;
    RequestError error{"Idempotency-Key must be a quoted text of 1 to 255 printable characters",
                       "Idempotency-Key"};
    out.clear();
    if (header.empty()) return std::nullopt;
    if (!is_printable(header, 2 * kSizeMax + 2)) return error;
    if (!header.starts_with('"')) {
        if (header.size() > kSizeMax) return error;
        out = header;
        return std::nullopt;
    }
    if (header.size() < 3 || !header.ends_with('"')) return error;
    header = header.substr(1, header.size() - 2);
    for (std::size_t i = 0; i < header.size(); ++i) {
        if (header[i] == '"') return error;
        if (header[i] == '\\') ++i;
        if (i == header.size()) return error;
        out += header[i];
    }
    if (out.size() > kSizeMax) return error;
    return std::nullopt;
}

}  // namespace spoke::bridge
