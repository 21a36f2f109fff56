#include "bridge/command/device_message.hpp"

#include <boost/json.hpp>

#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

/// Devices of the field send floats, strings and nulls where the contract says otherwise; a reader
/// that has met one of them in a member it needs gives the whole message up.
class Members {
public:
    explicit Members(json::object const& object) : object_(object) {}

    [[nodiscard]] bool sound() const noexcept { return sound_; }

    std::optional<std::uint64_t> number(std::string_view name) {
        auto const* value = find(name);
        if (value == nullptr) return std::nullopt;
        json::error_code error;
        auto number = value->to_number<std::uint64_t>(error);
        if (error.failed()) return broken<std::uint64_t>();
        return number;
    }

    std::string text(std::string_view name) {
        auto const* value = find(name);
        if (value == nullptr) return {};
        auto const* text = value->if_string();
        if (text == nullptr) return broken<std::string>().value_or("");
        return std::string{text->data(), text->size()};
    }

    std::optional<bool> boolean(std::string_view name) {
        auto const* value = find(name);
        if (value == nullptr) return std::nullopt;
        auto const* flag = value->if_bool();
        if (flag == nullptr) return broken<bool>();
        return *flag;
    }

    [[nodiscard]] json::value const* find(std::string_view name) const {
        auto const* value = object_.if_contains(name);
        return value != nullptr && value->is_null() ? nullptr : value;
    }

private:
    template <class T>
    std::optional<T> broken() {
        sound_ = false;
        return std::nullopt;
    }

    json::object const& object_;  // outlives this reader: both live in one parse function
    bool sound_ = true;
};

std::optional<json::object> parse_object(std::string_view payload) {
    json::error_code error;
    auto value = json::parse(payload, error);
    if (error.failed() || !value.is_object()) return std::nullopt;
    return std::move(value.as_object());
}

std::optional<Verdict> verdict_of(std::string_view word) {
    if (word == "started") return Verdict::started;
    if (word == "ok") return Verdict::ok;
    if (word == "fail") return Verdict::fail;
    if (word == "refused") return Verdict::refused;
    if (word == "cancelled") return Verdict::cancelled;
    return std::nullopt;
}

/// Unix time in seconds or in milliseconds: the two do not overlap within any lifetime of a device.
WallTime unix_time(std::uint64_t value) {
    constexpr std::uint64_t kSecondsMax = 100'000'000'000;
    auto ms = value < kSecondsMax ? value * 1000 : value;
    return WallTime{std::chrono::milliseconds{static_cast<std::int64_t>(ms & INT64_MAX)}};
}

/// One line of the journal: `["c_...", "refused:late", 117]`
std::optional<Answer> read_receipt(json::value const& value) {
    auto const* row = value.if_array();
    if (row == nullptr || row->size() < 2) return std::nullopt;
    auto const* id_text = (*row)[0].if_string();
    auto const* result = (*row)[1].if_string();
    if (id_text == nullptr || result == nullptr) return std::nullopt;
    auto id = CommandId::parse(*id_text);
    std::string_view text = *result;
    auto colon = text.find(':');
    auto word = text.substr(0, colon);
    auto verdict = verdict_of(word);
    if (!id || !verdict) return std::nullopt;
    Answer answer;
    answer.id = *id;
    answer.verdict = *verdict;
    json::object document{{"r", word}};
    if (colon != std::string_view::npos) {
        answer.why = text.substr(colon + 1);
        document["why"] = answer.why;
    }
    answer.document = json_text(document);
    return answer;
}

void read_last_n(json::value const& value, StateReport& report) {
    auto const* lanes = value.if_object();
    if (lanes == nullptr) return;
    for (auto const& [lane, n] : *lanes) {
        json::error_code error;
        auto number = n.to_number<std::uint64_t>(error);
        if (!error.failed()) report.last_n.emplace_back(std::string_view{lane}, number);
    }
}

