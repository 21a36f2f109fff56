#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "broker/auth/file_error.hpp"

namespace spoke::broker {

struct UserLineLimits {
    std::size_t bytes_max = 0;
    std::size_t users_max = 0;
};

/// What is wrong with the value of a user, if anything.
using TakeUser =
    std::function<std::optional<std::string>(std::string_view user, std::string_view value)>;

/// Walks a file of `user:value` lines; blank lines and lines that begin with '#' say nothing.
/// Errors  the first line that has no ':' or no user name, or that `take` does not like; too many
///         bytes or users.
[[nodiscard]] std::optional<FileError> read_user_lines(std::string_view text, std::string_view name,
                                                       UserLineLimits const& limits,
                                                       TakeUser const& take);

}  // namespace spoke::broker
