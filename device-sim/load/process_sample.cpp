#include "device-sim/load/process_sample.hpp"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace spoke::sim::load {
namespace {

std::optional<std::string> read_whole(std::string const& path) {
    std::ifstream file{path};
    if (!file) return std::nullopt;
    std::string text{std::istreambuf_iterator<char>{file}, {}};
    if (file.bad()) return std::nullopt;
    return text;
}

std::optional<std::uint64_t> parse_number(std::string_view text) {
    std::uint64_t value = 0;
    auto result = std::from_chars(text.data(), text.data() + text.size(), value);
    if (result.ec != std::errc{}) return std::nullopt;
    return value;
}

/// Cuts the next blank-separated word off the front of `text`.
std::string_view take_word(std::string_view& text) {
    auto begin = text.find_first_not_of(" \t");
    if (begin == std::string_view::npos) return text = {};
    auto end = std::min(text.find_first_of(" \t\n", begin), text.size());
    auto word = text.substr(begin, end - begin);
    text.remove_prefix(end);
    return word;
}

std::chrono::microseconds from_ticks(std::uint64_t ticks, long ticks_per_second) {
    return std::chrono::microseconds{static_cast<std::int64_t>(ticks) * 1'000'000 /
                                     ticks_per_second};
}

std::optional<std::chrono::nanoseconds> read_cpu_clock(pid_t pid) {
    clockid_t clock{};
    timespec time{};
    if (::clock_getcpuclockid(pid, &clock) != 0) return std::nullopt;
    if (::clock_gettime(clock, &time) != 0) return std::nullopt;
    return std::chrono::seconds{time.tv_sec} + std::chrono::nanoseconds{time.tv_nsec};
}

/// Over the threads alive now; 0 where the kernel does not tell.
std::chrono::nanoseconds sum_of_waits(std::string const& folder) {
    std::chrono::nanoseconds sum{};
    std::error_code error;
    for (auto const& task : std::filesystem::directory_iterator{folder + "/task", error}) {
        auto text = read_whole(task.path().string() + "/schedstat");
        if (text) sum += parse_schedstat_wait(*text).value_or(std::chrono::nanoseconds{});
    }
    return sum;
}

std::chrono::microseconds from_timeval(timeval const& time) {
    return std::chrono::seconds{time.tv_sec} + std::chrono::microseconds{time.tv_usec};
}

}  // namespace

std::optional<CpuTime> parse_proc_stat(std::string_view text, long ticks_per_second) {
    constexpr int kFieldsBetweenNameAndUser = 11;  // state (3) to cmajflt (13)
    auto name_end = text.rfind(')');
    if (name_end == std::string_view::npos) return std::nullopt;
    text.remove_prefix(name_end + 1);
    for (int i = 0; i < kFieldsBetweenNameAndUser; ++i) take_word(text);
    auto user = parse_number(take_word(text));
    auto system = parse_number(take_word(text));
    if (!user || !system) return std::nullopt;
    return CpuTime{.user = from_ticks(*user, ticks_per_second),
                   .system = from_ticks(*system, ticks_per_second)};
}

std::optional<std::uint64_t> parse_resident_bytes(std::string_view text) {
    constexpr std::string_view kKey = "\nVmRSS:";
    auto at = text.find(kKey);
    if (at == std::string_view::npos) return std::nullopt;
    text.remove_prefix(at + kKey.size());
    auto kibibytes = parse_number(take_word(text));
    if (!kibibytes) return std::nullopt;
    return *kibibytes * 1024;
}

std::optional<std::chrono::nanoseconds> parse_schedstat_wait(std::string_view text) {
    auto ran = parse_number(take_word(text));
    auto waited = parse_number(take_word(text));
    if (!ran || !waited) return std::nullopt;
    return std::chrono::nanoseconds{static_cast<std::int64_t>(*waited)};
}

std::chrono::nanoseconds sample_own_wait() {
    auto text = read_whole("/proc/thread-self/schedstat");
    if (!text) return {};
    return parse_schedstat_wait(*text).value_or(std::chrono::nanoseconds{});
}

std::optional<ProcessSample> sample_process(pid_t pid) {
    auto folder = "/proc/" + std::to_string(pid);
    auto stat = read_whole(folder + "/stat");
    auto status = read_whole(folder + "/status");
    if (!stat || !status) return std::nullopt;
    auto cpu = parse_proc_stat(*stat, ::sysconf(_SC_CLK_TCK));
    auto resident = parse_resident_bytes(*status);
    if (!cpu || !resident) return std::nullopt;
    return ProcessSample{.cpu = *cpu,
                         .cpu_total = read_cpu_clock(pid).value_or(cpu->total()),
                         .waited = sum_of_waits(folder),
                         .resident_bytes = *resident};
}

CpuTime sample_this_thread() noexcept {
    rusage usage{};
    ::getrusage(RUSAGE_THREAD, &usage);
    return {.user = from_timeval(usage.ru_utime), .system = from_timeval(usage.ru_stime)};
}

}  // namespace spoke::sim::load
