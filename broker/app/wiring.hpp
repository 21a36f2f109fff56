#pragma once

#include "broker/core/retained.hpp"
#include "broker/core/settings.hpp"
#include "broker/net/settings.hpp"

namespace spoke::broker {

struct Config;
struct ListenerConfig;
struct Loaded;

/// What each part is told of the configuration.
[[nodiscard]] NetSettings net_settings(Config const& config);
[[nodiscard]] LinkSettings link_settings(Config const& config, ListenerConfig const& listener);
[[nodiscard]] CoreSettings core_settings(Config const& config);
[[nodiscard]] RetainedMessages::Limits retained_limits(Config const& config);

/// Builds the broker, runs it until SIGINT or SIGTERM, takes it down again.
/// Errors  std::exception with one line, before it serves.
void run(Loaded const& loaded);

}  // namespace spoke::broker
