#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace spoke::sim {

/// Registers `load` with one subcommand per mode.
/// Out     if the user asked for it, parsing sets `chosen` to what runs the mode: it prints one
/// line of JSON to
///         stdout and returns 0 if every message arrived once and where it should, else 1. `chosen`
///         must live until then.
void add_load_command(CLI::App& app, std::function<int()>& chosen);

}  // namespace spoke::sim
