#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spoke::bridge {

using Sha256 = std::array<std::uint8_t, 32>;

[[nodiscard]] Sha256 sha256(std::string_view bytes);

/// HMAC with SHA-256 (RFC 2104).
[[nodiscard]] Sha256 hmac_sha256(std::string_view key, std::string_view bytes);

/// base64url without padding (RFC 4648, 5).
[[nodiscard]] std::string base64url(std::string_view bytes);

/// Out     the bytes; nullopt for padding, another alphabet, or bits behind the last byte that are
/// not zero, so that one value has one spelling.
[[nodiscard]] std::optional<std::string> from_base64url(std::string_view text);

[[nodiscard]] std::string lower_hex(Sha256 const& bytes);
[[nodiscard]] std::optional<Sha256> sha256_from_hex(std::string_view text);

/// Takes a time that depends on the sizes alone.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b) noexcept;

[[nodiscard]] inline std::string_view bytes_of(Sha256 const& hash) noexcept {
    return {reinterpret_cast<char const*>(hash.data()), hash.size()};
}

}  // namespace spoke::bridge
