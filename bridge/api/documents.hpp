#pragma once

#include <string>

#include "bridge/command/command.hpp"
#include "bridge/command/device_registry.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// "2026-11-22T19:00:08.000Z"
[[nodiscard]] std::string rfc3339(WallTime time);

/// The command document: the same wherever a command is shown.
[[nodiscard]] std::string command_document(Command const& command);

/// The device document, with the presence at `now`.
[[nodiscard]] std::string device_document(Device const& device, Presence presence);

}  // namespace spoke::bridge
