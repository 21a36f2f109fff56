#include "bridge/api/parameters.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace spoke::bridge {
namespace {

using namespace std::chrono;

seconds capped(std::uint64_t wish) {
    return std::min(seconds{wish}, kWaitMax);
}

/// `wait=8` and `respond-async` among the preferences.
void read_preferences(std::string_view prefer, WaitWish& out) {
    for (auto item : list_items(prefer)) {
        item = item.substr(0, item.find(';'));
        while (item.ends_with(' ')) item.remove_suffix(1);
        if (item == "respond-async" && out.applied.empty()) out.applied = item;
        if (!item.starts_with("wait=")) continue;
        auto wish = parse_number(item.substr(5), 0, UINT32_MAX);
        if (!wish) continue;
        out.wait = capped(*wish);
        out.applied = fmt::format("wait={}", out.wait.count());
        return;
    }
}

}  // namespace

void WaitWish::note_in(HttpResponse& response) const {
    if (!applied.empty()) response.headers.emplace_back("Preference-Applied", applied);
}

std::optional<RequestError> parse_wait(HttpRequest const& request, Target const& target,
                                       WaitWish& out) {
    auto text = target.parameter("wait");
    if (!text) {
        read_preferences(request.header("Prefer"), out);
        return std::nullopt;
    }
    auto wish = parse_number(*text, 0, UINT32_MAX);
    if (!wish) return RequestError{"\"wait\" must be a number of seconds", "wait"};
    out.wait = capped(*wish);
    return std::nullopt;
}

std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t min,
                                          std::uint64_t max) noexcept {
    std::uint64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (number < min || number > max) return std::nullopt;
    return number;
}

std::optional<RequestError> parse_limit(Target const& target, std::size_t& out) {
    auto text = target.parameter("limit");
    if (!text) return std::nullopt;
    auto limit = parse_number(*text, 1, 1'000);
    if (!limit) return RequestError{"\"limit\" must be a number from 1 to 1000", "limit"};
    out = *limit;
    return std::nullopt;
}

std::optional<RequestError> parse_flag(Target const& target, std::string_view name, bool& out) {
    auto text = target.parameter(name);
    if (!text) return std::nullopt;
    if (*text != "true" && *text != "false" && *text != "1" && *text != "0") {
        return RequestError{fmt::format("\"{}\" must be true or false", name), std::string{name}};
    }
    out = *text == "true" || *text == "1";
    return std::nullopt;
}

std::optional<RequestError> check_parameters(Target const& target,
                                             std::vector<std::string_view> const& known) {
    for (auto const& [name, value] : target.query) {
        if (std::ranges::find(known, name) == known.end()) {
            return RequestError{"there is no query parameter \"" + name + "\"", name,
                                std::string{nearest_name(name, known)}};
        }
    }
    return std::nullopt;
}

std::optional<Problem> check_json(HttpRequest const& request) {
    auto type = request.header("Content-Type");
    type = type.substr(0, type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    auto is_json = equal_ignoring_case(type, "application/json") || type.ends_with("+json");
    if (type.empty() || is_json) return std::nullopt;
    return Problem{ProblemKind::media_type, "send Content-Type: application/json"};
}

bool names_etag(std::string_view header, std::string_view etag) {
    return std::ranges::any_of(list_items(header), [etag](auto item) {
        if (item.starts_with("W/")) item.remove_prefix(2);
        return item == "*" || item == etag;
    });
}

bool wants_lines(HttpRequest const& request) {
    return std::ranges::any_of(list_items(request.header("Accept")), [](auto item) {
        return item.substr(0, item.find(';')) == "application/x-ndjson";
    });
}

std::optional<WallTime> parse_rfc3339(std::string_view text) {
    constexpr std::string_view kForm = "0000-00-00T00:00:00";
    if (text.size() <= kForm.size() || text.back() != 'Z') return std::nullopt;
    text.remove_suffix(1);
    for (std::size_t i = 0; i < kForm.size(); ++i) {
        auto is_digit = text[i] >= '0' && text[i] <= '9';
        if (kForm[i] == '0' ? !is_digit : text[i] != kForm[i]) return std::nullopt;
    }
    auto at = [&](std::size_t begin, std::size_t size) {
        return static_cast<unsigned>(*parse_number(text.substr(begin, size), 0, 9'999));
    };
    year_month_day date{year{static_cast<int>(at(0, 4))}, month{at(5, 2)}, day{at(8, 2)}};
    if (!date.ok() || at(11, 2) > 23 || at(14, 2) > 59 || at(17, 2) > 59) return std::nullopt;
    auto out =
        WallTime{sys_days{date}} + hours{at(11, 2)} + minutes{at(14, 2)} + seconds{at(17, 2)};
    auto rest = text.substr(kForm.size());
    if (rest.empty()) return out;
    if (rest.front() != '.' || rest.size() < 2 || rest.size() > 4) return std::nullopt;
    auto fraction = parse_number(rest.substr(1), 0, 999);
    if (!fraction) return std::nullopt;
    for (auto digits = rest.size() - 1; digits < 3; ++digits) *fraction *= 10;
    return out + milliseconds{*fraction};
}

}  // namespace spoke::bridge
