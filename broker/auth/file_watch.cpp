#include "broker/auth/file_watch.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <thread>
#include <utility>

#include "broker/auth/path_trail.hpp"
#include "protocol/base/assert.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kFolderEvents = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO |
                                        IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// The file itself too: it may be written through another name, on another mount.
constexpr std::uint32_t kFileEvents =
    IN_MODIFY | IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;

constexpr int kRoundsMax = 10;

int checked(int result, char const* what) {
    if (result < 0) throw std::system_error{errno, std::generic_category(), what};
    return result;
}

class Descriptor {
public:
    explicit Descriptor(int number) noexcept : number_(number) {}
    ~Descriptor() { close(number_); }
    Descriptor(Descriptor const&) = delete;
    Descriptor& operator=(Descriptor const&) = delete;
    [[nodiscard]] int number() const noexcept { return number_; }

private:
    int number_;
};

}  // namespace

/// Every event that may concern a path leads to the same: wait until it is quiet, look up anew what
/// is to be watched, compare the files' marks with those from before.
class FileWatch::Impl {
public:
    Impl(std::vector<std::string> paths, Changed changed, FileWatchSettings const& settings)
        : settings_(settings),
          changed_(std::move(changed)),
          inotify_(checked(inotify_init1(IN_NONBLOCK | IN_CLOEXEC), "inotify")),
          stop_(checked(eventfd(0, EFD_CLOEXEC), "eventfd")) {
        for (auto& path : paths) files_.push_back({std::move(path), {}});
        watch_anew();
        for (auto& file : files_) file.mark = mark_of(file.path);
        thread_ = std::thread{[this] { run(); }};
    }

    ~Impl() {
        std::uint64_t one = 1;
        auto written = write(stop_.number(), &one, sizeof one);
        MQ_ASSERT(written == sizeof one);
        thread_.join();
    }

    Impl(Impl const&) = delete;
    Impl& operator=(Impl const&) = delete;

private:
    using Watches = std::map<int, std::set<std::string>>;  // of folders: the names that count

    struct File {
        std::string path;
        FileMark mark;
    };

    void run() {
        while (await_events(std::nullopt) != Woken::to_stop) {
            if (!take_events()) continue;
            if (!await_quiet()) return;
            tell_changes();
        }
    }

    enum class Woken { by_events, by_time, to_stop };

    Woken await_events(std::optional<Clock::time_point> deadline) {
        std::array<pollfd, 2> waits{{{inotify_.number(), POLLIN, 0}, {stop_.number(), POLLIN, 0}}};
        for (;;) {
            auto count = poll(waits.data(), waits.size(), milliseconds_until(deadline));
            if (waits[1].revents != 0) return Woken::to_stop;
            if (count > 0) return Woken::by_events;
            if (count == 0) return Woken::by_time;
        }
    }

    static int milliseconds_until(std::optional<Clock::time_point> deadline) {
        if (!deadline) return -1;
        auto left = std::chrono::ceil<std::chrono::milliseconds>(*deadline - Clock::now());
        return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }

    /// Waits for the end of a burst. False: to be stopped.
    bool await_quiet() {
        auto end = Clock::now() + settings_.burst_max;
        auto quiet = Clock::now() + settings_.quiet;
        for (;;) {
            auto woken = await_events(std::min(quiet, end));
            if (woken == Woken::to_stop) return false;
            if (woken == Woken::by_time) return true;
            if (take_events()) quiet = Clock::now() + settings_.quiet;
            if (Clock::now() >= end) return true;
        }
    }

    /// Reads what there is; whether any of it may concern a path.
    bool take_events() {
        alignas(inotify_event) std::array<char, 16 * 1024> buffer;
        auto concerns = false;
        for (;;) {
            auto size = read(inotify_.number(), buffer.data(), buffer.size());
            if (size <= 0) return concerns;
            for (auto const* at = buffer.data(); at < buffer.data() + size;) {
                inotify_event event;
                std::memcpy(&event, at, sizeof event);
                auto const* name = at + sizeof event;
                if (is_of_concern(event, event.len > 0 ? name : "")) concerns = true;
                at = name + event.len;
            }
        }
    }

    /// Of a folder only the names on the way to a file count: others may be written all the time.
    bool is_of_concern(inotify_event const& event, std::string const& name) const {
        if (event.mask & IN_Q_OVERFLOW) return true;
        if (event.mask & IN_IGNORED) return false;  // our own doing, or IN_DELETE_SELF came before
        auto watch = watches_.find(event.wd);
        if (watch == watches_.end()) return false;
        return name.empty() || watch->second.contains(name);
    }

    void tell_changes() {
        // The watches first: what changes behind that leads to an event.
        watch_anew();
        std::vector<std::string> paths;
        for (auto& file : files_) {
            auto mark = mark_of(file.path);
            if (mark == file.mark) continue;
            file.mark = mark;
            paths.push_back(file.path);
        }
        if (!paths.empty()) changed_(paths);
    }

    /// Watches exactly what the paths lead through now.
    void watch_anew() {
        // Where a path leads may change before the watches are there: so it is asked once more.
        auto trails = follow_all();
        for (auto round = 0; round < kRoundsMax; ++round) {
            watch(trails);
            auto now = follow_all();
            if (now == trails) return;
            trails = std::move(now);
        }
    }

    std::vector<PathTrail> follow_all() const {
        std::vector<PathTrail> trails;
        for (auto const& file : files_) trails.push_back(follow(file.path));
        return trails;
    }

    void watch(std::vector<PathTrail> const& trails) {
        Watches fresh;
        std::set<std::string> failures;
        for (auto const& trail : trails) {
            for (auto const& entry : trail.entries)
                add(entry.folder, kFolderEvents, entry.name, fresh, failures);
            if (trail.file) add(*trail.file, kFileEvents, {}, fresh, failures);
        }
        for (auto const& [number, names] : watches_) {
            if (!fresh.contains(number)) inotify_rm_watch(inotify_.number(), number);
        }
        watches_ = std::move(fresh);
        for (auto const& failure : failures) {
            if (settings_.failed && !failures_.contains(failure)) settings_.failed(failure);
        }
        failures_ = std::move(failures);
    }

    void add(std::string const& what, std::uint32_t events, std::string const& name, Watches& fresh,
             std::set<std::string>& failures) {
        auto number = inotify_add_watch(inotify_.number(), what.c_str(), events | IN_MASK_ADD);
        if (number >= 0) {
            auto& names = fresh[number];
            if (!name.empty()) names.insert(name);
        } else if (errno != ENOENT && errno != ENOTDIR) {  // these it has become just now
            failures.insert("cannot watch " + escaped(what) + ": " + std::strerror(errno));
        }
    }

    FileWatchSettings settings_;
    Changed changed_;
    Descriptor inotify_;
    Descriptor stop_;
    std::vector<File> files_;
    Watches watches_;
    std::set<std::string> failures_;
    std::thread thread_;
};

FileWatch::FileWatch(std::vector<std::string> paths, Changed changed,
                     FileWatchSettings const& settings)
    : impl_(std::make_unique<Impl>(std::move(paths), std::move(changed), settings)) {}

FileWatch::~FileWatch() = default;

}  // namespace spoke::broker
