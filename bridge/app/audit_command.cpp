#include "bridge/app/audit_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <optional>
#include <stdexcept>
#include <string>

#include "bridge/api/documents.hpp"
#include "bridge/config/config.hpp"
#include "bridge/config/option_table.hpp"
#include "bridge/store/audit_file.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;

constexpr auto kName = "spoke-bridge audit";
constexpr int kBadTrail = 1;
constexpr int kNotRead = 2;

struct Wish {
    std::string store{};
    std::string config{};
    std::uint64_t from = 0;
    std::string head{};
    AuditFile::Filter filter{};
    std::string since{};
    std::string until{};
    std::uint64_t limit = 0;
    CLI::App* verify = nullptr;
    CLI::App* show = nullptr;
};

std::string path_of(Wish const& wish) {
    if (!wish.store.empty()) return wish.store;
    Config config;
    if (!wish.config.empty()) option_table(config).load_file(wish.config);
    if (config.store.path.empty()) {
        throw std::runtime_error{fmt::format("{}: store.path is empty", wish.config)};
    }
    return config.store.path;
}

int verify(Wish const& wish) {
    std::optional<AuditHash> head;
    if (!wish.head.empty()) {
        head = parse_audit_hash(wish.head);
        if (!head) throw std::runtime_error{"--head: not the 64 hexadecimal digits of a SHA-256"};
    }
    auto path = path_of(wish);
    AuditFile file{path};
    auto verdict = file.verify(wish.from, head);
    if (verdict.problem) {
        fmt::print("line {} {}\n{} lines before it are as they were, from line {} on\n",
                   verdict.problem->line, verdict.problem->what, verdict.lines, verdict.first);
        return kBadTrail;
    }
    if (!verdict.knows_head) {
        fmt::print(
            "no line from {} to {} has the hash {}: what it stood for was changed, or cut "
            "off at the end, or removed because it was old\n",
            verdict.first, verdict.head.number(), wish.head);
        return kBadTrail;
    }
    fmt::print("{} lines are as they were, from line {} on\nhead {} {}\n", verdict.lines,
               verdict.first, verdict.head.number(), hex(verdict.head.hash()));
    return 0;
}

/// What is no JSON object is shown as text: nobody shall miss a line because of it.
json::value detail_of(std::string const& text) {
    boost::system::error_code error;
    auto value = json::parse(text, error);
    return error ? json::value(text) : value;
}

std::string document_of(AuditLine const& line) {
    auto const& entry = line.entry;
    json::object out;
    out["number"] = line.number;
    out["at"] = rfc3339(entry.at);
    out["who"] = entry.who;
    out["what"] = entry.what;
    auto add = [&out](char const* name, std::string const& text) {
        if (!text.empty()) out[name] = text;
    };
    add("device", entry.device);
    add("subject", entry.subject);
    add("why", entry.why);
    add("address", entry.address);
    add("trace", entry.trace);
    if (!entry.detail.empty()) out["detail"] = detail_of(entry.detail);
    out["hash"] = line.hash;
    return json::serialize(out);
}

/// "2026-11-22T19:00:00Z", perhaps with milliseconds.
std::optional<WallTime> parse_moment(std::string const& text) {
    int year = 0;
    int month = 0;
    int day = 0;
    int hour = 0;
    int minute = 0;
    int second = 0;
    int milliseconds = 0;
    int end = 0;
    auto fields = std::sscanf(text.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d%n", &year, &month, &day, &hour,
                              &minute, &second, &end);
    if (fields != 6) return std::nullopt;
    auto rest = text.substr(static_cast<std::size_t>(end));
    if (rest.size() == 5 && std::sscanf(rest.c_str(), ".%3d", &milliseconds) == 1) rest = "Z";
    std::chrono::year_month_day date{std::chrono::year{year},
                                     std::chrono::month{static_cast<unsigned>(month)},
                                     std::chrono::day{static_cast<unsigned>(day)}};
    auto is_clock =
        hour >= 0 && hour < 24 && minute >= 0 && minute < 60 && second >= 0 && second < 61;
    if (rest != "Z" || !date.ok() || !is_clock || milliseconds < 0) return std::nullopt;
    return std::chrono::sys_days{date} + std::chrono::hours{hour} + std::chrono::minutes{minute} +
           std::chrono::seconds{second} + std::chrono::milliseconds{milliseconds};
}

WallTime moment_of(std::string const& text, char const* flag) {
    auto moment = parse_moment(text);
    if (moment) return *moment;
    throw std::runtime_error{
        fmt::format("{} {}: not a moment such as 2026-11-22T19:00:00Z", flag, text)};
}

int show(Wish const& wish) {
    auto filter = wish.filter;
    if (!wish.since.empty()) filter.since = moment_of(wish.since, "--since");
    if (!wish.until.empty()) filter.until = moment_of(wish.until, "--until");
    AuditFile file{path_of(wish)};
    auto shown = std::uint64_t{0};
    file.show(filter, [&](AuditLine const& line) {
        fmt::print("{}\n", document_of(line));
        return ++shown != wish.limit;
    });
    return 0;
}

void add_file_options(CLI::App& command, Wish& wish) {
    command.add_option("--store", wish.store, "the file of the store")->type_name("PATH");
    command.add_option("-c,--config", wish.config, "read store.path from this configuration")
        ->type_name("FILE");
}

void describe(CLI::App& app, Wish& wish) {
    app.require_subcommand(1);
    app.footer(
        "Both only read, also while a bridge runs. Without --store and -c the file is "
        "spoke-bridge.db in\nthe working directory.\n\n"
        "  spoke-bridge audit verify --head 41f3...   (a head that was noted earlier)\n"
        "  spoke-bridge audit show --device b42 --since 2026-11-22T19:00:00Z | jq .");
    wish.verify = app.add_subcommand(
        "verify", "compute all hashes again; exit code 1 if a line is not as it was");
    add_file_options(*wish.verify, wish);
    wish.verify->add_option("--from", wish.from, "begin with this line and trust those before it")
        ->type_name("N");
    wish.verify->add_option("--head", wish.head, "a hash that must be in the trail")
        ->type_name("HASH");
    wish.show = app.add_subcommand("show", "write lines, a JSON object each");
    add_file_options(*wish.show, wish);
    auto text = [&](char const* name, std::string& target, char const* help) {
        wish.show->add_option(name, target, help)->type_name("TEXT");
    };
    text("--device", wish.filter.device, "of this device");
    text("--who", wish.filter.who, "of what they did: user:7777, device, broker, bridge");
    text("--subject", wish.filter.subject, "of this command or topic");
    text("--what", wish.filter.what, "whose event begins so: command, command.expired, device");
    text("--since", wish.since, "of this moment and later");
    text("--until", wish.until, "of this moment and earlier");
    wish.show->add_option("--after", wish.filter.after, "behind this line")->type_name("N");
    wish.show->add_option("--limit", wish.limit, "at most so many; 0: all")->type_name("N");
}

}  // namespace

int audit_command(int argc, char const* const* argv) {
    CLI::App app{"Checks and shows the audit trail of a store.", kName};
    Wish wish;
    describe(app, wish);
    try {
        app.parse(argc, argv);
        return wish.verify->parsed() ? verify(wish) : show(wish);
    } catch (CLI::Success const& asked) {
        return app.exit(asked);
    } catch (CLI::ParseError const& error) {
        fmt::print(stderr, "{}: {}; see {} --help\n", kName, error.what(), kName);
    } catch (std::exception const& error) {
        fmt::print(stderr, "{}: {}\n", kName, error.what());
    }
    return kNotRead;
}

}  // namespace spoke::bridge
