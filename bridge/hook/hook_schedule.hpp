#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// When a delivery is tried again that has been tried `attempts` times, counted from the last one:
/// after 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, and up to a fifth of that more, by `random`.
/// Out     nullopt: never.
[[nodiscard]] std::optional<std::chrono::milliseconds> hook_retry_delay(std::uint32_t attempts,
                                                                        std::uint64_t random);

/// The header Retry-After (RFC 9110, 10.2.3) as a moment, a day away at most; nullopt if it cannot
/// be read.
[[nodiscard]] std::optional<WallTime> parse_retry_after(std::string_view text, WallTime now);

}  // namespace spoke::bridge
