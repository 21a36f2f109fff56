#pragma once

#include <string_view>

namespace spoke::broker {

/// Lets the process open as many files as the system allows it: one per connection is needed.
void raise_open_files_limit();

/// SIGINT and SIGTERM for a program that is asked to stop once, and ended if asked twice.
/// Made before any thread is started, since threads inherit that the signals are blocked.
class StopSignals {
public:
    StopSignals();

    /// Waits for the first signal and returns its name. From then on a second one ends the process
    /// at once, as signals do by default.
    [[nodiscard]] std::string_view await_first();
};

}  // namespace spoke::broker
