#include "broker/auth/filter_sets.hpp"

#include "protocol/topic/topic.hpp"

namespace spoke::broker {
namespace {

using mqtt::Levels;
using Level = std::optional<std::string_view>;

constexpr bool is_wildcard(Level level) noexcept {
    return level == "+" || level == "#";
}

/// Whether the wildcard that starts one filter cannot stand for what the other starts with
/// [MQTT-4.7.2-1].
bool stops_at_dollar(std::string_view one, std::string_view other) noexcept {
    return is_wildcard(Levels{one}.next()) && other.starts_with('$');
}

void append_level(std::string& filter, std::string_view level, bool is_first) {
    if (!is_first) filter += '/';
    filter += level;
}

}  // namespace

bool covers(std::string_view wide, std::string_view narrow) noexcept {
    if (stops_at_dollar(wide, narrow)) return false;
    // A topic has at least one level: only here a '#' needs no level above it.
    if (narrow == "#") return wide == "#" || wide == "+/#";
    Levels wide_levels{wide};
    Levels narrow_levels{narrow};
    for (;;) {
        auto outer = wide_levels.next();
        if (outer == "#") return true;
        auto inner = narrow_levels.next();
        if (!outer || !inner) return !outer && !inner;
        if (inner == "#") return false;  // it matches the level above, and levels without end
        if (outer != "+" && outer != inner) return false;
    }
}

std::optional<std::string> intersection(std::string_view one, std::string_view other) {
    if (stops_at_dollar(one, other) || stops_at_dollar(other, one)) return std::nullopt;
    Levels levels{one};
    Levels other_levels{other};
    std::string common;
    for (auto is_first = true;; is_first = false) {
        auto level = levels.next();
        auto other_level = other_levels.next();
        if (!level && !other_level) return common;
        // What a '#' stands for is decided by the rest of the other one, be it nothing.
        if (level == "#" || other_level == "#") {
            auto& rest = level == "#" ? other_levels : levels;
            auto next = level == "#" ? other_level : level;
            for (; next; next = rest.next(), is_first = false)
                append_level(common, *next, is_first);
            return common;
        }
        if (!level || !other_level) return std::nullopt;
        if (level != other_level && level != "+" && other_level != "+") return std::nullopt;
        append_level(common, level == "+" ? *other_level : *level, is_first);
    }
}

}  // namespace spoke::broker
