#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace spoke::options {

class OptionTable;

/// One more flag with a value, for what is often changed without a file.
struct Flag {
    std::string_view name;        // "--broker"
    std::string_view value_name;  // "HOST:PORT"
    std::string_view meaning;
    std::function<void(std::string const&)> set;  // throws OptionError if the value will not do
};

/// What the command line of every server program of this project looks like.
struct Program {
    std::string_view name;
    std::string_view meaning;                     // one sentence for --help
    std::function<void(std::uint16_t)> set_port;  // what `-p PORT` does
    std::function<void()> check;  // throws OptionError if options do not go together; may be empty
    std::vector<Flag> flags{};    // set after the file was read
};

/// What the program goes on with.
struct Arguments {
    std::string config_file;  // empty: none was named, the defaults hold
    int verbosity = 0;        // how often -v was given
};

/// Reads `-c FILE`, `-p PORT`, `-v`, `--help`, `--version`, `--check-config`, `--print-config`, and
/// with -c the file into `table`.
/// Out     the arguments, or the exit code if all is done: 0 after --help and the like, 1 after an
///         error, which has then been told on stderr in one line.
[[nodiscard]] std::variant<Arguments, int> read_command_line(int argc, char const* const* argv,
                                                             Program const& program,
                                                             OptionTable& table);

}  // namespace spoke::options