/// nullopt where the state does not say.
std::optional<double> number_in(json::object const& state, std::string_view name) {
    auto const* value = state.if_contains(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    json::error_code error;
    return value->to_number<double>(error);
}

bool member_may_hold(std::string_view name, json::value const& wanted, json::object const& state,
                     std::uint64_t last_n) {
    if (name == "n" && wanted.is_number()) {
        json::error_code error;
        auto n = wanted.to_number<std::uint64_t>(error);
        return !error.failed() && n == last_n;
    }
    auto const* exact = state.if_contains(name);
    if (exact != nullptr) return *exact == wanted;
    constexpr std::size_t kSuffix = 4;
    if (name.size() <= kSuffix || !wanted.is_number()) return true;
    auto base = name.substr(0, name.size() - kSuffix);
    auto actual = number_in(state, base);
    if (!actual) return true;
    json::error_code error;
    auto bound = wanted.to_number<double>(error);
    if (name.ends_with("_max")) return *actual <= bound;
    if (name.ends_with("_min")) return *actual >= bound;
    return true;
}

}  // namespace

std::optional<Birth> parse_birth(std::string_view payload) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    Members members{*object};
    Birth birth;
    auto on = members.boolean("on");
    birth.on = on.value_or(false);
    birth.boot = members.number("boot");
    birth.up = members.number("up");
    if (auto wake = members.number("wake")) birth.wake = unix_time(*wake);
    birth.fw = members.text("fw");
    birth.hw = members.text("hw");
    if (!on || !members.sound()) return std::nullopt;
    return birth;
}

std::optional<Answer> parse_answer(std::string_view payload) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    Members members{*object};
    auto id = CommandId::parse(members.text("id"));
    auto verdict = verdict_of(members.text("r"));
    Answer answer;
    answer.n = members.number("n");
    answer.boot = members.number("boot");
    answer.why = members.text("why");
    answer.trace = members.text("tp");
    auto took = members.number("took");
    if (!id || !verdict || !members.sound()) return std::nullopt;
    answer.id = *id;
    answer.verdict = *verdict;
    for (auto const* name : {"id", "n", "took", "boot", "tp"}) {
        if (auto member = object->find(name); member != object->end()) object->stable_erase(member);
    }
    if (took) {
        answer.took = std::chrono::milliseconds{static_cast<std::int64_t>(*took & INT64_MAX)};
        (*object)["took_ms"] = *took;
    }
    answer.document = json_text(*object);
    return answer;
}

std::optional<StateReport> parse_state(std::string_view payload) {
    auto object = parse_object(payload);
    if (!object) return std::nullopt;
    Members members{*object};
    StateReport report;
    if (auto at = members.number("at")) report.at = unix_time(*at);
    report.boot = members.number("boot");
    report.up = members.number("up");
    if (auto const* last_n = members.find("last_n")) read_last_n(*last_n, report);
    if (auto const* journal = members.find("jrn"); journal != nullptr && journal->is_array()) {
        for (auto const& row : journal->get_array()) {
            if (auto receipt = read_receipt(row)) report.receipts.push_back(std::move(*receipt));
        }
    }
    if (!members.sound()) return std::nullopt;
    report.document = json_text(*object);
    return report;
}

std::string encode_order(Command const& command, std::chrono::milliseconds ttl) {
    json::object order;
    order["id"] = command.id.text();
    order["n"] = command.n;
    order["do"] = command.request.verb;
    if (!command.request.args.empty()) order["args"] = json::parse(command.request.args);
    order["ttl"] = ttl.count();
    order["exp"] = command.deadline.time_since_epoch().count();
    if (command.boot) order["boot"] = *command.boot;
    if (command.exp_up) order["exp_up"] = *command.exp_up;
    if (!command.request.condition.empty()) order["if"] = json::parse(command.request.condition);
    if (!command.caller.trace.empty()) order["tp"] = command.caller.trace;
    return json_text(order);
}

bool may_hold(std::string_view condition, std::string_view state, std::uint64_t last_n) {
    auto wanted = parse_object(condition);
    if (!wanted) return true;
    auto known = parse_object(state).value_or(json::object{});
    for (auto const& [name, value] : *wanted) {
        if (!member_may_hold(name, value, known, last_n)) return false;
    }
    return true;
}

}  // namespace spoke::bridge
