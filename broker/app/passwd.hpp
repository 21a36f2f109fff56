#pragma once

namespace spoke::broker {

/// `spoke-broker passwd`: adds, changes and deletes users. Returns the exit code: 0, or 1 after an
/// error, which has then been told on stderr in one line.
[[nodiscard]] int passwd(int argc, char const* const* argv);

}  // namespace spoke::broker
