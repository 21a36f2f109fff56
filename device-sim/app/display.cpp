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
    show(json_ ? std::string{} : progress_line(progress),
         json_ ? progress_json(progress) : std::string{});
}

void Display::show(std::string_view line, std::string_view json) {
    if (json_) {
        fmt::print("{}\n", json);
    } else if (terminal_) {
        write_over(line);
    } else {
        fmt::print("{}\n", line);
    }
    std::fflush(stdout);
}

void Display::show_end(std::string_view text, std::string_view json) {
    if (json_) {
        show({}, json);
    } else {
        say(text);
    }
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
