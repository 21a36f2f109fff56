#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spoke::broker {

inline constexpr std::size_t kSha256Size = 32;

// Bytes in, 32 bytes out.
[[nodiscard]] std::string sha256(std::string_view bytes);
[[nodiscard]] std::string hmac_sha256(std::string_view key, std::string_view bytes);
[[nodiscard]] std::string pbkdf2_sha256(std::string_view password, std::string_view salt,
                                        std::uint32_t iterations);

/// Whether both are the same bytes; takes as long wherever they differ.
[[nodiscard]] bool is_same_secret(std::string_view one, std::string_view other) noexcept;

}  // namespace spoke::broker
