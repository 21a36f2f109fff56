#include "device-sim/load/load_command.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <map>
#include <memory>

#include "device-sim/load/http_riders.hpp"
#include "device-sim/load/load_failure.hpp"
#include "device-sim/load/own_process.hpp"
#include "device-sim/load/publish_template.hpp"
#include "device-sim/load/push_command.hpp"
#include "device-sim/load/settings.hpp"
#include "device-sim/load/workload.hpp"

namespace spoke::sim {
namespace {

using load::Mode;
using load::ModeRow;
using load::Part;
using load::Settings;

constexpr std::uint32_t kPayloadMax = 16 * 1024 * 1024;
constexpr std::uint32_t kWindowMax = 65'535;
constexpr std::uint32_t kPeersMax = 1'000'000;

int run_mode(Settings const& settings) {
    load::pin_to(settings.cpu);
    load::raise_open_files();
    auto outcome = load::make_workload(settings)->run();
    auto name = std::string{load::row_of(settings.mode).name};
    if (outcome.generator_bound) {
        std::fprintf(stderr,
                     "spoke-sim load %s: the generator itself was the limit; the broker could do "
                     "more than these figures say\n",
                     name.c_str());
    }
    if (outcome.contended) {
        std::fprintf(
            stderr,
            "spoke-sim load %s: other processes had the cores meanwhile; a broker kept "
            "waiting batches more, so its cost per message is not that of a free machine\n",
            name.c_str());
    }
    outcome.report.add("ok", outcome.is_sound);
    std::printf("%s\n", outcome.report.text().c_str());
    if (!outcome.is_sound) {
        std::fprintf(stderr, "spoke-sim load %s: not every message arrived as it should\n",
                     name.c_str());
    }
    return outcome.is_sound ? 0 : 1;
}

template <class Value>
std::map<std::string, Value> values(std::initializer_list<std::pair<std::string const, Value>> v) {
    return std::map<std::string, Value>{v};
}

bool is_stored(Mode mode) {
    return mode == Mode::retain || mode == Mode::store;
}

void add_connection_options(CLI::App& mode, Settings& settings) {
    auto versions =
        values<mqtt::Version>({{"3.1.1", mqtt::Version::v3_1_1}, {"5", mqtt::Version::v5}});
    mode.add_option("--host", settings.host, "Broker's address")->capture_default_str();
    mode.add_option("-p,--port", settings.port, "Broker's port")->capture_default_str();
    mode.add_option("--mqtt", settings.version, "Protocol version: 3.1.1 (default) or 5")
        ->transform(CLI::Transformer(versions).description(""));
    mode.add_option("-u,--user", settings.user_name, "User name");
    mode.add_option("-P,--password", settings.password, "Password");
    auto* tls =
        mode.add_flag("--tls", settings.tls, "Over TLS; the broker's certificate is not looked at");
    mode.add_flag("--tls-resume", settings.tls_resume,
                  "Connections resume the session of the first one that got a ticket")
        ->needs(tls);
    mode.add_option("--keep-alive", settings.keep_alive, "Seconds; 0 is off")
        ->capture_default_str();
    mode.add_option("--handshakes", settings.handshakes_max, "Connects under way at a time")
        ->check(CLI::Range(1, 100'000))
        ->capture_default_str();
    mode.add_option("--pid", settings.broker_pid,
                    "Broker's process: measures its processor time and memory");
    mode.add_option("--cpu", settings.cpu, "Run the generator on this core only");
    mode.add_option("--run-id", settings.run_id,
                    "Part of all client ids; a new one for each run unless given");
    mode.add_option("--topic-prefix", settings.topic_prefix, "All topics begin with it")
        ->capture_default_str();
}

void add_message_options(CLI::App& mode, Settings& settings) {
    auto levels = values<mqtt::Qos>({{"0", mqtt::Qos::at_most_once},
                                     {"1", mqtt::Qos::at_least_once},
                                     {"2", mqtt::Qos::exactly_once}});
    mode.add_option("-q,--qos", settings.qos, "QoS 0, 1 or 2, of messages and subscriptions")
        ->transform(CLI::Transformer(levels).description(""))
        ->default_str(std::to_string(static_cast<int>(settings.qos)));
    mode.add_option("-s,--size", settings.payload_size, "Payload bytes")
        ->check(CLI::Range(static_cast<std::uint32_t>(sizeof(load::PayloadHead)), kPayloadMax))
        ->capture_default_str();
    if (settings.mode != Mode::rtt) {
        mode.add_option("-w,--window", settings.window,
                        "Messages of one flow on the way: not yet at every receiver or, at QoS 1 "
                        "and 2, not yet acknowledged")
            ->check(CLI::Range(std::uint32_t{1}, kWindowMax))
            ->capture_default_str();
    }
    mode.add_option("-n,--messages", settings.messages,
                    is_stored(settings.mode)
                        ? "Messages to store"
                        : "End the measurement after so many deliveries, not by time")
        ->capture_default_str();
}

void add_time_options(CLI::App& mode, Settings& settings) {
    mode.add_option("--warmup", settings.warmup_seconds, "Seconds before the measurement")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    mode.add_option("--seconds", settings.seconds, "Length of the measurement")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
}

void add_part_option(CLI::App& mode, Settings& settings) {
    auto parts = values<Part>({{"fill", Part::fill}, {"read", Part::read}});
    mode.add_option("--part", settings.part,
                    "fill: make what is stored and leave it; read: what a run with the same "
                    "--run-id left. Unless given, both")
        ->transform(CLI::Transformer(parts).description(""));
}

void add_mode_options(CLI::App& mode, Settings& settings) {
    auto has_rate = settings.mode == Mode::p2p || settings.mode == Mode::fanout ||
                    settings.mode == Mode::fanin || settings.mode == Mode::push;
    if (has_rate) {
        mode.add_option(
                "-r,--rate", settings.rate,
                "Messages published per second, all flows together; 0: as the window allows")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
    }
    if (settings.mode == Mode::rtt) {
        mode.add_option(
                "-r,--rate", settings.rate,
                "Requests per second in each pair; 0: the next one when the answer is there")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
    }
    if (has_rate || settings.mode == Mode::rtt) add_time_options(mode, settings);
    if (has_rate || settings.mode == Mode::subs) {
        mode.add_flag("--durable", settings.durable,
                      "Subscribers have sessions that outlive their connections");
    }
    if (settings.mode == Mode::push) {
        mode.add_option("--seed", settings.seed, "Of the choice of devices")->capture_default_str();
    }
    if (settings.mode == Mode::conn) {
        mode.add_option("-r,--rate", settings.rate, "Connects per second; 0: as fast as they go")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
        mode.add_option("--seconds", settings.seconds, "How long to watch them idle")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
    }
    if (settings.mode == Mode::subs) {
        mode.add_option("--subscriptions", settings.subscriptions, "Over all connections")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        mode.add_option("--filters", settings.filters_per_packet, "Filters in one SUBSCRIBE")
            ->check(CLI::Range(1, 1000))
            ->capture_default_str();
    }
    if (is_stored(settings.mode)) {
        mode.add_option("-r,--rate", settings.rate,
                        "Messages stored per second; 0: as the window allows")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
        mode.add_option("--probe", settings.probe_rate,
                        "Messages per second that a bystander sends itself while all is read")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
    }
    if (is_stored(settings.mode) || settings.mode == Mode::subs) add_part_option(mode, settings);
    if (settings.mode == Mode::conn || settings.mode == Mode::subs || is_stored(settings.mode)) {
        mode.add_option("--settle", settings.settle_seconds,
                        "Seconds to let the broker come to rest before it is sampled")
            ->check(CLI::NonNegativeNumber)
            ->capture_default_str();
    }
    if (settings.mode == Mode::devices) {
        mode.add_option("--seconds", settings.seconds, "How long to be there")
            ->check(CLI::PositiveNumber)
            ->capture_default_str();
        mode.add_option("--known", settings.known, "Further devices: born, and not connected");
    }
    if (settings.mode == Mode::retain) {
        mode.add_flag("--keep", settings.keep, "Leave the retained messages in the broker");
    }
}

/// What only the combination of options shows.
void check(Settings const& settings) {
    if (is_stored(settings.mode) && settings.qos == mqtt::Qos::at_most_once) {
        throw CLI::ValidationError{"--qos", "this mode needs QoS 1 or 2"};
    }
    if (is_stored(settings.mode) && settings.messages == 0) {
        throw CLI::ValidationError{"--messages", "this mode needs at least one"};
    }
    if (settings.part != Part::whole && settings.run_id.empty()) {
        throw CLI::ValidationError{"--part", "what is left for another run needs a --run-id"};
    }
    auto is_left = settings.mode == Mode::subs && settings.part != Part::whole;
    if (is_left && !settings.durable) {
        throw CLI::ValidationError{"--part", "only --durable subscriptions are left"};
    }
    if (settings.mode == Mode::devices && settings.run_id.empty()) {
        throw CLI::ValidationError{"--run-id",
                                   "this mode needs one: device ids begin with load-ID-d-"};
    }
    if (settings.mode == Mode::push && settings.rate <= 0) {
        throw CLI::ValidationError{"--rate", "this mode needs a rate"};
    }
}

void add_mode(CLI::App& load, ModeRow const& row, std::function<int()>& chosen) {
    auto* mode = load.add_subcommand(std::string{row.name}, std::string{row.summary});
    auto settings = std::make_shared<Settings>(defaults_of(row));
    mode->add_option("--" + std::string{row.peers_word}, settings->peers, "How many")
        ->check(CLI::Range(std::uint32_t{1}, kPeersMax))
        ->capture_default_str();
    add_connection_options(*mode, *settings);
    auto has_messages =
        row.mode != Mode::conn && row.mode != Mode::subs && row.mode != Mode::devices;
    if (has_messages) add_message_options(*mode, *settings);
    add_mode_options(*mode, *settings);
    mode->callback([settings, &chosen] {
        check(*settings);
        chosen = [settings] { return run_mode(*settings); };
    });
}

int run_commands(load::RiderSettings const& settings) {
    load::raise_open_files();
    auto outcome = load::run_riders(settings);
    outcome.report.add("ok", outcome.is_sound);
    std::printf("%s\n", outcome.report.text().c_str());
    if (outcome.is_sound) return 0;
    std::fprintf(stderr, "spoke-sim load commands: not every order came to its end as it should\n");
    return 1;
}

void add_riders(CLI::App& load, std::function<int()>& chosen) {
    auto* mode = load.add_subcommand(
        "commands", "Riders who give orders to a bridge over HTTP and wait for their end");
    auto settings = std::make_shared<load::RiderSettings>();
    auto positive = CLI::Range(std::uint32_t{1}, kPeersMax);
    mode->add_option("--host", settings->address, "Bridge's address")->capture_default_str();
    mode->add_option("-p,--port", settings->port, "Bridge's port")->capture_default_str();
    mode->add_option("--riders", settings->riders, "How many")
        ->check(positive)
        ->capture_default_str();
    mode->add_option("--prefix", settings->device_prefix,
                     "Device ids are this and a number from 0; those of `load devices --run-id X` "
                     "begin with load-X-d-")
        ->required();
    mode->add_option("--first", settings->first, "The first number that gets orders")
        ->capture_default_str();
    mode->add_option("--devices", settings->devices, "How many there are")
        ->check(positive)
        ->capture_default_str();
    mode->add_option("--do", settings->verb, "The order")->capture_default_str();
    mode->add_option("--ttl-ms", settings->ttl_ms, "Its time")->capture_default_str();
    mode->add_option("--wait", settings->wait_seconds,
                     "Seconds a request waits for the end; 0: only until the order is recorded")
        ->capture_default_str();
    mode->add_flag("--if-offline-wait", settings->wait_offline,
                   "Orders wait for devices that are away");
    mode->add_option("--token", settings->token, "Bearer token");
    mode->add_option("-n,--commands", settings->commands,
                     "End the measurement after so many, not by time");
    mode->add_option("--warmup", settings->warmup_seconds, "Seconds before the measurement")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    mode->add_option("--seconds", settings->seconds, "Length of the measurement")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    mode->add_option("--seed", settings->seed, "In the keys of the orders")->capture_default_str();
    mode->add_option("--pid", settings->pids,
                     "Processes whose processor time for each command is told");
    mode->callback(
        [settings, &chosen] { chosen = [settings] { return run_commands(*settings); }; });
}

}  // namespace

void add_load_command(CLI::App& app, std::function<int()>& chosen) {
    auto* load = app.add_subcommand("load", "Load a broker, check what arrives, and measure");
    load->require_subcommand(1);
    for (auto const& row : load::kModes) add_mode(*load, row, chosen);
    add_riders(*load, chosen);
    add_push_modes(*load, chosen);
}

}  // namespace spoke::sim
