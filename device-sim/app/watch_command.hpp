#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::sim {

/// Registers `watch` with its options, as add_city_command does with `city`.
/// Out     exit codes of what runs it: 0 all counts are zero, 1 one is not, 3 it proves nothing.
void add_watch_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace spoke::sim
