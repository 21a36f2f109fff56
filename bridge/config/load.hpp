#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "bridge/config/config.hpp"

namespace spoke::bridge {

struct Loaded {
    Config config{};
    std::string file{};  // empty: none was named
};

/// Reads the command line and the file it names.
/// Out     the configuration, or the exit code if the program is done: 0 after --help and the like,
/// 1 after
///         an error, which has been told on stderr in one line.
[[nodiscard]] std::variant<Loaded, int> load(int argc, char const* const* argv);

/// "127.0.0.1:8080", "[::1]:8080" as host and port; nullopt if it is neither.
[[nodiscard]] std::optional<std::pair<std::string, std::uint16_t>> parse_address(
    std::string_view text);

}  // namespace spoke::bridge
