#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "broker/auth/file_error.hpp"
#include "broker/auth/password_hash.hpp"
#include "broker/auth/user_table.hpp"

namespace spoke::broker {

struct PasswordLimits {
    std::size_t bytes_max = 64U << 20;
    std::size_t users_max = 1'000'000;
    HashLimits hash{};
};

/// User names and password hashes in the format of mosquitto_passwd, read whole: one `user:hash`
/// per line, hashes as in password_hash.hpp; blank lines and lines that begin with '#' say nothing.
/// Immutable; any thread.
class PasswordFile {
public:
    /// Errors  the first line that is wrong (no ':', no user name, an unknown or costly hash, a
    ///         user for the second time), too many bytes or users.
    [[nodiscard]] static FileResult<PasswordFile> parse(std::string_view text,
                                                        std::string_view name,
                                                        PasswordLimits const& limits = {});

    /// Whether `user` is there with this password. Slow by design: not for a shard's thread. An
    /// unknown user costs as much as some user that is there, always the same one.
    [[nodiscard]] bool accepts(std::string_view user, std::string_view password) const;

    [[nodiscard]] std::size_t users() const noexcept { return users_.size(); }

private:
    PasswordFile() = default;

    UserTable<PasswordHash> users_;
};

}  // namespace spoke::broker
