#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::sim {

/// Registers `city` with its options, as add_run_command does with `run`.
/// Out     exit codes of what runs it: 0 every invariant holds, 1 one does not, 3 it proves
/// nothing.
void add_city_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace spoke::sim
