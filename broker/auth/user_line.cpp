#include "broker/auth/user_line.hpp"

#include <fmt/format.h>

#include <utility>

#include "broker/auth/text_lines.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

std::optional<FileError> read_user_lines(std::string_view text, std::string_view name,
                                         UserLineLimits const& limits, TakeUser const& take) {
    auto error = [name](std::size_t line, std::string reason) {
        return FileError{std::string{name}, line, std::move(reason)};
    };
    if (text.size() > limits.bytes_max)
        return error(0, fmt::format("is larger than {} bytes", limits.bytes_max));
    TextLines lines{text};
    std::size_t users = 0;
    for (auto line = lines.next(); line; line = lines.next()) {
        auto colon = line->find(':');
        if (colon == std::string_view::npos)
            return error(lines.number(), "no ':' behind the user name");
        auto user = line->substr(0, colon);
        if (user.empty()) return error(lines.number(), "no user name before ':'");
        if (++users > limits.users_max)
            return error(lines.number(), fmt::format("more than {} users", limits.users_max));
        if (auto wrong = take(user, line->substr(colon + 1)))
            return error(lines.number(), fmt::format("user '{}': {}", escaped(user), *wrong));
    }
    return std::nullopt;
}

}  // namespace spoke::broker
