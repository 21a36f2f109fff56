#include "device-sim/load/own_process.hpp"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string>

#include "device-sim/load/load_failure.hpp"

namespace spoke::sim::load {
namespace {

constexpr rlim_t kOpenFilesWanted = 1'048'576;

}  // namespace

void pin_to(int cpu) {
    if (cpu < 0) return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(static_cast<std::size_t>(cpu), &set);
    if (::sched_setaffinity(0, sizeof set, &set) != 0) {
        throw LoadFailure{"--cpu: " + std::string{std::strerror(errno)}};
    }
}

void raise_open_files() {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    auto wanted = limit;
    wanted.rlim_cur = wanted.rlim_max = std::max(limit.rlim_max, kOpenFilesWanted);
    if (::setrlimit(RLIMIT_NOFILE, &wanted) == 0) return;
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace spoke::sim::load
