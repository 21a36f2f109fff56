#pragma once

#include <string>
#include <variant>

#include "broker/config/config.hpp"

namespace spoke::broker {

struct Loaded {
    Config config;
    std::string file;  // empty: no file was named, the defaults hold
};

/// Reads the command line and the file it names.
/// Out     the configuration, or the exit code if the program has nothing more to do; an error has
///         then been told on stderr.
[[nodiscard]] std::variant<Loaded, int> load(int argc, char const* const* argv);

}  // namespace spoke::broker
