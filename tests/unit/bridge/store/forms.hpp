#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/store/memory_event_store.hpp"
#include "bridge/store/memory_hook_store.hpp"
#include "bridge/store/memory_store.hpp"
#include "bridge/store/sqlite_store.hpp"
#include "tests/support/fault_vfs.hpp"
#include "tests/support/temp_folder.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

/// The bridge's thread as stores see it: what they defer runs when the test says so.
class Tasks {
public:
    void add(std::function<void()> task) {
        {
            std::lock_guard lock{mutex_};
            tasks_.push_back(std::move(task));
        }
        changed_.notify_one();
    }

    /// Runs tasks, waiting for those that are still to come, until `is_enough`.
    void run_until(std::function<bool()> const& is_enough) {
        while (!is_enough()) next()();
    }

    /// What is there, without waiting for more.
    void run_all() {
        std::deque<std::function<void()>> tasks;
        {
            std::lock_guard lock{mutex_};
            tasks.swap(tasks_);
        }
        for (auto const& task : tasks) task();
    }

private:
    std::function<void()> next() {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [this] { return !tasks_.empty(); });
        auto task = std::move(tasks_.front());
        tasks_.pop_front();
        return task;
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<std::function<void()>> tasks_;
};

/// Log lines of a store, from any thread.
class Lines {
public:
    void add(std::string const& line) {
        {
            std::lock_guard lock{mutex_};
            lines_.push_back(line);
        }
        changed_.notify_one();
    }
    /// Returns once there is a line with `part` in it.
    void await(std::string_view part) const {
        std::unique_lock lock{mutex_};
        changed_.wait(lock, [&] { return count_locked(part) > 0; });
    }
    [[nodiscard]] std::size_t count(std::string_view part) const {
        std::lock_guard lock{mutex_};
        return count_locked(part);
    }

private:
    [[nodiscard]] std::size_t count_locked(std::string_view part) const {
        return static_cast<std::size_t>(std::ranges::count_if(
            lines_, [&](std::string const& line) { return line.find(part) != line.npos; }));
    }

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    std::vector<std::string> lines_;
};

/// A store of some form, and counts of what was asked and told.
class StoreForm {
public:
    virtual ~StoreForm() = default;
    [[nodiscard]] virtual Store& store() = 0;
    [[nodiscard]] virtual EventStore& events() = 0;
    [[nodiscard]] virtual HookStore& hooks() = 0;
    [[nodiscard]] BothStores both() { return {store(), events()}; }
    /// As if the process had ended and another begun.
    virtual void reopen() = 0;

    /// A `done` that is counted; `outcomes` tells them in the order in which they came.
    [[nodiscard]] Store::Done done() {
        return [this, number = asked++](bool stored) { outcomes.emplace_back(number, stored); };
    }
    void await_all() {
        tasks.run_until([this] { return outcomes.size() == asked; });
    }

    Tasks tasks;
    std::size_t asked = 0;
    std::vector<std::pair<std::size_t, bool>> outcomes;
};

class MemoryForm final : public StoreForm {
public:
    explicit MemoryForm(std::vector<EventClass> classes = {})
        : events_("m1", std::move(classes), defer()), store_({}, defer(), &events_) {}
    [[nodiscard]] Store& store() override { return store_; }
    [[nodiscard]] EventStore& events() override { return events_; }
    [[nodiscard]] HookStore& hooks() override { return hooks_; }
    void reopen() override {}

private:
    std::function<void(std::function<void()>)> defer() {
        return [this](std::function<void()> task) { tasks.add(std::move(task)); };
    }

    MemoryEventStore events_;
    MemoryStore store_;
    MemoryHookStore hooks_{defer(),
                           [this](AuditEntry entry) { store_.append(std::move(entry), {}); }};
};

/// By default on a disk that never really syncs, which takes most of the time of a test.
class SqliteForm final : public StoreForm {
public:
    explicit SqliteForm(SqliteStore::Settings settings_ = {}) : settings(std::move(settings_)) {
        if (settings.path.empty()) settings.path = folder / "store.db";
        if (settings.vfs.empty()) settings.vfs = disk.name();
        open();
    }
    [[nodiscard]] Store& store() override { return *store_; }
    [[nodiscard]] EventStore& events() override { return *store_; }
    [[nodiscard]] HookStore& hooks() override { return *store_; }
    [[nodiscard]] SqliteStore& sqlite() { return *store_; }
    void reopen() override {
        close();
        open();
    }
    void close() { store_.reset(); }
    void open() {
        store_ = std::make_unique<SqliteStore>(
            settings,
            SqliteStore::World{[this](std::function<void()> task) { tasks.add(std::move(task)); },
                               [this] { return clock(); },
                               [this](std::string const& line) { log.add(line); },
                               [this](std::string const& line) { log.add(line); }});
    }

    spoke::test::TempFolder folder;
    spoke::test::FaultVfs disk;
    SqliteStore::Settings settings;
    /// The moment of most records here: nothing is old.
    std::function<Now()> clock = [] { return FakeClock{}.now; };
    Lines log;

private:
    std::unique_ptr<SqliteStore> store_;
};

}  // namespace spoke::bridge::test
