#include "broker/auth/user_edit.hpp"

#include <algorithm>

#include "broker/auth/text_lines.hpp"
#include "protocol/topic/utf8.hpp"

namespace spoke::broker {
namespace {

constexpr std::size_t kUserNameSizeMax = 65'535;

/// A user's line in a text, with its end.
struct Place {
    std::size_t at = 0;
    std::size_t size = 0;
};

std::optional<Place> find_line(std::string_view text, std::string_view user) {
    TextLines lines{text};
    for (auto line = lines.next(); line; line = lines.next()) {
        auto is_users =
            line->size() > user.size() && line->starts_with(user) && (*line)[user.size()] == ':';
        if (!is_users) continue;
        auto at = static_cast<std::size_t>(line->data() - text.data());
        auto end = text.find('\n', at);
        return Place{at, end == std::string_view::npos ? text.size() - at : end + 1 - at};
    }
    return std::nullopt;
}

bool is_control(char character) noexcept {
    return static_cast<unsigned char>(character) < 0x20 || character == 0x7F;
}

}  // namespace

std::string with_user(std::string_view text, std::string_view user, std::string_view value) {
    auto line = std::string{user}.append(":").append(value).append("\n");
    std::string changed{text};
    if (auto place = find_line(text, user)) return changed.replace(place->at, place->size, line);
    if (!changed.empty() && changed.back() != '\n') changed += '\n';
    return changed += line;
}

std::optional<std::string> without_user(std::string_view text, std::string_view user) {
    auto place = find_line(text, user);
    if (!place) return std::nullopt;
    return std::string{text}.erase(place->at, place->size);
}

bool can_name_a_line(std::string_view user) noexcept {
    return !user.empty() && user.size() <= kUserNameSizeMax && mqtt::is_valid_utf8(user) &&
           user.find(':') == std::string_view::npos && !user.starts_with('#') &&
           !is_blank(user.front()) && std::none_of(user.begin(), user.end(), is_control);
}

}  // namespace spoke::broker
