#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace spoke {

inline constexpr std::size_t kEscapedBytesMax = 256;

/// Text that somebody else wrote, fit for one line of a log: control characters, the characters
/// that turn the direction of writing or break a line, and bytes that are not UTF-8 become \n, \t,
/// \r, \u{202E}, \xFF; a backslash becomes two. Of a text longer than `bytes_max` the beginning and
/// its size remain: "abc... (65535 bytes)".
[[nodiscard]] std::string escaped(std::string_view text, std::size_t bytes_max = kEscapedBytesMax);

}  // namespace spoke
