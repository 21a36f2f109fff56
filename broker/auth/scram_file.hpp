#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "broker/auth/file_error.hpp"
#include "broker/auth/prepared.hpp"
#include "broker/auth/user_table.hpp"

namespace spoke::broker {

/// What the server knows of a user's password (RFC 5802, 3): enough to check a proof, not enough
/// to make one.
struct ScramVerifier {
    std::uint32_t iterations = 0;
    std::string salt;
    std::string stored_key;  // 32 bytes
    std::string server_key;  // 32 bytes

    friend bool operator==(ScramVerifier const&, ScramVerifier const&) = default;
};

inline constexpr std::uint32_t kScramIterationsMin = 4096;  // RFC 7677, 4

/// The verifier of a password. In: a prepared password (see is_prepared), a salt, iterations >= 1.
[[nodiscard]] ScramVerifier make_scram_verifier(std::string_view password, std::string_view salt,
                                                std::uint32_t iterations);

/// `SCRAM-SHA-256$ITERATIONS:SALT$STOREDKEY:SERVERKEY`, the binary parts in base64.
[[nodiscard]] std::string to_text(ScramVerifier const& verifier);

struct ScramLimits {
    std::size_t bytes_max = 64U << 20;
    std::size_t users_max = 1'000'000;
    std::uint32_t iterations_max = 5'000'000;  // what clients are asked to compute
};

/// SCRAM-SHA-256 users, read whole: one `user:VERIFIER` per line as to_text() writes it; blank
/// lines and lines that begin with '#' say nothing. Immutable; any thread.
class ScramFile {
public:
    /// `server_secret`: 16 bytes or more that stay the same while the server runs; the salts shown
    /// to users that are not there are made with it.
    /// Errors  the first line that is wrong; too many bytes or users.
    [[nodiscard]] static FileResult<ScramFile> parse(std::string_view text, std::string_view name,
                                                     std::string_view server_secret,
                                                     ScramLimits const& limits = {});

    struct Found {
        ScramVerifier verifier;
        bool is_known = false;
    };

    /// The user's verifier; for an unknown user one which no proof fits, always the same, with the
    /// iterations and the size of salt of some user that is there.
    [[nodiscard]] Found find(std::string_view user) const;

    [[nodiscard]] std::size_t users() const noexcept { return users_.size(); }

private:
    ScramFile() = default;

    UserTable<ScramVerifier> users_;
    std::string server_secret_;
};

}  // namespace spoke::broker
