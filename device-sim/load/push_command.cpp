#include "device-sim/load/push_command.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "device-sim/load/http_crowd.hpp"
#include "device-sim/load/own_process.hpp"
#include "device-sim/load/record_load.hpp"

namespace spoke::sim {
namespace {

template <class Settings>
int run_with(std::string_view name, int cpu, Settings const& settings,
             load::CrowdOutcome (*run)(Settings const&)) {
    load::pin_to(cpu);
    load::raise_open_files();
    auto outcome = run(settings);
    outcome.report.add("ok", outcome.is_sound);
    std::printf("%s\n", outcome.report.text().c_str());
    if (outcome.is_sound) return 0;
    std::fprintf(stderr, "spoke-sim load %s: not everything came as it should\n",
                 std::string{name}.c_str());
    return 1;
}

void add_crowd_options(CLI::App& mode, load::CrowdSettings& crowd) {
    mode.add_option("--host", crowd.address, "The server's IPv4 address")->capture_default_str();
    mode.add_option("-p,--port", crowd.port, "Its port")->capture_default_str();
    mode.add_option("--target", crowd.target, "Path and query of what is asked for")->required();
    mode.add_option("-H,--header", crowd.headers, "A header line, as in \"Accept: x\"");
    mode.add_option("--connections", crowd.connections, "How many")
        ->check(CLI::Range(1, 1'000'000))
        ->capture_default_str();
    mode.add_option("--pid", crowd.pids,
                    "Processes of the server: the memory of the first and the processor time of "
                    "all are told");
    mode.add_option("--cpu", crowd.cpu, "Run on this processor");
}

void add_streams(CLI::App& load, std::function<int()>& chosen) {
    auto* mode = load.add_subcommand("streams",
                                     "Many open streams of a server: memory for each, "
                                     "and events to all of them");
    auto settings = std::make_shared<load::StreamSettings>();
    settings->crowd.connections = 10'000;
    add_crowd_options(*mode, settings->crowd);
    mode->add_option("--settle", settings->settle_seconds,
                     "Seconds before the server's memory is sampled")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    auto* post = mode->add_option("--post", settings->post_target,
                                  "Where an event is POSTed, at the same server");
    mode->add_option("--events", settings->events,
                     "How many, each once the last stream has "
                     "the one before")
        ->needs(post);
    mode->callback([settings, &chosen] {
        chosen = [settings] {
            return run_with("streams", settings->crowd.cpu, *settings, &load::run_streams);
        };
    });
}

void add_polls(CLI::App& load, std::function<int()>& chosen) {
    auto* mode = load.add_subcommand("polls",
                                     "Requests that are answered without a body, one at a time on "
                                     "each of many connections that are kept");
    auto settings = std::make_shared<load::PollSettings>();
    add_crowd_options(*mode, settings->crowd);
    mode->add_option("--status", settings->status, "What each answer must be")
        ->check(CLI::Range(200, 599))
        ->capture_default_str();
    mode->add_option("--warmup", settings->warmup_seconds, "Seconds before the measurement")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    mode->add_option("--seconds", settings->seconds, "Length of the measurement")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    mode->callback([settings, &chosen] {
        chosen = [settings] {
            return run_with("polls", settings->crowd.cpu, *settings, &load::run_polls);
        };
    });
}

void add_record(CLI::App& load, std::function<int()>& chosen) {
    auto* mode = load.add_subcommand(
        "record", "Messages published over MQTT and read from a bridge's stream of events");
    auto settings = std::make_shared<load::RecordSettings>();
    mode->add_option("--host", settings->address, "Address of broker and bridge")
        ->capture_default_str();
    mode->add_option("-p,--port", settings->mqtt_port, "The broker's port")->capture_default_str();
    mode->add_option("--http-port", settings->http_port, "The bridge's port")
        ->capture_default_str();
    mode->add_option("--topic", settings->topic, "A topic that is recorded")->capture_default_str();
    mode->add_option("--payload", settings->payload_size, "Bytes")
        ->check(CLI::Range(32, 65'536))
        ->capture_default_str();
    mode->add_option("--window", settings->window, "Messages on the way at most")
        ->check(CLI::Range(1, 65'535))
        ->capture_default_str();
    mode->add_option("-r,--rate", settings->rate, "Messages per second; 0: as the window allows")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    mode->add_option("--warmup", settings->warmup_seconds, "Seconds before the measurement")
        ->check(CLI::NonNegativeNumber)
        ->capture_default_str();
    mode->add_option("--seconds", settings->seconds, "Length of the measurement")
        ->check(CLI::PositiveNumber)
        ->capture_default_str();
    mode->add_option("--pid", settings->pids, "Processes whose time for each event is told");
    mode->add_option("--cpu", settings->cpu, "Run on this processor");
    mode->callback([settings, &chosen] {
        chosen = [settings] {
            return run_with("record", settings->cpu, *settings, &load::run_record);
        };
    });
}

}  // namespace

void add_push_modes(CLI::App& load, std::function<int()>& chosen) {
    add_streams(load, chosen);
    add_polls(load, chosen);
    add_record(load, chosen);
}

}  // namespace spoke::sim
