#include "broker/app/store_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

#include "broker/app/run_command.hpp"
#include "broker/app/store_dump.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/store_census.hpp"
#include "broker/storage/store_check.hpp"
#include "broker/storage/store_reader.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

constexpr auto kName = "spoke-broker store";
constexpr std::size_t kLargestQueues = 10;

int check(std::string const& directory) {
    StoreReader reader{directory};
    auto const found = check_store(reader);
    for (auto const& problem : found.problems) fmt::print("{}\n", problem);
    for (auto const& note : found.notes) fmt::print("note: {}\n", note);
    if (found.problems.empty()) {
        fmt::print("nothing is wrong with {} records and {} tables\n", found.records, found.tables);
        return 0;
    }
    fmt::print(
        "{} problems; a broker that starts with this store serves what is sound and moves "
        "the rest to {}/quarantine\n",
        found.problems.size(), reader.directory());
    return 1;
}

int dump(std::string const& directory, DumpWish const& wish) {
    StoreReader reader{directory};
    dump_store(reader, wish, [](std::string const& line) { fmt::print("{}\n", line); });
    if (reader.damage().empty()) return 0;
    fmt::print(stderr, "{} dump: the store is damaged, and this is what can be read: {}\n", kName,
               reader.damage());
    return 1;
}

void print_files(std::string_view name, StoreCensus::Files const& files) {
    fmt::print("  {:<14} {:>10} {:>16} bytes\n", name, files.number, files.bytes);
}

void print_kind(StoreCensus const& census, std::string_view name, RecordFamily family) {
    auto const kind = census.kinds.find(static_cast<char>(family));
    auto const found = kind == census.kinds.end() ? StoreCensus::Kind{} : kind->second;
    fmt::print("  {:<14} {:>10} {:>16} bytes\n", name, found.records, found.bytes);
}

void print_queues(StoreCensus const& census) {
    if (census.largest_queues.empty()) return;
    fmt::print("largest queues\n");
    for (auto const& queue : census.largest_queues)
        fmt::print("  {:<40} {:>10} {:>16} bytes\n", escaped(queue.client_id, 40), queue.messages,
                   queue.bytes);
    fmt::print("oldest message\n  number {} of {}\n", census.oldest.oldest.value,
               escaped(census.oldest.client_id, 40));
}

int stats(std::string const& directory) {
    StoreReader reader{directory};
    auto const census = take_census(reader, kLargestQueues);
    fmt::print("store {}\n  format {}, opened {} times\n", reader.directory(),
               reader.found().version.value_or(kFormatVersion), census.starts);
    fmt::print("records\n");
    print_kind(census, "sessions", RecordFamily::session);
    print_kind(census, "subscriptions", RecordFamily::subscription);
    print_kind(census, "QoS 2 ids", RecordFamily::inbound);
    print_kind(census, "deliveries", RecordFamily::delivery);
    print_kind(census, "messages", RecordFamily::message);
    print_kind(census, "retained", RecordFamily::retained);
    if (census.damaged > 0) fmt::print("  {:<14} {:>10}\n", "damaged", census.damaged);
    fmt::print("sessions that were connected\n  {}\n", census.connected);
    print_queues(census);
    fmt::print("files\n");
    print_files("tables", census.tables);
    print_files("logs", census.logs);
    print_files("other", census.other);
    print_files("quarantine", census.quarantine);
    return 0;
}

struct Commands {
    std::string directory{};
    DumpWish wish{};
    CLI::App* check = nullptr;
    CLI::App* dump = nullptr;
    CLI::App* stats = nullptr;
};

CLI::App* add_command(CLI::App& app, Commands& commands, std::string const& name,
                      std::string const& help) {
    auto* command = app.add_subcommand(name, help);
    command->add_option("DIR", commands.directory, "[persistence] directory of a broker")
        ->type_name("")
        ->required();
    return command;
}

void describe_commands(CLI::App& app, Commands& commands) {
    app.require_subcommand(1);
    app.footer(
        "None of them changes anything in DIR, and none works while a broker has it open. A "
        "broker\nrepairs a damaged store when it starts.\n\n"
        "  spoke-broker store check /var/lib/spoke\n"
        "  spoke-broker store dump --session bike-7 --messages /var/lib/spoke\n"
        "  spoke-broker store dump /var/lib/spoke | jq 'select(.kind == \"delivery\")'");
    commands.check = add_command(app, commands, "check",
                                 "read all there is and say what is wrong; exit code 1 if "
                                 "something is");
    commands.dump = add_command(app, commands, "dump", "write what is there, a line of JSON each");
    commands.dump->add_flag("--messages", commands.wish.with_messages,
                            "the messages that wait, and all payloads, too");
    commands.dump->add_option("--session", commands.wish.session, "of this client alone")
        ->type_name("CLIENT_ID");
    commands.stats = add_command(app, commands, "stats", "say how much of what is there");
}

int run(Commands const& commands) {
    if (commands.check->parsed()) return check(commands.directory);
    if (commands.dump->parsed()) return dump(commands.directory, commands.wish);
    return stats(commands.directory);
}

}  // namespace

int store_command(int argc, char const* const* argv) {
    CLI::App app{"Shows what is in the store of a broker that does not run.", kName};
    Commands commands;
    describe_commands(app, commands);
    return run_command(app, argc, argv, [&] { return run(commands); });
}

}  // namespace spoke::broker
