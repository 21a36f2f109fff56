#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::broker {

/// Parses the arguments of one of the program's commands and runs it. Gives its exit code; what is
/// wrong is said in a line on stderr.
[[nodiscard]] int run_command(CLI::App& app, int argc, char const* const* argv,
                              std::function<int()> const& run);

}  // namespace spoke::broker
