#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace spoke::broker {

/// `DIRECTORY/FORMAT`: one line of text by which a store is known, and its version of the format,
/// before anything else in it is looked at. Its first line keeps this form in all versions.
inline constexpr auto kFormatFileName = "FORMAT";

[[nodiscard]] std::string format_file_text(std::uint64_t version);
/// None if it is not such a line, or is not as it was written.
[[nodiscard]] std::optional<std::uint64_t> format_version_in(std::string_view text);

}  // namespace spoke::broker
