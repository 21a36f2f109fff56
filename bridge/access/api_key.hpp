#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/access/encoding.hpp"
#include "bridge/access/identity.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// A line of the key file. The key itself is not there: 32 random bytes need no more than one
/// SHA-256 to be out of reach.
struct ApiKey {
    std::string name;  // 1..64 letters, digits, '_', '-', '.'
    Sha256 hash{};     // of the whole key as it is sent
    std::optional<WallTime> ends{};
    Scopes scopes{};
};

inline constexpr std::string_view kApiKeyPrefix = "spoke_";

/// Reads a key file. Each line is `NAME HASH END SCOPE...`, parted by blanks: the SHA-256 of the
/// key in hex, `never` or a day such as 2027-01-31 (its first second, UTC) or a time such as
/// 2027-01-31T12:00:00Z. Empty lines and those that begin with '#' say nothing.
/// Errors  std::invalid_argument: the number of the line and what is wrong with it.
[[nodiscard]] std::vector<ApiKey> parse_api_keys(std::string_view text);

/// The line of `key`.
[[nodiscard]] std::string api_key_line(std::string_view name, std::string_view key,
                                       std::optional<WallTime> ends,
                                       std::vector<std::string> const& scopes);

/// The key of 32 random bytes.
[[nodiscard]] std::string make_api_key(Sha256 const& random);

}  // namespace spoke::bridge
