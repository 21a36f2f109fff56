#include "bridge/config/load.hpp"

#include <fmt/format.h>

#include <charconv>

#include "bridge/config/option_table.hpp"
#include "protocol/options/command_line.hpp"

namespace spoke::bridge {
namespace {

void set_address(std::string const& text, std::string_view flag, std::string& host,
                 std::uint16_t& port) {
    auto address = parse_address(text);
    if (!address) {
        throw options::OptionError{fmt::format(
            "{} {}: not an address and port such as 127.0.0.1:8080 or [::1]:8080", flag, text)};
    }
    host = address->first;
    port = address->second;
}

}  // namespace

std::optional<std::pair<std::string, std::uint16_t>> parse_address(std::string_view text) {
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    auto host = text.substr(0, colon);
    auto port_text = text.substr(colon + 1);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    } else if (host.find(':') != std::string_view::npos) {
        return std::nullopt;
    }
    std::uint16_t port = 0;
    auto const* last = port_text.data() + port_text.size();
    auto [end, error] = std::from_chars(port_text.data(), last, port);
    if (host.empty() || error != std::errc{} || end != last) return std::nullopt;
    return std::pair{std::string{host}, port};
}

std::variant<Loaded, int> load(int argc, char const* const* argv) {
    Loaded loaded;
    auto& config = loaded.config;
    auto table = option_table(config);
    options::Program program{
        "spoke-bridge",
        "Turns HTTP requests into orders to devices over MQTT, and their answers into HTTP "
        "answers.",
        [&config](std::uint16_t port) { config.http.port = port; },
        [&config] { check(config); },
        {{"--listen", "HOST:PORT", "where to serve HTTP, instead of the configured address",
          [&config](std::string const& text) {
              set_address(text, "--listen", config.http.address, config.http.port);
          }},
         {"--broker", "HOST:PORT", "where the MQTT broker is, instead of the configured address",
          [&config](std::string const& text) {
              set_address(text, "--broker", config.broker.address, config.broker.port);
          }},
         {"--store", "PATH",
          "the file of the records, instead of the configured one; '': in memory",
          [&config](std::string const& text) { config.store.path = text; }}}};
    auto result = options::read_command_line(argc, argv, program, table);
    if (auto const* exit_code = std::get_if<int>(&result)) return *exit_code;
    auto& arguments = std::get<options::Arguments>(result);
    loaded.file = std::move(arguments.config_file);
    if (arguments.verbosity > 0) {
        config.log.level = arguments.verbosity > 1 ? LogLevel::trace : LogLevel::debug;
    }
    return loaded;
}

}  // namespace spoke::bridge
