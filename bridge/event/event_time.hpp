#pragma once

#include <string>

#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// "2026-11-22T19:00:00.123Z": as events tell the time.
[[nodiscard]] std::string event_time(WallTime time);

}  // namespace spoke::bridge
