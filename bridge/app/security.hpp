#pragma once

#include <string>

#include "bridge/access/access.hpp"
#include "bridge/api/api.hpp"
#include "bridge/config/config.hpp"

namespace spoke::bridge {

/// Reads the files of [auth].
/// Errors  std::runtime_error, one line: the file and what is wrong with it, nothing of what it
///         holds.
[[nodiscard]] KeyMaterial load_keys(AuthConfig const& config);

[[nodiscard]] TokenRules token_rules(AuthConfig const& config);
[[nodiscard]] Api::Settings api_settings(Config const& config);

/// The whole of a small file. Errors: std::runtime_error, one line.
[[nodiscard]] std::string read_small_file(std::string const& path);

}  // namespace spoke::bridge
