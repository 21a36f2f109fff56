#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "broker/core/settings.hpp"
#include "protocol/topic/topic.hpp"

// The part of the topic tree that the clients of a listener see: what its mount point makes of
// their topics and filters.
namespace spoke::broker {

inline constexpr std::size_t kTopicSizeMax = 65'535;

/// Topics the broker alone publishes to: those below $SYS; behind a mount point all that begin with
/// '$', since no filter of the clients there could tell them from others [MQTT-4.7.2-1].
[[nodiscard]] inline bool is_reserved(LinkSettings const& settings,
                                      std::string_view topic) noexcept {
    if (!settings.mount_point.empty()) return topic.starts_with('$');
    return topic.starts_with("$SYS") && (topic.size() == 4 || topic[4] == '/');
}

/// `topic`: as the clients of its listener see it.
[[nodiscard]] inline bool is_command(CommandTopicSettings const& settings,
                                     std::string_view topic) noexcept {
    for (std::string const& filter : settings.filters) {
        if (mqtt::matches(filter, topic)) return true;
    }
    return false;
}

/// The filter in the whole tree: "f" as "MOUNT" + "f", "$share/g/f" as "$share/g/" + "MOUNT" + "f".
/// `filter`: valid.
[[nodiscard]] inline std::string mounted_filter(LinkSettings const& settings,
                                                std::string_view filter) {
    if (settings.mount_point.empty()) return std::string{filter};
    std::string whole{filter};
    std::size_t at = 0;
    if (auto shared = mqtt::parse_shared(filter)) at = filter.size() - shared->filter.size();
    return whole.insert(at, settings.mount_point);
}

}  // namespace spoke::broker
