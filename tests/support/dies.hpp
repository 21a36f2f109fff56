#pragma once

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>

namespace spoke::test {

/// Whether `act` ends the process by abort(), as a broken MQ_ASSERT does. It runs in a child
/// process.
template <class Act>
[[nodiscard]] bool dies(Act act) {
    auto child = fork();
    if (child == 0) {
        std::signal(SIGABRT, SIG_DFL);
        close(STDERR_FILENO);  // the message of the assertion is expected, not news
        act();
        std::_Exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

}  // namespace spoke::test
