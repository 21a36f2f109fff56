#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spoke::options {

/// "64 KiB", "1 MiB", "17 B" as a number of bytes; nothing if `text` is not of that form or too
/// large for 63 bits.
[[nodiscard]] std::optional<std::int64_t> parse_bytes(std::string_view text);

/// "500 ms", "10 s", "5 min", "2 h", "7 d" as microseconds; nothing as above.
[[nodiscard]] std::optional<std::int64_t> parse_time_us(std::string_view text);

/// The shortest of these forms which says the same: 65536 is "64 KiB", 1000 is "1000 B".
[[nodiscard]] std::string bytes_text(std::int64_t bytes);
[[nodiscard]] std::string time_text(std::int64_t us);

/// How many single-character edits lead from one to the other.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

/// `text` as a TOML basic string, with its quotes.
[[nodiscard]] std::string toml_quoted(std::string_view text);

}  // namespace spoke::options
