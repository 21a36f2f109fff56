#pragma once

#include <functional>
#include <string>
#include <string_view>

namespace spoke::broker {

/// Lets the process open as many files as the system allows it: one per connection is needed.
void raise_open_files_limit();

/// As the system has it; "local" if it has none.
[[nodiscard]] std::string host_name();

/// SIGHUP for a program that is to read its files again; SIGINT and SIGTERM for one that is asked
/// to stop once, and ended if asked twice.
/// Made before any thread is started, since threads inherit that the signals are blocked.
class Signals {
public:
    Signals();

    /// Waits for the first signal to stop and returns its name; calls `on_hangup` for each SIGHUP
    /// before that. From then on a second one ends the process at once, as signals do by default.
    [[nodiscard]] std::string_view await_stop(std::function<void()> const& on_hangup);
};

}  // namespace spoke::broker
