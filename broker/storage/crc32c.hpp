#pragma once

#include <cstdint>
#include <string_view>

namespace spoke::broker {

/// CRC-32C (Castagnoli: polynomial 0x1EDC6F41, reflected, as in RFC 3720) of `bytes`; of what came
/// before it and `bytes` if the checksum of that is given. Uses the processor's instruction where
/// there is one.
[[nodiscard]] std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0) noexcept;

/// The same by tables alone.
[[nodiscard]] std::uint32_t crc32c_portable(std::string_view bytes,
                                            std::uint32_t before = 0) noexcept;

}  // namespace spoke::broker
