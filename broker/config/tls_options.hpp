#pragma once

#include "protocol/options/option_table.hpp"

namespace spoke::broker {

struct ListenerConfig;

/// The options of a listener that begin with `tls_`, and `handshakes_max`.
void tls_options(options::OptionTable& table, ListenerConfig& listener);

/// Checks what one of them alone cannot show.
/// Errors  options::OptionError.
void check_tls(ListenerConfig const& listener);

}  // namespace spoke::broker
