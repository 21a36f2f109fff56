#include "device-sim/judge/command_note.hpp"

#include <boost/json.hpp>
#include <charconv>

namespace spoke::sim {
namespace {

namespace json = boost::json;

std::optional<json::value> parse_object(std::string_view document) {
    json::error_code error;
    auto value = json::parse(json::string_view{document.data(), document.size()}, error);
    if (error || !value.is_object()) return std::nullopt;
    return value;
}

std::string text_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    auto const* text = value == nullptr ? nullptr : value->if_string();
    return text == nullptr ? std::string{} : std::string{text->data(), text->size()};
}

bool flag_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    return value != nullptr && value->is_bool() && value->get_bool();
}

std::optional<double> number_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr || !value->is_number()) return std::nullopt;
    return value->to_number<double>();
}

json::object const* object_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    return value == nullptr ? nullptr : value->if_object();
}

/// The number in `text` from `at` on, `size` digits.
std::optional<int> digits(std::string_view text, std::size_t at, std::size_t size) {
    int number = 0;
    auto const* begin = text.data() + at;
    auto [end, error] = std::from_chars(begin, begin + size, number);
    if (error != std::errc{} || end != begin + size) return std::nullopt;
    return number;
}

}  // namespace

std::optional<CommandNote> read_command_note(std::string_view document) {
    auto value = parse_object(document);
    if (!value) return std::nullopt;
    auto const& object = value->get_object();
    CommandNote note;
    note.id = text_of(object, "id");
    note.device = text_of(object, "device");
    note.verb = text_of(object, "do");
    note.state = text_of(object, "state");
    note.why = text_of(object, "why");
    note.settled = flag_of(object, "settled");
    note.late = flag_of(object, "late");
    note.n = static_cast<std::uint64_t>(number_of(object, "n").value_or(0));
    note.deadline = read_rfc3339(text_of(object, "deadline"));
    if (auto const* answer = object_of(object, "answer")) {
        note.answer_result = text_of(*answer, "r");
        note.answer_why = text_of(*answer, "why");
        note.answer_lock = text_of(*answer, "lock");
    }
    if (note.id.empty() || note.state.empty()) return std::nullopt;
    return note;
}

SpentTimes read_spent_times(std::string_view document) {
    auto value = parse_object(document);
    auto const* spent = value ? object_of(value->get_object(), "spent_ms") : nullptr;
    if (spent == nullptr) return {};
    return {number_of(*spent, "queue"), number_of(*spent, "down"), number_of(*spent, "device"),
            number_of(*spent, "up")};
}

std::string read_problem_type(std::string_view body) {
    auto value = parse_object(body);
    auto type = value ? text_of(value->get_object(), "type") : std::string{};
    if (type.empty()) return "?";
    return type.substr(type.rfind('/') + 1);
}

std::optional<WallTime> read_rfc3339(std::string_view text) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00.000Z";
    if (text.size() != kForm.size()) return std::nullopt;
    for (std::size_t at = 0; at < kForm.size(); ++at) {
        if (kForm[at] != '0' && kForm[at] != text[at]) return std::nullopt;
    }
    auto year = digits(text, 0, 4), month = digits(text, 5, 2), day = digits(text, 8, 2);
    auto hour = digits(text, 11, 2), minute = digits(text, 14, 2), second = digits(text, 17, 2);
    auto millis = digits(text, 20, 3);
    if (!year || !month || !day || !hour || !minute || !second || !millis) return std::nullopt;
    std::chrono::year_month_day date{std::chrono::year{*year},
                                     std::chrono::month{static_cast<unsigned>(*month)},
                                     std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date} + std::chrono::hours{*hour} + std::chrono::minutes{*minute} +
           std::chrono::seconds{*second} + std::chrono::milliseconds{*millis};
}

}  // namespace spoke::sim
