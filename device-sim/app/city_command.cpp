#include "device-sim/app/city_command.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "device-sim/app/fleet_arguments.hpp"
#include "device-sim/app/program_arguments.hpp"
#include "device-sim/app/run_city.hpp"

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

struct CityArguments {
    FleetArguments fleet{};
    CityRunOptions run{};
    std::uint64_t run_for_ms = 60'000;
    std::uint64_t ttl_ms = 8'000;
    std::uint64_t rest_ms = 2'000;
    std::uint64_t settle_ms = 120'000;
    std::uint16_t http_port = 8080;
    std::string token_file{};
    ProgramArguments programs{};
};

void add_city_options(CLI::App& city, CityArguments& arguments) {
    auto& run = arguments.run;
    city.add_option("--riders", run.city.rider_count, "How many people ride")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    city.add_option("--for", arguments.run_for_ms, "How long they ride (default 1m)")
        ->transform(duration());
    city.add_option("--ttl", arguments.ttl_ms, "`ttl_ms` of their orders (default 8s)")
        ->transform(duration());
    city.add_option("--rest", arguments.rest_ms, "Longest rest between two rides (default 2s)")
        ->transform(duration());
    city.add_option("--settle", arguments.settle_ms,
                    "Longest time for everything to settle at the end (default 2m)")
        ->transform(duration());
    city.add_option("--http-port", arguments.http_port, "The bridge's port; 0: a free one")
        ->capture_default_str();
    auto* token = city.add_option("--token", run.city.riders.errand.token, "Bearer token")
                      ->envname("SPOKE_TOKEN");
    city.add_option("--token-file", arguments.token_file, "File with the bearer token")
        ->excludes(token);
}

CityRunOptions finished(CityArguments& arguments) {
    auto run = arguments.run;
    auto& city = run.city;
    if (arguments.fleet.fleet.port == 0) arguments.fleet.fleet.port = free_port();
    if (arguments.http_port == 0) arguments.http_port = free_port();
    city.fleet = fleet_options(arguments.fleet);
    // It is the riders who close the locks.
    city.riders.ride_min = city.fleet.model.ride_min;
    city.riders.ride_max = city.fleet.model.ride_max;
    city.fleet.model.ride_min = city.fleet.model.ride_max = Millis{0};
    city.seed = city.fleet.seed;
    city.run_for = Millis{arguments.run_for_ms};
    city.settle_for = Millis{arguments.settle_ms};
    city.riders.ttl = Millis{arguments.ttl_ms};
    city.riders.rest_max = Millis{arguments.rest_ms};
    city.riders.rest_min = city.riders.rest_max / 10;
    city.riders.errand.http.port = arguments.http_port;
    city.riders.errand.http.timeout = std::chrono::seconds{40};
    if (!arguments.token_file.empty()) {
        city.riders.errand.token = first_line_of(arguments.token_file);
    }
    city.programs = program_options(arguments.programs, city.riders.errand.http, city.fleet.port,
                                    city.run_for, city.seed);
    city.firmware = arguments.fleet.firmware;
    city.faults = arguments.fleet.faults;
    city.net = arguments.fleet.net;
    return run;
}

}  // namespace

void add_city_command(CLI::App& app, std::function<int()>& chosen) {
    auto* city = app.add_subcommand(
        "city", "Play riders and locks, kill broker and bridge, and judge what they promised");
    auto arguments = std::make_shared<CityArguments>();
    auto& fleet = arguments->fleet;
    fleet.port_min = 0;
    fleet.faults = "city";
    fleet.net = "lte-m,10%=2g,3%=garage";
    fleet.ride_ms = 10'000;
    fleet.heartbeat_ms = 20'000;
    fleet.reconnect_max_ms = 15'000;
    add_city_options(*city, *arguments);
    add_program_options(*city, arguments->programs, "the riders began");
    add_report_options(*city, arguments->run.report);
    add_fleet_options(*city, fleet);
    add_connection_options(*city, fleet);
    add_behaviour_options(*city, fleet);
    add_fault_options(*city, fleet);
    city->callback(
        [arguments, &chosen] { chosen = [arguments] { return run_city(finished(*arguments)); }; });
}

}  // namespace spoke::sim
