#include "broker/auth/password_file.hpp"

#include <utility>

#include "broker/auth/user_line.hpp"

namespace spoke::broker {
namespace {

/// What mosquitto_passwd makes, for a file without users.
PasswordHash usual_form() {
    return Pbkdf2Hash{101, std::string(12, '\0'), std::string(64, '\0')};
}

}  // namespace

FileResult<PasswordFile> PasswordFile::parse(std::string_view text, std::string_view name,
                                             PasswordLimits const& limits) {
    PasswordFile file;
    auto take = [&](std::string_view user, std::string_view value) -> std::optional<std::string> {
        auto hash = parse_password_hash(value, limits.hash);
        if (!hash) return std::string{hash.error().reason};
        if (!file.users_.add(user, std::move(*hash))) return "is there twice";
        return std::nullopt;
    };
    if (auto error = read_user_lines(text, name, {limits.bytes_max, limits.users_max}, take))
        return std::move(*error);
    return file;
}

bool PasswordFile::accepts(std::string_view user, std::string_view password) const {
    if (auto const* hash = users_.find(user)) return matches(*hash, password);
    auto const* stand_in = users_.stand_in(user);
    static_cast<void>(matches(stand_in ? *stand_in : usual_form(), password));
    return false;
}

}  // namespace spoke::broker
