#include "device-sim/app/run_command.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>

#include "device-sim/app/fleet_arguments.hpp"
#include "device-sim/app/run_fleet.hpp"

namespace spoke::sim {
namespace {

struct RunArguments {
    FleetArguments fleet{};
    std::uint64_t run_for_ms = 0;
    bool json = false;
};

RunOptions finished(RunArguments const& arguments) {
    RunOptions run;
    run.fleet = fleet_options(arguments.fleet);
    run.run_for = std::chrono::milliseconds{arguments.run_for_ms};
    run.json = arguments.json;
    return run;
}

}  // namespace

void add_run_command(CLI::App& app, std::function<int()>& chosen) {
    auto* run = app.add_subcommand("run", "Play a fleet of shared-bike locks");
    auto arguments = std::make_shared<RunArguments>();
    add_fleet_options(*run, arguments->fleet);
    add_connection_options(*run, arguments->fleet);
    add_behaviour_options(*run, arguments->fleet);
    add_fault_options(*run, arguments->fleet);
    run->add_option("--for", arguments->run_for_ms,
                    "Stop after this time, as in 90s or 10m; left out: until Ctrl-C")
        ->transform(duration());
    run->add_flag("--json", arguments->json, "A line of JSON each second instead of text");
    run->callback(
        [arguments, &chosen] { chosen = [arguments] { return run_fleet(finished(*arguments)); }; });
}

}  // namespace spoke::sim
