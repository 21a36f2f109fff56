#pragma once

#include "protocol/options/option_table.hpp"

namespace spoke::broker {

struct Config;

/// The one table of the broker's options, bound to `config`, which must outlive it.
[[nodiscard]] options::OptionTable option_table(Config& config);

/// Checks what one option alone cannot show.
/// Errors  options::OptionError.
void check(Config const& config);

}  // namespace spoke::broker
