#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::sim {

/// Registers `run` with its options. Every subcommand has a function of this shape.
/// Out     if the user asked for this subcommand, parsing sets `chosen` to what runs it and returns
/// the
///         exit code. `chosen` must live until then.
void add_run_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace spoke::sim
