#include "protocol/options/command_line.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <optional>

#include "protocol/options/option_table.hpp"

namespace spoke::options {
namespace {

struct Switches {
    std::optional<std::uint16_t> port;
    bool check_config = false;
    bool print_config = false;
    std::vector<std::optional<std::string>> flags{};  // the value of each of Program::flags
};

void describe(CLI::App& app, Program const& program, Arguments& arguments, Switches& switches) {
    app.add_option("-c,--config", arguments.config_file, "TOML file to read")->type_name("FILE");
    app.add_option("-p,--port", switches.port,
                   "TCP port instead of the configured one; 0: any free one")
        ->type_name("PORT");
    switches.flags.resize(program.flags.size());
    for (std::size_t i = 0; i < program.flags.size(); ++i) {
        auto const& flag = program.flags[i];
        app.add_option(std::string{flag.name}, switches.flags[i], std::string{flag.meaning})
            ->type_name(std::string{flag.value_name});
    }
    app.add_flag("-v,--verbose", arguments.verbosity, "log more; twice: log everything");
    app.add_flag("--check-config", switches.check_config,
                 "read the configuration, say whether it is right, stop");
    app.add_flag("--print-config", switches.print_config,
                 "print every option with its default, unit, range and meaning, stop");
    app.set_version_flag("--version", fmt::format("{} {}", program.name, SPOKE_VERSION));
}

void check(Program const& program, Arguments const& arguments) {
    try {
        if (program.check) program.check();
    } catch (OptionError const& error) {
        if (arguments.config_file.empty()) throw;
        throw OptionError{fmt::format("{}: {}", arguments.config_file, error.what())};
    }
}

}  // namespace

std::variant<Arguments, int> read_command_line(int argc, char const* const* argv,
                                               Program const& program, OptionTable& table) {
    CLI::App app{std::string{program.meaning}, std::string{program.name}};
    Arguments arguments;
    Switches switches;
    describe(app, program, arguments, switches);
    try {
        app.parse(argc, argv);
        if (!arguments.config_file.empty()) table.load_file(arguments.config_file);
        if (switches.port) program.set_port(*switches.port);
        for (std::size_t i = 0; i < program.flags.size(); ++i) {
            if (auto const& value = switches.flags[i]) program.flags[i].set(*value);
        }
        check(program, arguments);
    } catch (CLI::Success const& asked) {
        return app.exit(asked);
    } catch (CLI::ParseError const& error) {
        fmt::print(stderr, "{}: {}; see {} --help\n", program.name, error.what(), program.name);
        return 1;
    } catch (OptionError const& error) {
        fmt::print(stderr, "{}: {}\n", program.name, error.what());
        return 1;
    }
    if (switches.print_config) {
        fmt::print("{}", table.print());
        return 0;
    }
    if (switches.check_config) {
        fmt::print("{}: the configuration is right\n", program.name);
        return 0;
    }
    return arguments;
}

}  // namespace spoke::options
