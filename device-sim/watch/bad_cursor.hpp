#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "device-sim/device/dice.hpp"
#include "device-sim/watch/seen_event.hpp"

namespace spoke::sim {

/// A cursor that a reader cannot go on from, and must be told so.
enum class BadCursor : std::uint8_t { malformed, epoch, future, too_old };
inline constexpr std::array kBadCursors{BadCursor::malformed, BadCursor::epoch, BadCursor::future,
                                        BadCursor::too_old};

/// As a reset says it: "malformed", "epoch", "future", "too-old".
[[nodiscard]] std::string_view to_text(BadCursor bad) noexcept;

/// One of the kind. `start`: a place of the log, which is too old itself if the kind is.
[[nodiscard]] std::string make_bad_cursor(BadCursor bad, Place const& start, Dice& dice);

}  // namespace spoke::sim
