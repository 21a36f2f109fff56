#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace spoke::broker {

/// Topic filters as the sets of topic names they match (MQTT 5, 4.7), `$` rule included. All
/// filters are valid ones; cost O(length); no recursion.

/// Whether `wide` matches every topic name that `narrow` matches.
[[nodiscard]] bool covers(std::string_view wide, std::string_view narrow) noexcept;

/// The filter of all topic names that both match; nullopt if there are none. What two filters have
/// in common can always be written as one filter.
[[nodiscard]] std::optional<std::string> intersection(std::string_view one, std::string_view other);

}  // namespace spoke::broker
