#include "device-sim/app/program_arguments.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <fstream>
#include <stdexcept>
#include <utility>
#include <vector>

namespace spoke::sim {
namespace {

void replace_all(std::string& text, std::string const& what, std::string const& with) {
    for (auto at = text.find(what); at != std::string::npos;
         at = text.find(what, at + with.size())) {
        text.replace(at, what.size(), with);
    }
}

}  // namespace

std::uint16_t free_port() {
    namespace asio = boost::asio;
    asio::io_context context;
    asio::ip::tcp::acceptor acceptor{context, {asio::ip::make_address("127.0.0.1"), 0}};
    return acceptor.local_endpoint().port();
}

std::string with_ports(std::string command, std::uint16_t mqtt, std::uint16_t http) {
    replace_all(command, "{mqtt}", std::to_string(mqtt));
    replace_all(command, "{http}", std::to_string(http));
    return command;
}

std::string first_line_of(std::string const& name) {
    std::ifstream file{name};
    std::string line;
    if (!std::getline(file, line) || line.empty()) {
        throw std::runtime_error{"there is no token in " + name};
    }
    return line;
}

void add_program_options(CLI::App& command, ProgramArguments& arguments, std::string const& begin) {
    auto& programs = arguments.programs;
    auto* broker = command.add_option(
        "--start-broker", programs.start_broker,
        "Command line that starts the broker; {mqtt} and {http} stand for the ports. Left out: it "
        "is there already");
    auto* bridge =
        command.add_option("--start-bridge", programs.start_bridge, "The same for the bridge");
    command.add_option("--logs", programs.logs, "Folder for their output")->capture_default_str();
    command
        .add_option("--kill", arguments.kills,
                    "SIGKILL them, as in broker@60s,bridge@120s: time since " + begin)
        ->check(readable_by(parse_kills))
        ->needs(broker)
        ->needs(bridge);
    command.add_option("--kills", arguments.random_kills, "So many of each at random times")
        ->check(CLI::Range(0, 1000))
        ->needs(broker)
        ->needs(bridge);
}

ProgramsOptions program_options(ProgramArguments const& arguments,
                                HttpClient::Options const& bridge, std::uint16_t mqtt_port,
                                std::chrono::milliseconds run_for, std::uint64_t seed) {
    auto programs = arguments.programs;
    programs.http = bridge;
    programs.seed = seed;
    programs.kills = std::get<std::vector<Kill>>(parse_kills(arguments.kills));
    for (auto const& kill : random_kills(arguments.random_kills, run_for, seed)) {
        programs.kills.push_back(kill);
    }
    for (auto* command : {&programs.start_broker, &programs.start_bridge}) {
        *command = with_ports(std::move(*command), mqtt_port, bridge.port);
    }
    return programs;
}

void add_report_options(CLI::App& command, ReportOptions& report) {
    command.add_flag("--json", report.json, "A line of JSON each second instead of text");
    command.add_option("--summary", report.summary, "Write the result to this file, as JSON");
    command.add_option("--junit", report.junit, "Write it to this file, for a CI server");
}

}  // namespace spoke::sim
