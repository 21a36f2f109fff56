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

void append_rest(std::string& filter, Level level, Levels& rest, bool is_first) {
    for (; level; level = rest.next(), is_first = false) append_level(filter, *level, is_first);
}

}  // namespace

bool covers(std::string_view wide, std::string_view narrow) noexcept {
    if (stops_at_dollar(wide, narrow)) return false;
    // No topic is empty, so that here '#' stands for one level at least.
    if (narrow == "#") narrow = "+/#";
    if (narrow == "/#") narrow = "/+/#";
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
    auto level = levels.next();
    auto other_level = other_levels.next();
    for (auto is_first = true; level || other_level; is_first = false) {
        if (level == "#") {
            // What it stands for is decided by the rest of the other one, be it nothing.
            append_rest(common, other_level, other_levels, is_first);
            break;
        }
        if (other_level == "#") {
            append_rest(common, level, levels, is_first);
            break;
        }
        if (!level || !other_level) return std::nullopt;
        if (level != other_level && level != "+" && other_level != "+") return std::nullopt;
        append_level(common, level == "+" ? *other_level : *level, is_first);
        level = levels.next();
        other_level = other_levels.next();
    }
    if (common.empty()) return std::nullopt;  // what "/#" and "+" have in common is no topic
    return common;
}

}  // namespace spoke::broker
