#include "device-sim/app/run_command.hpp"

#include <CLI/CLI.hpp>

namespace spoke::sim {

void add_run_command(CLI::App& app, std::function<int()>& chosen) {
    auto* run = app.add_subcommand("run", "Play a fleet of shared-bike locks");
    run->callback([&chosen] { chosen = [] { return 0; }; });
}

}  // namespace spoke::sim
