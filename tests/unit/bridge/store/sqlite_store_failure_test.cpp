#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/fault_vfs.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/store/forms.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"

namespace spoke::bridge::test {
namespace {

using spoke::test::FaultVfs;

SqliteStore::Settings on(FaultVfs const& disk) {
    SqliteStore::Settings settings;
    settings.vfs = disk.name();
    settings.classes = RandomWrites::classes();
    settings.retry = 2ms;
    settings.log_pages_max = 64;  // so that the file itself is written now and then
    return settings;
}

/// A store, the steps it was asked for, and what it told of them.
struct Run {
    explicit Run(std::uint64_t seed, SqliteStore::Settings settings)
        : script(seed), form(std::move(settings)) {}

    void step() {
        steps.push_back(script.next());
        steps.back().run(form.both(), form.done());
    }
    [[nodiscard]] std::string judge() {
        std::vector<Outcome> outcomes(steps.size());
        for (auto const& [number, stored] : form.outcomes) outcomes.at(number) = stored;
        return test::judge(form.both(), script, steps, outcomes);
    }

    RandomWrites script;
    SqliteForm form;
    std::vector<RandomWrites::Step> steps;
};

std::uint64_t seed_of(int run) {
    return spoke::test::seed_or(7'000) + static_cast<std::uint64_t>(run);
}

std::size_t count(StoreForm const& form, bool stored) {
    return static_cast<std::size_t>(
        std::ranges::count(form.outcomes, stored, &std::pair<std::size_t, bool>::second));
}

}  // namespace

TEST_CASE("SQLite store: while the disk fails only what is certain waits, and it arrives",
          "[bridge][store]") {
    struct Fault {
        char const* name;
        int code;
        void (FaultVfs::*set)(int);
    };
    auto fault = GENERATE(Fault{"disk full", SQLITE_FULL, &FaultVfs::fail_writes},
                          Fault{"write error", SQLITE_IOERR_WRITE, &FaultVfs::fail_writes},
                          Fault{"sync error", SQLITE_IOERR_FSYNC, &FaultVfs::fail_syncs},
                          Fault{"read-only", SQLITE_READONLY, &FaultVfs::fail_writes});
    INFO(fault.name);
    FaultVfs disk;
    Run run{seed_of(0), on(disk)};
    for (auto i = 0; i < 50; ++i) run.step();
    run.form.await_all();
    REQUIRE(count(run.form, false) == 0);
    CHECK(run.form.store().takes_writes());

    (disk.*fault.set)(fault.code);
    run.step();
    run.form.log.await("cannot be written");
    CHECK_FALSE(run.form.store().takes_writes());
    // From here on what may fail does so at once, and what is certain is not told before it is
    // true.
    for (std::size_t i = 51; i < 150; ++i) {
        run.step();
        if (run.steps.back().need == Need::certain) continue;
        auto is_told = [&] {
            return !run.form.outcomes.empty() && run.form.outcomes.back().first == i;
        };
        run.form.tasks.run_until(is_told);
        CHECK_FALSE(run.form.outcomes.back().second);
    }
    // Reads go on, or begin again with one of the attempts to come back.
    while (!run.form.store().find(run.script.ids()[0])) std::this_thread::yield();
    auto waiting = std::ranges::count(run.steps, Need::certain, &RandomWrites::Step::need);
    CHECK(run.form.log.count("cannot be written") == 1);
    CHECK(run.form.log.count("can be written again") == 0);

    (disk.*fault.set)(SQLITE_OK);
    run.form.await_all();
    CHECK(count(run.form, true) >= static_cast<std::size_t>(waiting));
    for (std::size_t i = 50; i < run.steps.size(); ++i) {
        if (run.steps[i].need == Need::certain) {
            CHECK(std::ranges::count(run.form.outcomes, std::pair{i, true}) == 1);
        }
    }
    CHECK(run.judge() == "");
    // The first that is written again is told before it is noticed that the store is well.
    run.form.close();
    CHECK(run.form.log.count("cannot be written") == 1);
    CHECK(run.form.log.count("can be written again") == 1);
    run.form.open();
    CHECK(run.judge() == "");
}

TEST_CASE(
    "SQLite store: a commit that failed in its sync may be there, and is told when it is known",
    "[bridge][store]") {
    FaultVfs disk;
    auto settings = on(disk);
    settings.log_pages_max = 4'096;  // the log is not begun anew, which would be synced first
    Run run{seed_of(3), settings};
    for (auto i = 0; i < 30; ++i) run.step();
    auto next = run.script.next();
    for (; next.need == Need::certain; next = run.script.next()) {
        next.run(run.form.both(), run.form.done());
        run.steps.push_back(next);
    }
    run.form.await_all();
    disk.fail_syncs(SQLITE_IOERR_FSYNC);
    auto doubtful = run.form.asked;
    next.run(run.form.both(), run.form.done());
    run.steps.push_back(next);
    run.form.log.await("cannot be written");
    // It has been closed, which did not help, and could not be opened.
    auto failures = disk.failures() + 10;
    while (disk.failures() < failures) std::this_thread::yield();
    run.form.tasks.run_all();
    CHECK(run.form.outcomes.size() == doubtful);  // nothing is told of it yet
    disk.fail_syncs(SQLITE_OK);
    run.form.await_all();
    // It was found in the log when that was read anew.
    CHECK(std::ranges::count(run.form.outcomes, std::pair{doubtful, true}) == 1);
    CHECK(run.judge() == "");
    run.form.reopen();
    CHECK(run.judge() == "");
}

TEST_CASE("SQLite store: faults that come and go leave what was told", "[bridge][store]") {
    auto seed = seed_of(GENERATE(range(0, 8)));
    INFO("SPOKE_SEED=" << seed);
    FaultVfs disk;
    Run run{seed, on(disk)};
    std::mt19937_64 random{seed};
    for (auto i = 0; i < 400; ++i) {
        if (random() % 20 == 0) disk.fail_writes(SQLITE_FULL);
        if (random() % 20 == 0) disk.fail_writes(SQLITE_IOERR_WRITE);
        if (random() % 20 == 0) disk.fail_syncs(SQLITE_IOERR_FSYNC);
        run.step();
        if (random() % 10 != 0) continue;
        disk.fail_writes(SQLITE_OK);
        disk.fail_syncs(SQLITE_OK);
        if (random() % 2 == 0) run.form.await_all();
    }
    disk.fail_writes(SQLITE_OK);
    disk.fail_syncs(SQLITE_OK);
    run.form.await_all();
    CHECK(run.judge() == "");
    run.form.reopen();
    CHECK(run.judge() == "");
}

TEST_CASE("SQLite store: a power failure takes nothing that was told to be stored",
          "[bridge][store]") {
    auto seed = seed_of(GENERATE(range(0, 25)));
    INFO("SPOKE_SEED=" << seed);
    FaultVfs disk;
    Run run{seed, on(disk)};
    std::mt19937_64 random{seed};
    for (auto failures = 0; failures < 2; ++failures) {
        disk.lose_power_at(1 + random() % 200);
        if (random() % 2 == 0) disk.fail_syncs(SQLITE_IOERR_FSYNC);
        for (auto i = 0; i < 5'000 && disk.has_power(); ++i) {
            run.step();
            if (i == 20) disk.fail_syncs(SQLITE_OK);
        }
        run.form.close();
        // What is told now is what the process knew.
        run.form.tasks.run_all();
        disk.lose_power();
        disk.restore_power(random);
        run.form.open();
        CHECK(run.judge() == "");
    }
}

TEST_CASE("SQLite store: what cannot be read is told, and no order is taken then",
          "[bridge][store]") {
    FaultVfs disk;
    auto settings = on(disk);
    settings.clean_every = 2ms;
    Run run{seed_of(0), settings};
    for (auto i = 0; i < 50; ++i) run.step();
    run.form.await_all();
    disk.fail_reads(SQLITE_IOERR_READ);
    CHECK_FALSE(run.form.store().find(run.script.ids()[0]));
    CHECK_FALSE(run.form.store().takes_writes());
    CHECK(run.form.store().commands({"b1"}).empty());
    run.form.store().put(run.script.last_of(run.script.ids()[0]), {}, Need::now_or_never,
                         run.form.done());
    auto told = run.form.outcomes.size();
    run.form.tasks.run_until([&] { return run.form.outcomes.size() > told; });
    CHECK(run.form.outcomes.back() == std::pair{std::size_t{50}, false});
    CHECK(run.form.log.count("cannot be read") == 1);
    disk.fail_reads(SQLITE_OK);
    run.form.log.await("can be read again");
    while (!run.form.store().takes_writes()) std::this_thread::yield();
    CHECK(run.form.store().find(run.script.ids()[0]));
}

}  // namespace spoke::bridge::test
