#include "protocol/topic/topic.hpp"

#include <algorithm>

#include "protocol/topic/ascii_words.hpp"

namespace spoke::mqtt {
namespace {

constexpr std::size_t kTopicSizeMax = 65'535;  // [MQTT-4.7.3-3]
constexpr std::string_view kSharePrefix = "$share/";

constexpr bool has_topic_size(std::string_view topic) noexcept {
    return !topic.empty() && topic.size() <= kTopicSizeMax;  // [MQTT-4.7.3-1]
}

constexpr bool is_wildcard(char character) noexcept {
    return character == '+' || character == '#';
}

}  // namespace

bool is_valid_topic_name(std::string_view name) noexcept {
    return has_topic_size(name) && every_word_passes<holds_wildcard>(name);
}

bool is_ascii_topic_name(std::string_view name) noexcept {
    return has_topic_size(name) && every_word_passes<no_plain_topic>(name);
}

bool is_valid_topic_filter(std::string_view filter) noexcept {
    if (!has_topic_size(filter)) return false;
    for (std::size_t at = 0; at < filter.size(); ++at) {
        if (!is_wildcard(filter[at])) continue;
        if (at > 0 && filter[at - 1] != '/') return false;
        auto is_last = at + 1 == filter.size();
        if (filter[at] == '#' && !is_last) return false;                           // [MQTT-4.7.1-1]
        if (filter[at] == '+' && !is_last && filter[at + 1] != '/') return false;  // [MQTT-4.7.1-2]
    }
    return true;
}

bool matches(std::string_view filter, std::string_view name) noexcept {
    if (name.starts_with('$') && is_wildcard(filter.front())) return false;  // [MQTT-4.7.2-1]
    Levels wanted{filter};
    Levels given{name};
    for (;;) {
        auto want = wanted.next();
        if (want == "#") return true;  // also the level above it: a/# matches a (4.7.1.2)
        auto have = given.next();
        if (!want || !have) return !want && !have;
        if (want != "+" && want != have) return false;
    }
}

bool is_shared(std::string_view filter) noexcept {
    return filter.starts_with(kSharePrefix) || filter == "$share";
}

std::optional<SharedFilter> parse_shared(std::string_view filter) noexcept {
    if (!filter.starts_with(kSharePrefix)) return std::nullopt;
    filter.remove_prefix(kSharePrefix.size());
    auto slash = filter.find('/');
    if (slash == 0 || slash == std::string_view::npos) return std::nullopt;  // [MQTT-4.8.2-1]
    SharedFilter parts{filter.substr(0, slash), filter.substr(slash + 1)};
    if (std::any_of(parts.share_name.begin(), parts.share_name.end(), is_wildcard)) {
        return std::nullopt;  // [MQTT-4.8.2-2]
    }
    if (!is_valid_topic_filter(parts.filter)) return std::nullopt;  // [MQTT-4.8.2-2]
    return parts;
}

}  // namespace spoke::mqtt
