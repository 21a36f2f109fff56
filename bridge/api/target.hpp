#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spoke::bridge {

/// A request target, percent-decoded.
struct Target {
    std::vector<std::string> segments;  // "/v1/devices" is {"v1", "devices"}
    std::vector<std::pair<std::string, std::string>> query;

    /// The first value of a query parameter.
    [[nodiscard]] std::optional<std::string_view> parameter(std::string_view name) const noexcept;
};

/// Splits and decodes `target`.
/// Out     nullopt if it does not begin with '/', a percent sign is not followed by two hex digits,
/// or the
///         result is not UTF-8 without U+0000.
[[nodiscard]] std::optional<Target> parse_target(std::string_view target);

/// `text` with everything but letters, digits and "-._~" as %XX.
[[nodiscard]] std::string percent_encoded(std::string_view text);

}  // namespace spoke::bridge
