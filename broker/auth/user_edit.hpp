#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace spoke::broker {

// Changes of a file of `user:value` lines, as read_user_lines() reads it. All other lines stay as
// they are, comments included.

/// With the user's line exchanged, or added at the end.
[[nodiscard]] std::string with_user(std::string_view text, std::string_view user,
                                    std::string_view value);

/// Without the user's line; nullopt if there is none.
[[nodiscard]] std::optional<std::string> without_user(std::string_view text, std::string_view user);

/// Whether a line can begin with this name and mean it: valid UTF-8 of at most 65535 bytes, not
/// empty, no ':', no control character, no '#' or blank at its start.
[[nodiscard]] bool can_name_a_line(std::string_view user) noexcept;

}  // namespace spoke::broker
