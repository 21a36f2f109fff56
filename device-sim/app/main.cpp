#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <functional>

#include "device-sim/app/city_command.hpp"
#include "device-sim/app/run_command.hpp"
#include "device-sim/app/watch_command.hpp"
#include "device-sim/load/load_command.hpp"

namespace {

constexpr auto kVersion = "spoke-sim 0.1.0";
constexpr int kBadUsage = 2;

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{
        "Plays a fleet of shared-bike locks, or a whole city, or readers of the event log, or loads a "
        "broker and a bridge",
        "spoke-sim"};
    app.set_version_flag("--version", kVersion);
    app.require_subcommand(1);

    std::function<int()> chosen;
    spoke::sim::add_run_command(app, chosen);
    spoke::sim::add_city_command(app, chosen);
    spoke::sim::add_watch_command(app, chosen);
    spoke::sim::add_load_command(app, chosen);

    try {
        app.parse(argc, argv);
    } catch (CLI::ParseError const& error) {
        return app.exit(error) == 0 ? 0 : kBadUsage;
    }
    try {
        return chosen();
    } catch (std::exception const& error) {
        std::fprintf(stderr, "spoke-sim: %s\n", error.what());
        return 1;
    }
}
