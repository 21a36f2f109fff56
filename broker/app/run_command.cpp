#include "broker/app/run_command.hpp"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>

namespace spoke::broker {

int run_command(CLI::App& app, int argc, char const* const* argv, std::function<int()> const& run) {
    auto const& name = app.get_name();
    try {
        app.parse(argc, argv);
        return run();
    } catch (CLI::Success const& asked) {
        return app.exit(asked);
    } catch (CLI::ParseError const& error) {
        fmt::print(stderr, "{}: {}; see {} --help\n", name, error.what(), name);
    } catch (std::exception const& error) {
        fmt::print(stderr, "{}: {}\n", name, error.what());
    }
    return 1;
}

}  // namespace spoke::broker
