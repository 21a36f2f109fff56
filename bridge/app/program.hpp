#pragma once

#include "bridge/config/load.hpp"

namespace spoke::bridge {

/// Builds the bridge of its parts and runs it until SIGTERM or SIGINT.
/// Out     the exit code: 0 after a clean stop, 1 if it could not start (told in one line).
[[nodiscard]] int run(Loaded const& loaded);

}  // namespace spoke::bridge
