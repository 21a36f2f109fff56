#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace spoke::sim {

/// A program that the city starts, kills and starts again, always by the same command line.
/// Thread  one.
class Child {
public:
    /// In  `command`: for `/bin/sh`; the program takes the shell's place. `log`: its output is
    ///     appended to this file.
    Child(std::string name, std::string command, std::string log);
    Child(Child const&) = delete;
    Child& operator=(Child const&) = delete;
    /// Kills what still runs.
    ~Child();

    /// Errors  std::runtime_error if the system cannot start anything.
    void start();

    /// Ends it by SIGKILL and waits until it is gone.
    void kill();

    /// Ends it by SIGTERM; what does not end in five seconds is killed.
    void stop();

    /// How it ended if it ended by itself: "exit code 3", "signal 6". Told once.
    [[nodiscard]] std::optional<std::string> ended_by_itself();

    [[nodiscard]] bool is_running() const noexcept { return pid_ > 0; }
    [[nodiscard]] pid_t pid() const noexcept { return pid_; }
    [[nodiscard]] std::string const& name() const noexcept { return name_; }
    [[nodiscard]] std::string const& log() const noexcept { return log_; }

private:
    std::string name_;
    std::string command_;
    std::string log_;
    pid_t pid_ = 0;
};

}  // namespace spoke::sim
