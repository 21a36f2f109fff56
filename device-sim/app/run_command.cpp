#include "device-sim/app/run_command.hpp"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "device-sim/app/run_fleet.hpp"
#include "protocol/link/tls_context.hpp"

namespace spoke::sim {
namespace {

/// What the options are written to: where CLI11 wants another form than the fleet.
struct RunArguments {
    RunOptions run{};
    mqtt::TlsOptions tls{};
    bool use_tls = false;
    std::uint64_t run_for_ms = 0;
    std::uint64_t heartbeat_ms = 60'000;
    std::uint64_t reconnect_max_ms = 300'000;
    std::uint64_t ride_ms = 0;
    std::uint64_t boot = 0;
    std::uint32_t keep_alive_s = 60;
    std::string firmware = "good";
};

/// A number with its unit; a bare number is refused, since nobody remembers which unit it would be.
CLI::AsNumberWithUnit duration() {
    std::map<std::string, std::uint64_t> units{
        {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
    auto options = CLI::AsNumberWithUnit::Options(CLI::AsNumberWithUnit::CASE_SENSITIVE |
                                                  CLI::AsNumberWithUnit::UNIT_REQUIRED);
    return CLI::AsNumberWithUnit{units, options, "TIME"};
}

/// Ids stand in topics, where '/', '+' and '#' mean something. Empty if `prefix` is fine.
std::string check_prefix(std::string& prefix) {
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (prefix.size() > 32) return "an id prefix has at most 32 characters";
    if (prefix.find_first_not_of(kAllowed) == std::string::npos) return {};
    return "an id prefix has letters, digits, '_', '.' and '-' only";
}

void add_fleet_options(CLI::App& run, RunArguments& arguments) {
    auto& fleet = arguments.run.fleet;
    run.add_option("--bikes", fleet.bikes, "How many locks to play")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    run.add_option("--prefix", fleet.id_prefix, "Their ids are this and a number")
        ->check(CLI::Validator{check_prefix, "[A-Za-z0-9_.-]"})
        ->capture_default_str();
    run.add_option("--first", fleet.first_number, "Number of the first of them")
        ->check(CLI::Range(0, 1'000'000'000))
        ->capture_default_str();
    run.add_option("--seed", fleet.seed, "Of everything that is left to chance")
        ->capture_default_str();
    run.add_option("--v3-every", fleet.v3_every,
                   "Each n-th bike speaks MQTT 3.1.1, the others 5; 0: none, 1: all")
        ->check(CLI::Range(0, 1'000'000))
        ->capture_default_str();
    run.add_option("--boot", arguments.boot,
                   "Boot number of all bikes; left out: seconds since 2025, so that it grows from "
                   "run to run")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{0xFFFF'FFFF}));
}

void add_connection_options(CLI::App& run, RunArguments& arguments) {
    auto& fleet = arguments.run.fleet;
    run.add_option("--host", fleet.host, "Broker's address")->capture_default_str();
    run.add_option("-p,--port", fleet.port, "Broker's port")
        ->check(CLI::Range(1, 65'535))
        ->capture_default_str();
    run.add_option(
        "--bind", fleet.bind_addresses,
        "Local addresses to connect from, in turn: one serves 14000 bikes quickly, 28000 "
        "at most");
    run.add_option("--rate", fleet.connects_per_s, "Connections a second while starting")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    run.add_option("--keep-alive", arguments.keep_alive_s, "Seconds; 0: off")
        ->check(CLI::Range(0, 65'535))
        ->capture_default_str();
    run.add_option("--reconnect-max", arguments.reconnect_max_ms,
                   "Longest wait before the next attempt (default 5m)")
        ->transform(duration());
    run.add_option("--user", fleet.user_name, "User name");
    run.add_option("--password", fleet.password, "Password")->envname("SPOKE_SIM_PASSWORD");
    auto* tls = run.add_flag("--tls", arguments.use_tls, "Connect over TLS");
    run.add_option("--ca", arguments.tls.ca_file,
                   "PEM file of the authorities to trust instead of the system's")
        ->needs(tls);
}

void add_behaviour_options(CLI::App& run, RunArguments& arguments) {
    auto& fleet = arguments.run.fleet;
    auto& model = fleet.model;
    run.add_option("--heartbeat", arguments.heartbeat_ms,
                   "Between two reports of a bike's state (default 60s)")
        ->transform(duration());
    run.add_option("--ride", arguments.ride_ms,
                   "Riders close the lock by hand after half to one and a half of this; left out: "
                   "never")
        ->transform(duration());
    auto add_share = [&run](char const* name, double& share, char const* meaning) {
        run.add_option(name, share, meaning)->check(CLI::Range(0.0, 1.0))->capture_default_str();
    };
    run.add_option("--firmware", arguments.firmware,
                   "good; or, to see what breaks: no-journal (a repeated order is carried out "
                   "again), ignores-deadline (so is a late one)")
        ->check(CLI::IsMember({"good", "no-journal", "ignores-deadline"}))
        ->capture_default_str();
    add_share("--jam", model.jam_share, "Share of motor acts that jam");
    add_share("--crash", model.crash_share,
              "Share of orders at which power is lost after the receipt is written");
    add_share("--mute", model.mute_share, "Share of orders that a bike does not see");
    add_share("--clockless", fleet.clockless_share, "Share of bikes without a clock");
}

RunOptions finished(RunArguments const& arguments) {
    using Millis = std::chrono::milliseconds;
    auto run = arguments.run;
    run.run_for = Millis{arguments.run_for_ms};
    run.fleet.keep_alive = std::chrono::seconds{arguments.keep_alive_s};
    run.fleet.reconnect_max = Millis{arguments.reconnect_max_ms};
    run.fleet.model.heartbeat =
        std::chrono::ceil<std::chrono::seconds>(Millis{arguments.heartbeat_ms});
    run.fleet.model.ride_min = Millis{arguments.ride_ms / 2};
    run.fleet.model.ride_max = Millis{arguments.ride_ms / 2 * 3};
    run.fleet.model.flaws.no_journal = arguments.firmware == "no-journal";
    run.fleet.model.flaws.ignores_deadline = arguments.firmware == "ignores-deadline";
    if (arguments.boot != 0) run.fleet.boot = static_cast<std::uint32_t>(arguments.boot);
    if (arguments.use_tls) run.fleet.tls = mqtt::load_tls(arguments.tls);
    return run;
}

}  // namespace

void add_run_command(CLI::App& app, std::function<int()>& chosen) {
    auto* run = app.add_subcommand("run", "Play a fleet of shared-bike locks");
    auto arguments = std::make_shared<RunArguments>();
    add_fleet_options(*run, *arguments);
    add_connection_options(*run, *arguments);
    add_behaviour_options(*run, *arguments);
    run->add_option("--for", arguments->run_for_ms,
                    "Stop after this time, as in 90s or 10m; left out: until Ctrl-C")
        ->transform(duration());
    run->add_flag("--json", arguments->run.json, "A line of JSON each second instead of text");
    run->callback(
        [arguments, &chosen] { chosen = [arguments] { return run_fleet(finished(*arguments)); }; });
}

}  // namespace spoke::sim
