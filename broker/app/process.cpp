#include "broker/app/process.hpp"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>

namespace spoke::broker {
namespace {

sigset_t stop_signals() {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

}  // namespace

void raise_open_files_limit() {
    rlimit limit{};
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

StopSignals::StopSignals() {
    auto set = stop_signals();
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
}

std::string_view StopSignals::await_first() {
    auto set = stop_signals();
    int number = 0;
    while (sigwait(&set, &number) != 0) {
    }
    // Whoever starts us in the background may have had them ignored.
    signal(SIGINT, SIG_DFL);
    signal(SIGTERM, SIG_DFL);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    return number == SIGINT ? "SIGINT" : "SIGTERM";
}

}  // namespace spoke::broker
