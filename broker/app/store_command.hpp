#pragma once

namespace spoke::broker {

/// `spoke-broker store check|dump|stats DIR`: shows people what is in a store that no broker has
/// open, and never changes it. Returns the exit code: 0, or 1 after an error, which has then been
/// told on stderr in one line, and when check found something wrong.
[[nodiscard]] int store_command(int argc, char const* const* argv);

}  // namespace spoke::broker
