#pragma once

#include <optional>
#include <string_view>

#include "broker/core/stored_as.hpp"

namespace spoke::broker {

/// Whether the value ends with the checksum over its key and itself, as every value of the store
/// does.
[[nodiscard]] bool has_right_checksum(std::string_view key, std::string_view value) noexcept;
/// Whether a key has a family and the length of its kind.
[[nodiscard]] bool is_key(std::string_view key) noexcept;
/// Of a key that has a session, which may be 0; else none.
[[nodiscard]] std::optional<SessionNumber> session_in_key(std::string_view key) noexcept;

}  // namespace spoke::broker
