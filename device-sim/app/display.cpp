#include "device-sim/app/display.hpp"

#include <fmt/core.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdio>
#include <utility>

namespace spoke::sim {
namespace {

constexpr std::chrono::milliseconds kTerminalInterval{250};
constexpr std::chrono::milliseconds kLineInterval{1000};

std::size_t terminal_columns() {
    winsize size{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
    return size.ws_col;
}

}  // namespace

Display::Display(bool json) : json_(json), terminal_(::isatty(STDOUT_FILENO) == 1) {}

std::chrono::milliseconds Display::interval() const noexcept {
    return terminal_ && !json_ ? kTerminalInterval : kLineInterval;
}

void Display::say(std::string_view text) {
    if (json_) return;
    fmt::print("{}{}\n", std::exchange(line_open_, false) ? "\n" : "", text);
    std::fflush(stdout);
}

void Display::show(Progress const& progress) {
    if (json_) {
        fmt::print("{}\n", progress_json(progress));
    } else if (terminal_) {
        write_over(progress_line(progress));
    } else {
        fmt::print("{}\n", progress_line(progress));
    }
    std::fflush(stdout);
}

void Display::show_summary(Progress const& progress) {
    if (json_) {
        show(progress);
    } else {
        say(summary_line(progress));
    }
}

void Display::write_over(std::string_view line) {
    // A line that wraps cannot be written over.
    fmt::print("\r{}\x1b[K", line.substr(0, terminal_columns() - 1));
    line_open_ = true;
}

}  // namespace spoke::sim
