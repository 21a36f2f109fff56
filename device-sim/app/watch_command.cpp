#include "device-sim/app/watch_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "device-sim/app/fleet_arguments.hpp"
#include "device-sim/app/program_arguments.hpp"
#include "device-sim/app/run_watch.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

struct WatchArguments {
    WatchRunOptions run{};
    std::uint64_t run_for_ms = 60'000;
    std::uint64_t settle_ms = 60'000;
    std::uint64_t poll_every_ms = 250;
    std::string token_file{};
    std::string faults = "all";
    std::string flaw{};  // empty: none
    ProgramArguments programs{};
};

std::string topic_error(std::string const& text) {
    if (mqtt::is_valid_topic_name(text)) return {};
    return fmt::format("{:?} is no name of a topic", text);
}

ReaderFlaw flaw_of(std::string_view name) {
    if (name == "drops") return ReaderFlaw::drops;
    if (name == "doubles") return ReaderFlaw::doubles;
    if (name == "swaps") return ReaderFlaw::swaps;
    return name == "hides" ? ReaderFlaw::hides : ReaderFlaw::none;
}

void add_play_options(CLI::App& command, WatchArguments& arguments) {
    auto& cast = arguments.run.watch.cast;
    command.add_option("--readers", cast.readers_per_way, "Readers in each of the five ways")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command.add_option("--writers", cast.writers, "Writers, a quarter each of four kinds")
        ->check(CLI::Range(1, 1000))
        ->capture_default_str();
    command.add_option("--rate", cast.events_per_s, "Messages a second, all writers together")
        ->check(CLI::Range(0.1, 100'000.0))
        ->capture_default_str();
    command.add_option("--tables", cast.tables, "Topics t/<table>/say")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command.add_option("--bikes", cast.bikes, "Topics d/<bike>/evt")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command.add_option("--inboxes", cast.inboxes, "Inboxes, which are topics u/<who>/in too")
        ->check(CLI::Range(1, 10'000))
        ->capture_default_str();
    command.add_option("--for", arguments.run_for_ms, "How long they write (default 1m)")
        ->transform(duration());
    command
        .add_option(
            "--settle", arguments.settle_ms,
            "Longest time until all readers know everything and all that expires has, at the "
            "end (default 1m)")
        ->transform(duration());
    command
        .add_option("--poll-every", arguments.poll_every_ms,
                    "Between two short polls of a reader (default 250ms)")
        ->transform(duration());
    command.add_option("--seed", cast.seed, "Of everything that is left to chance")
        ->capture_default_str();
    command
        .add_option("--faults", arguments.faults,
                    "What befalls the readers, as in all,slow=200%: the share of them a minute")
        ->check(readable_by(parse_watch_faults))
        ->capture_default_str();
    command
        .add_option("--faulty-reader", arguments.flaw,
                    "To see that the judge can see: the first reader drops each 50th event, tells "
                    "it twice, tells it behind the next, or hides what resets it is told")
        ->check(CLI::IsMember({"drops", "doubles", "swaps", "hides"}));
    command.footer(
        "FAULTS (`all` is a mixture of them, as often as stands here; `none` is none)\n" +
        describe_watch_faults());
}

void add_place_options(CLI::App& command, WatchArguments& arguments) {
    auto& reading = arguments.run.watch.cast.reading;
    command.add_option("-p,--port", reading.mqtt_port, "The broker's port; 0: a free one")
        ->capture_default_str();
    command.add_option("--http-port", reading.http.port, "The bridge's port; 0: a free one")
        ->capture_default_str();
    command
        .add_option("--bridge-id", reading.bridge_id,
                    "The bridge's client id, which is part of its replay topic")
        ->capture_default_str();
    command.add_option("--feed", reading.feed, "First level of the topics of its feed")
        ->capture_default_str();
    command
        .add_option(
            "--forgets", arguments.run.watch.cast.forgets,
            "A topic of which the bridge keeps few events ([[record]] with events_max, and "
            "a small events.tail_events_max), so that readers can come with a cursor that is "
            "too old")
        ->check(CLI::Validator{topic_error, "TOPIC"});
    auto* token =
        command.add_option("--token", reading.token, "Bearer token")->envname("SPOKE_TOKEN");
    command.add_option("--token-file", arguments.token_file, "File with the bearer token")
        ->excludes(token);
}

WatchRunOptions finished(WatchArguments const& arguments) {
    auto run = arguments.run;
    auto& watch = run.watch;
    auto& cast = watch.cast;
    auto& reading = cast.reading;
    if (reading.mqtt_port == 0) reading.mqtt_port = free_port();
    if (reading.http.port == 0) reading.http.port = free_port();
    reading.http.timeout = std::chrono::seconds{20};
    reading.http.body_bytes_max = std::size_t{16} << 20;
    reading.poll_every = Millis{arguments.poll_every_ms};
    if (!arguments.token_file.empty()) reading.token = first_line_of(arguments.token_file);
    watch.run_for = Millis{arguments.run_for_ms};
    watch.settle_for = Millis{arguments.settle_ms};
    cast.faults = std::get<WatchFaultPlan>(parse_watch_faults(arguments.faults));
    watch.fault_options = arguments.faults;
    cast.flaw = flaw_of(arguments.flaw);
    watch.programs = program_options(arguments.programs, reading.http, reading.mqtt_port,
                                     watch.run_for, cast.seed);
    return run;
}

}  // namespace

void add_watch_command(CLI::App& app, std::function<int()>& chosen) {
    auto* watch = app.add_subcommand(
        "watch",
        "Write into the event log and read it in five ways at once, kill broker and "
        "bridge, and judge what the readers are told");
    auto arguments = std::make_shared<WatchArguments>();
    add_play_options(*watch, *arguments);
    add_place_options(*watch, *arguments);
    add_program_options(*watch, arguments->programs, "the first message");
    add_report_options(*watch, arguments->run.report);
    watch->callback(
        [arguments, &chosen] { chosen = [arguments] { return run_watch(finished(*arguments)); }; });
}

}  // namespace spoke::sim
