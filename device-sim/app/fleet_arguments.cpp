#include "device-sim/app/fleet_arguments.hpp"

#include <map>
#include <string_view>
#include <variant>

namespace spoke::sim {
namespace {

/// Ids stand in topics, where '/', '+' and '#' mean something. Empty if `prefix` is fine.
std::string check_prefix(std::string& prefix) {
    constexpr std::string_view kAllowed =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    if (prefix.size() > 32) return "an id prefix has at most 32 characters";
    if (prefix.find_first_not_of(kAllowed) == std::string::npos) return {};
    return "an id prefix has letters, digits, '_', '.' and '-' only";
}

/// The validator of an option which `parse` reads.
template <class Parse>
CLI::Validator readable_by(Parse parse, std::string name) {
    auto check = [parse](std::string& text) {
        auto parsed = parse(text);
        auto const* problem = std::get_if<std::string>(&parsed);
        return problem == nullptr ? std::string{} : *problem;
    };
    return CLI::Validator{check, std::move(name)};
}

}  // namespace

CLI::AsNumberWithUnit duration() {
    std::map<std::string, std::uint64_t> units{
        {"ms", 1}, {"s", 1000}, {"m", 60'000}, {"h", 3'600'000}};
    auto options = CLI::AsNumberWithUnit::Options(CLI::AsNumberWithUnit::CASE_SENSITIVE |
                                                  CLI::AsNumberWithUnit::UNIT_REQUIRED);
    return CLI::AsNumberWithUnit{units, options, "TIME"};
}

void add_fleet_options(CLI::App& command, FleetArguments& arguments) {
    auto& fleet = arguments.fleet;
    command.add_option("--bikes", fleet.bikes, "How many locks to play")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    command.add_option("--prefix", fleet.id_prefix, "Their ids are this and a number")
        ->check(CLI::Validator{check_prefix, "[A-Za-z0-9_.-]"})
        ->capture_default_str();
    command.add_option("--first", fleet.first_number, "Number of the first of them")
        ->check(CLI::Range(0, 1'000'000'000))
        ->capture_default_str();
    command.add_option("--seed", fleet.seed, "Of everything that is left to chance")
        ->capture_default_str();
    command
        .add_option("--v3-every", fleet.v3_every,
                    "Each n-th bike speaks MQTT 3.1.1, the others 5; 0: none, 1: all")
        ->check(CLI::Range(0, 1'000'000))
        ->capture_default_str();
    command
        .add_option("--boot", arguments.boot,
                    "Boot number of all bikes; left out: seconds since 2025, so that it grows from "
                    "run to run")
        ->check(CLI::Range(std::uint64_t{1}, std::uint64_t{0xFFFF'FFFF}));
}

void add_connection_options(CLI::App& command, FleetArguments& arguments) {
    auto& fleet = arguments.fleet;
    command.add_option("--host", fleet.host, "Broker's address")->capture_default_str();
    command.add_option("-p,--port", fleet.port, "Broker's port")
        ->check(CLI::Range(arguments.port_min, std::uint32_t{65'535}))
        ->capture_default_str();
    command.add_option(
        "--bind", fleet.bind_addresses,
        "Local addresses to connect from, in turn: one serves 14000 bikes quickly, 28000 "
        "at most");
    command.add_option("--rate", fleet.connects_per_s, "Connections a second while starting")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    command.add_option("--keep-alive", arguments.keep_alive_s, "Seconds; 0: off")
        ->check(CLI::Range(0, 65'535))
        ->capture_default_str();
    command
        .add_option("--reconnect-max", arguments.reconnect_max_ms,
                    "Longest wait before the next attempt (default 5m)")
        ->transform(duration());
    command.add_option("--user", fleet.user_name, "User name");
    command.add_option("--password", fleet.password, "Password")->envname("SPOKE_SIM_PASSWORD");
    auto* tls = command.add_flag("--tls", arguments.use_tls, "Connect over TLS");
    command
        .add_option("--ca", arguments.tls.ca_file,
                    "PEM file of the authorities to trust instead of the system's")
        ->needs(tls);
}

void add_behaviour_options(CLI::App& command, FleetArguments& arguments) {
    auto& fleet = arguments.fleet;
    auto& model = fleet.model;
    command
        .add_option("--heartbeat", arguments.heartbeat_ms,
                    "Between two reports of a bike's state (default 60s)")
        ->transform(duration());
    command
        .add_option("--ride", arguments.ride_ms,
                    "Riders close the lock by hand after half to one and a half of this; left out: "
                    "never")
        ->transform(duration());
    auto add_share = [&command](char const* name, double& share, char const* meaning) {
        command.add_option(name, share, meaning)
            ->check(CLI::Range(0.0, 1.0))
            ->capture_default_str();
    };
    add_share("--jam", model.jam_share, "Share of motor acts that jam");
    add_share("--crash", model.crash_share,
              "Share of orders at which power is lost after the receipt is written");
    add_share("--mute", model.mute_share, "Share of orders that a bike does not see");
    add_share("--clockless", fleet.clockless_share, "Share of bikes without a clock");
}

void add_fault_options(CLI::App& command, FleetArguments& arguments) {
    command
        .add_option("--firmware", arguments.firmware,
                    "good; or, to see what breaks: no-journal (a repeated order is carried out "
                    "again), ignores-deadline (so is a late one)")
        ->check(CLI::IsMember({"good", "no-journal", "ignores-deadline"}))
        ->capture_default_str();
    command
        .add_option("--faults", arguments.faults,
                    "What goes wrong, as in city,crash=2%,stall=10%@60s-2m,storm=30%@90s")
        ->check(readable_by(parse_faults, "LIST"))
        ->capture_default_str();
    command
        .add_option("--net", arguments.net,
                    "The usual network, then shares of bikes in others, as in lte-m,20%=2g")
        ->check(readable_by(parse_net, "LIST"))
        ->capture_default_str();
    command.footer(
        "FAULTS (`city` is a mixture of them, `none` is none; behind @ the time since the begin, "
        "in a city since the riders began: from, or from-to)\n" +
        describe_faults() + "\nNETWORKS\n" + describe_nets());
}

FleetOptions fleet_options(FleetArguments const& arguments) {
    using Millis = std::chrono::milliseconds;
    auto fleet = arguments.fleet;
    fleet.keep_alive = std::chrono::seconds{arguments.keep_alive_s};
    fleet.reconnect_max = Millis{arguments.reconnect_max_ms};
    fleet.model.heartbeat = std::chrono::ceil<std::chrono::seconds>(Millis{arguments.heartbeat_ms});
    fleet.model.ride_min = Millis{arguments.ride_ms / 2};
    fleet.model.ride_max = Millis{arguments.ride_ms / 2 * 3};
    fleet.model.flaws.no_journal = arguments.firmware == "no-journal";
    fleet.model.flaws.ignores_deadline = arguments.firmware == "ignores-deadline";
    fleet.faults = std::get<FaultPlan>(parse_faults(arguments.faults));
    fleet.net = std::get<NetPlan>(parse_net(arguments.net));
    if (arguments.boot != 0) fleet.boot = static_cast<std::uint32_t>(arguments.boot);
    if (arguments.use_tls) fleet.tls = mqtt::load_tls(arguments.tls);
    return fleet;
}

}  // namespace spoke::sim
