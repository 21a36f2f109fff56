#pragma once

#include "broker/auth/secret.hpp"

namespace spoke::broker {

/// Asks for a new password at the terminal that is standard input, twice, without showing it.
/// Errors  std::runtime_error: interrupted, not the same, none.
[[nodiscard]] Secret ask_for_password();

/// The one line of standard input, without its end.
/// Errors  std::runtime_error: none, more than one line, more than 65535 bytes.
[[nodiscard]] Secret read_password_line();

/// Whether there is somebody to ask.
[[nodiscard]] bool is_terminal();

}  // namespace spoke::broker
