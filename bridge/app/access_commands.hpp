#pragma once

namespace spoke::bridge {

/// `spoke-bridge token ...`: makes a JSON Web Token for development and prints it.
/// Out     the exit code: 0, or 1 after an error, told in one line on stderr.
[[nodiscard]] int token_command(int argc, char const* const* argv);

/// `spoke-bridge key new ...`: makes an API key, prints it, and keeps its hash. The same.
[[nodiscard]] int key_command(int argc, char const* const* argv);

}  // namespace spoke::bridge
