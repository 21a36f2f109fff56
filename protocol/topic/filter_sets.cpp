#include "protocol/topic/filter_sets.hpp"

#include "protocol/topic/topic.hpp"

namespace spoke::mqtt {
namespace {

bool is_wildcard(std::string_view level) noexcept {
    return level == "+" || level == "#";
}

/// A wildcard in the first level does not match names that begin with '$' [MQTT-4.7.2-1].
bool hides_first(std::string_view with_wildcard, std::string_view other) noexcept {
    return is_wildcard(with_wildcard.substr(0, with_wildcard.find('/'))) && other.starts_with('$');
}

}  // namespace

bool covers(std::string_view outer, std::string_view inner) noexcept {
    if (hides_first(outer, inner)) return false;
    if (outer == "+/#") outer = "#";  // a topic has one level at least
    Levels wide{outer};
    Levels narrow{inner};
    for (;;) {
        auto want = wide.next();
        if (want == "#") return true;  // also the level above it: a/# matches a (4.7.1.2)
        auto have = narrow.next();
        if (!want || !have) return !want && !have;
        if (have == "#" || (have == "+" && want != "+")) return false;
        if (want != "+" && want != have) return false;
    }
}

bool overlap(std::string_view a, std::string_view b) noexcept {
    if (hides_first(a, b) || hides_first(b, a)) return false;
    Levels first{a};
    Levels second{b};
    for (;;) {
        auto one = first.next();
        auto other = second.next();
        if (one == "#" || other == "#") return true;
        if (!one || !other) return !one && !other;
        if (*one != "+" && *other != "+" && *one != *other) return false;
    }
}

}  // namespace spoke::mqtt
