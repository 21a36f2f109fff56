// What the bridge's records cost: lives of commands, each four records and three lines of the
// trail. `bridge_store_bench PATH [WINDOW] [COMMANDS]`; build it with the preset `fast`. WINDOW
// commands are on their way at a time: 1 shows what one commit takes, 1000 what a record costs.
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <functional>
#include <mutex>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bridge/store/sqlite_store.hpp"

namespace {

using namespace spoke;
using namespace spoke::bridge;
using std::chrono::milliseconds;

double seconds_of(timeval const& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
}

double cpu_seconds(int who) {
    rusage usage{};
    ::getrusage(who, &usage);
    return seconds_of(usage.ru_utime) + seconds_of(usage.ru_stime);
}

long resident_kib() {
    std::ifstream status{"/proc/self/status"};
    std::string word;
    while (status >> word) {
        if (word != "VmRSS:") continue;
        long value = 0;
        status >> value;
        return value;
    }
    return 0;
}

double since(SteadyTime begin) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// What this disk gives: one page written and synced at a time.
double syncs_per_second(std::string const& path) {
    constexpr int kSyncs = 300;
    std::array<char, 4'096> page{};
    auto file = ::open(path.c_str(), O_RDWR | O_CREAT, 0600);
    auto begin = std::chrono::steady_clock::now();
    for (auto i = 0; i < kSyncs; ++i) {
        page[0] = static_cast<char>(i);
        if (::pwrite(file, page.data(), page.size(), 0) < 0 || ::fdatasync(file) != 0) std::abort();
    }
    auto time = since(begin);
    ::close(file);
    std::filesystem::remove(path);
    return kSyncs / time;
}

/// The bridge's thread: runs what the store defers.
class Loop {
public:
    void post(std::function<void()> task) {
        {
            std::lock_guard lock{mutex_};
            tasks_.push_back(std::move(task));
        }
        changed_.notify_one();
    }

    void run_until(std::function<bool()> const& is_done) {
        while (!is_done()) {
            std::unique_lock lock{mutex_};
            changed_.wait(lock, [this] { return !tasks_.empty(); });
            auto tasks = std::exchange(tasks_, {});
            lock.unlock();
            for (auto const& task : tasks) task();
        }
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
};

/// One command from its order to its end, as the service stores it.
class Lives {
public:
    Lives(SqliteStore& store, std::size_t total) : store_(store), total_(total) {}

    void begin_next() {
        if (begun_ == total_) return;
        Command command;
        command.accepted_at = read_clocks().wall;
        command.id = CommandId::make(command.accepted_at, [this] { return random_(); });
        command.request.device = fmt::format("b{}", random_() % 10'000);
        command.request.verb = "unlock";
        command.request.args = R"({"ride":"r_9f31"})";
        command.request.lane = "lock";
        command.request.ref = fmt::format("r_{}", begun_);
        command.request.ttl = milliseconds{8'000};
        command.caller = {"user:7777", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                          "127.0.0.1"};
        command.keys = {fmt::format("key-{:016x}", random_())};
        command.n = ++begun_;
        command.deadline = command.accepted_at + command.request.ttl;
        ids.push_back(command.id);
        put(std::move(command), CommandState::queued, Need::now_or_never);
    }

    [[nodiscard]] bool is_done() const { return ended_ == total_; }
    std::size_t records = 0;
    std::vector<CommandId> ids;

private:
    void put(Command command, CommandState state, Need need) {
        std::vector<AuditEntry> lines;
        // The record before the hand-over shows nothing new.
        if (command.state != state || command.timeline.empty()) {
            command.state = state;
            ++command.version;
            command.timeline.push_back({milliseconds{5}, state, "device"});
            ++command.arrows_audited;
            AuditEntry line;
            line.at = command.accepted_at;
            line.who = "device";
            line.what = fmt::format("command.{}", name_of(state));
            line.device = command.request.device;
            line.subject = command.id.text();
            line.trace = command.caller.trace;
            lines.push_back(std::move(line));
        }
        ++records;
        store_.put(command, std::move(lines), {}, need, [this, command](bool stored) {
            if (!stored) std::abort();
            go_on(command);
        });
    }

    void go_on(Command command) {
        if (command.state == CommandState::queued && !command.may_have_left) {
            command.may_have_left = true;
            put(std::move(command), CommandState::queued, Need::certain);
        } else if (command.state == CommandState::queued) {
            put(std::move(command), CommandState::sent, Need::certain);
        } else if (command.state == CommandState::sent) {
            command.took = milliseconds{612};
            command.answer = R"({"id":"c_01KABC","n":118,"r":"ok","took":612,"lock":"unlocked"})";
            put(std::move(command), CommandState::succeeded, Need::certain);
        } else {
            ++ended_;
            begin_next();
        }
    }

    SqliteStore& store_;
    std::size_t total_;
    std::mt19937_64 random_{1};
    std::size_t begun_ = 0;
    std::size_t ended_ = 0;
};

void measure_reads(SqliteStore const& store, std::vector<CommandId> const& ids) {
    std::mt19937_64 random{2};
    constexpr int kReads = 20'000;
    auto begin = std::chrono::steady_clock::now();
    for (auto i = 0; i < kReads; ++i) {
        if (!store.find(ids[random() % ids.size()])) std::abort();
    }
    auto found = since(begin);
    begin = std::chrono::steady_clock::now();
    for (auto i = 0; i < kReads; ++i) {
        if (store.find_by_key("no such key")) std::abort();
    }
    fmt::print("reads: a command {:.1f} us, a key that is not there {:.1f} us\n",
               found * 1e6 / kReads, since(begin) * 1e6 / kReads);
}

}  // namespace

int main(int argc, char** argv) {
    if (argc < 2) return 1;
    auto window = argc > 2 ? std::strtoul(argv[2], nullptr, 10) : 1'000;
    auto total = argc > 3 ? std::strtoul(argv[3], nullptr, 10) : window == 1 ? 2'000 : 50'000;
    fmt::print("disk: {:.0f} syncs/s\n", syncs_per_second(std::string{argv[1]} + "-sync"));
    Loop loop;
    SqliteStore::Settings settings;
    settings.path = argv[1];
    SqliteStore store{settings, SqliteStore::World{
                                    [&](std::function<void()> task) { loop.post(std::move(task)); },
                                    read_clocks, [](std::string const&) {},
                                    [](std::string const& line) { fmt::print("{}\n", line); }}};
    auto resident = resident_kib();
    Lives lives{store, total};
    auto cpu = cpu_seconds(RUSAGE_SELF);
    auto own_cpu = cpu_seconds(RUSAGE_THREAD);
    auto begin = std::chrono::steady_clock::now();
    for (auto i = 0UL; i < window; ++i) lives.begin_next();
    loop.run_until([&] { return lives.is_done(); });
    auto time = since(begin);
    cpu = cpu_seconds(RUSAGE_SELF) - cpu;
    own_cpu = cpu_seconds(RUSAGE_THREAD) - own_cpu;
    auto records = static_cast<double>(lives.records);
    fmt::print(
        "window {}: {:.0f} records/s, {:.0f} commits/s, {:.1f} us CPU per record (writer {:.1f}), "
        "RSS {} KiB more, file {} KiB\n",
        window, records / time, static_cast<double>(store.commits()) / time, cpu * 1e6 / records,
        (cpu - own_cpu) * 1e6 / records, resident_kib() - resident,
        std::filesystem::file_size(argv[1]) / 1024);
    measure_reads(store, lives.ids);
    return 0;
}
