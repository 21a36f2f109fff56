#pragma once

#include <sys/types.h>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace spoke::sim::load {

/// Processor time of a process since it began, all threads.
struct CpuTime {
    std::chrono::microseconds user{};
    std::chrono::microseconds system{};

    [[nodiscard]] std::chrono::microseconds total() const noexcept { return user + system; }
    friend CpuTime operator-(CpuTime a, CpuTime b) noexcept {
        return {.user = a.user - b.user, .system = a.system - b.system};
    }
    friend bool operator==(CpuTime const&, CpuTime const&) = default;
};

/// What a process used until now.
struct ProcessSample {
    CpuTime cpu{};                         // by the kernel's clock ticks, usually 10 ms
    std::chrono::nanoseconds cpu_total{};  // the same in one sum, exact
    std::chrono::nanoseconds waited{};     // its threads wanted a core and had none
    std::uint64_t resident_bytes = 0;
};

/// Reads fields 14 and 15 of `/proc/PID/stat`. The name in field 2 may hold spaces and parentheses.
/// In      `ticks_per_second` as sysconf(_SC_CLK_TCK) gives it.
/// Errors  nullopt if `text` is not such a line.
[[nodiscard]] std::optional<CpuTime> parse_proc_stat(std::string_view text, long ticks_per_second);

/// Reads `VmRSS` of `/proc/PID/status`, in bytes.
/// Errors  nullopt if there is no such line (a kernel thread, a zombie).
[[nodiscard]] std::optional<std::uint64_t> parse_resident_bytes(std::string_view text);

/// Reads the second number of `/proc/PID/task/TID/schedstat`: how long the thread stood ready
/// without a core. Errors  nullopt if `text` is not such a line.
[[nodiscard]] std::optional<std::chrono::nanoseconds> parse_schedstat_wait(std::string_view text);

/// The same for the calling thread; 0 where the kernel does not tell.
[[nodiscard]] std::chrono::nanoseconds sample_own_wait();

/// Samples a live process: its processor clock, `stat` for the split in user and system, `status`
/// for memory. Errors: nullopt if it is gone or may not be read.
[[nodiscard]] std::optional<ProcessSample> sample_process(pid_t pid);

/// Processor time of the calling thread.
[[nodiscard]] CpuTime sample_this_thread() noexcept;

}  // namespace spoke::sim::load
