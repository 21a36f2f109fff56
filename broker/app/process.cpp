#include "broker/app/process.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>

namespace spoke::broker {
namespace {

sigset_t awaited_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    return set;
}

}  // namespace

void raise_open_files_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

std::string host_name() {
    std::array<char, 256> name{};
    if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == '\0') return "local";
    return name.data();
}

Signals::Signals() {
    auto set = awaited_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::string_view Signals::await_stop(std::function<void()> const& on_hangup) {
    auto set = awaited_signals();
    for (int number = 0;;) {
        if (sigwait(&set, &number) != 0) continue;
        if (number == SIGHUP) {
            on_hangup();
            continue;
        }
        // Whoever starts us in the background may have had them ignored.
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
        return number == SIGINT ? "SIGINT" : "SIGTERM";
    }
}

}  // namespace spoke::broker
