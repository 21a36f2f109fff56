#include "broker/config/load.hpp"

#include "broker/config/option_table.hpp"
#include "protocol/options/command_line.hpp"

namespace spoke::broker {

std::variant<Loaded, int> load(int argc, char const* const* argv) {
    Loaded loaded;
    auto& config = loaded.config;
    auto table = option_table(config);
    options::Program program{
        "spoke-broker",
        "An MQTT 3.1.1 and 5.0 broker. `spoke-broker passwd --help` tells how to manage users, "
        "`spoke-broker store --help` how to look into what is kept.",
        [&config](std::uint16_t port) {
            if (!config.listeners.empty()) config.listeners.front().port = port;
        },
        [&config] { check(config); }};
    auto result = options::read_command_line(argc, argv, program, table);
    if (auto const* exit_code = std::get_if<int>(&result)) return *exit_code;
    auto& arguments = std::get<options::Arguments>(result);
    loaded.file = std::move(arguments.config_file);
    if (arguments.verbosity > 0)
        config.log.level =
            arguments.verbosity > 1 ? LogConfig::Level::trace : LogConfig::Level::debug;
    return loaded;
}

}  // namespace spoke::broker
