#include "broker/app/password_prompt.hpp"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string_view>
#include <utility>

namespace spoke::broker {
namespace {

constexpr std::size_t kPasswordSizeMax = 65'535;  // MQTT's

volatile sig_atomic_t interrupted = 0;

extern "C" void on_interrupt(int) {
    interrupted = 1;
}

void say(std::string_view text) {
    static_cast<void>(!write(STDERR_FILENO, text.data(), text.size()));
}

constexpr std::array kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

/// While it lives the terminal does not show what is typed. An interrupt ends the reading instead
/// of the process, so that the terminal is never left like this; it comes through in
/// await_input() alone, so that none is lost between looking and waiting.
class Silence {
public:
    Silence() {
        if (tcgetattr(STDIN_FILENO, &old_) != 0) throw std::runtime_error{"there is no terminal"};
        sigset_t held;
        sigemptyset(&held);
        struct sigaction action {};
        action.sa_handler = on_interrupt;
        for (std::size_t i = 0; i < kSignals.size(); ++i) {
            sigaddset(&held, kSignals[i]);
            sigaction(kSignals[i], &action, &old_actions_[i]);
        }
        pthread_sigmask(SIG_BLOCK, &held, &old_mask_);
        auto silent = old_;
        silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    ~Silence() {
        tcsetattr(STDIN_FILENO, TCSANOW, &old_);
        for (std::size_t i = 0; i < kSignals.size(); ++i)
            sigaction(kSignals[i], &old_actions_[i], nullptr);
        pthread_sigmask(SIG_SETMASK, &old_mask_, nullptr);
    }
    Silence(Silence const&) = delete;
    Silence& operator=(Silence const&) = delete;

private:
    termios old_{};
    sigset_t old_mask_{};
    std::array<struct sigaction, kSignals.size()> old_actions_{};
};

/// Errors  std::runtime_error if a signal that Silence holds comes first.
void await_input() {
    sigset_t open;
    pthread_sigmask(SIG_BLOCK, nullptr, &open);
    for (auto signal : kSignals) sigdelset(&open, signal);
    pollfd input{STDIN_FILENO, POLLIN, 0};
    while (ppoll(&input, 1, nullptr, &open) < 0) {
        if (interrupted) throw std::runtime_error{"interrupted"};
        if (errno != EINTR) return;  // the reading will tell
    }
}

/// Standard input byte by byte: nothing of it stays in a buffer that is not wiped.
class Input {
public:
    ~Input() { explicit_bzero(bytes_.data(), bytes_.size()); }

    /// The next line without its '\n'; nullopt if the input ends before anything.
    std::optional<Secret> read_line() {
        std::size_t size = 0;
        for (;;) {
            await_input();
            auto count = read(STDIN_FILENO, &bytes_[size], 1);
            if (count < 0 && errno == EINTR) continue;
            if (count <= 0 && size == 0) return std::nullopt;
            if (count <= 0 || bytes_[size] == '\n') break;
            if (++size > kPasswordSizeMax)
                throw std::runtime_error{"the password is longer than 65535 bytes"};
        }
        return Secret{{bytes_.data(), size}};
    }

private:
    std::array<char, kPasswordSizeMax + 1> bytes_;
};

Secret checked(std::optional<Secret> password) {
    if (!password || password->view().empty()) throw std::runtime_error{"there is no password"};
    return std::move(*password);
}

}  // namespace

Secret ask_for_password() {
    Silence silence;
    Input input;
    say("Password: ");
    auto password = checked(input.read_line());
    say("\nThe same again: ");
    auto again = input.read_line();
    say("\n");
    if (!again || again->view() != password.view())
        throw std::runtime_error{"the two are not the same; nothing is changed"};
    return password;
}

Secret read_password_line() {
    Input input;
    auto password = checked(input.read_line());
    if (input.read_line()) throw std::runtime_error{"there is more than one line"};
    return password;
}

bool is_terminal() {
    return isatty(STDIN_FILENO) == 1;
}

}  // namespace spoke::broker
