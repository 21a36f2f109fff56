#pragma once

#include <optional>
#include <string_view>

namespace spoke::model {

/// One level off the front of a topic or filter.
struct FirstLevel {
    std::string_view level;
    std::optional<std::string_view> rest;  // nullopt: that was the last
};

[[nodiscard]] constexpr FirstLevel first_level(std::string_view text) {
    auto slash = text.find('/');
    if (slash == std::string_view::npos) return {text, std::nullopt};
    return {text.substr(0, slash), text.substr(slash + 1)};
}

[[nodiscard]] constexpr bool levels_match(std::string_view filter, std::string_view topic) {
    auto [wanted, more_wanted] = first_level(filter);
    if (wanted == "#") return true;
    auto [level, more] = first_level(topic);
    if (wanted != "+" && wanted != level) return false;
    if (!more_wanted) return !more;
    if (!more) return *more_wanted == "#";  // "a/#" matches "a"
    return levels_match(*more_wanted, *more);
}

/// MQTT 5, 4.7: whether a filter (without $share/NAME/) matches a topic.
[[nodiscard]] constexpr bool matches(std::string_view filter, std::string_view topic) {
    bool is_wild = filter.starts_with('#') || filter.starts_with('+');
    return !(is_wild && topic.starts_with('$')) && levels_match(filter, topic);
}

[[nodiscard]] constexpr bool is_shared(std::string_view filter) {
    return filter == "$share" || filter.starts_with("$share/");
}

/// What stands behind $share/NAME/; the filter itself if it is none of these. Valid filters only.
[[nodiscard]] constexpr std::string_view without_share(std::string_view filter) {
    if (!is_shared(filter)) return filter;
    return *first_level(*first_level(filter).rest).rest;
}

[[nodiscard]] constexpr bool is_valid_plain_filter(std::string_view filter) {
    if (filter.empty()) return false;
    for (std::optional<std::string_view> rest = filter; rest;) {
        auto [level, more] = first_level(*rest);
        if (level.find_first_of("+#") != std::string_view::npos && level.size() > 1) return false;
        if (level == "#" && more) return false;
        rest = more;
    }
    return true;
}

/// MQTT 5, 4.7.1 and 4.8.2.
[[nodiscard]] constexpr bool is_valid_filter(std::string_view filter) {
    if (!is_shared(filter)) return is_valid_plain_filter(filter);
    auto behind = first_level(filter).rest;
    if (!behind) return false;
    auto [name, rest] = first_level(*behind);
    if (name.empty() || name.find_first_of("+#") != std::string_view::npos || !rest) return false;
    return is_valid_plain_filter(*rest);
}

static_assert(matches("a/#", "a") && matches("#", "a//b") && matches("+/+", "/"));
static_assert(!matches("+", "a/") && !matches("a/+", "a") && !matches("#", "$x/a"));
static_assert(matches("$x/#", "$x/a") && matches("a/+/c", "a//c") && !matches("/+", "a"));

}  // namespace spoke::model
