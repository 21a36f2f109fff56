#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace spoke {

/// Base64 of RFC 4648, section 4. PHC strings have it without the padding.
enum class Base64Padding { with, without };

[[nodiscard]] std::string to_base64(std::string_view bytes,
                                    Base64Padding padding = Base64Padding::with);

/// The bytes; nullopt unless `text` is exactly what to_base64() makes of some bytes.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text,
                                                     Base64Padding padding = Base64Padding::with);

}  // namespace spoke
