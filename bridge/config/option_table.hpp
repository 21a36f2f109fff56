#pragma once

#include "protocol/options/option_table.hpp"

namespace spoke::bridge {

struct Config;

/// Every option of the bridge, bound to `config`, which outlives the table.
[[nodiscard]] options::OptionTable option_table(Config& config);

/// Throws options::OptionError if options do not go together.
void check(Config const& config);

}  // namespace spoke::bridge
