#include "bridge/store/sqlite_store.hpp"

#include <unistd.h>

#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bridge/store/audit_file.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/store/forms.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"

namespace spoke::bridge::test {
namespace {

Command command_of(std::string device, CommandState state = CommandState::queued) {
    static auto random = counting_random();
    Command command;
    command.accepted_at = FakeClock{}.now.wall;
    command.id = CommandId::make(command.accepted_at, random);
    command.request = unlock(std::move(device));
    command.state = state;
    command.timeline.push_back({0ms, state, "tester"});
    return command;
}

/// Holds the file as somebody does who has begun a transaction by hand.
class Holder {
public:
    explicit Holder(SqliteForm const& form)
        : connection_(form.settings.path, SqliteAccess::read_write) {
        connection_.execute("BEGIN IMMEDIATE");
    }
    void let_go() { connection_.execute("ROLLBACK"); }

private:
    SqliteConnection connection_;
};

}  // namespace

TEST_CASE("SQLite store: a second bridge is told who has it", "[bridge][store]") {
    SqliteForm first;
    SqliteStore::Settings settings;
    settings.path = first.settings.path;
    auto message =
        "store.db is in use by another spoke-bridge, process " + std::to_string(getpid());
    CHECK_THROWS_WITH(SqliteForm{settings}, Catch::Contains(message));
    first.close();
    CHECK_NOTHROW(SqliteForm{settings});
}

TEST_CASE("SQLite store: the writes of a moment are one commit, the newest record counts",
          "[bridge][store]") {
    SqliteForm form;
    Holder holder{form};  // the writer has to wait with the first
    auto command = command_of("b1");
    form.store().put(command, {AuditEntry{}}, Need::now_or_never, form.done());
    for (auto i = 0; i < 300; ++i) {
        ++command.version;
        AuditEntry line;
        line.subject = std::to_string(i);
        form.store().put(command, {line}, Need::certain, form.done());
    }
    holder.let_go();
    form.await_all();
    CHECK(form.sqlite().commits() <= 3);
    CHECK(form.store().find(command.id) == command);
    auto lines = form.store().audit({.limit = 1'000});
    REQUIRE(lines.size() == 301);
    for (std::size_t i = 0; i < 300; ++i) CHECK(lines[i + 1].entry.subject == std::to_string(i));
}

TEST_CASE("SQLite store: so many writes wait, and then only those that are certain",
          "[bridge][store]") {
    SqliteStore::Settings settings;
    settings.writes_max = 10;
    SqliteForm form{settings};
    Holder holder{form};
    form.store().append({}, form.done());
    // The writer may have taken the first few before it had to wait.
    while (form.sqlite().waiting() < 10) form.store().append({}, form.done());
    auto accepted = form.asked;
    form.store().append({}, form.done());
    form.store().put(command_of("b1"), {}, Need::certain, form.done());
    CHECK(form.sqlite().waiting() == 11);
    form.tasks.run_until([&] { return !form.outcomes.empty(); });
    CHECK(form.outcomes[0] == std::pair{accepted, false});
    holder.let_go();
    form.await_all();
    CHECK(std::ranges::count(form.outcomes, false, &std::pair<std::size_t, bool>::second) == 1);
    CHECK(form.store().takes_writes());
}

TEST_CASE(
    "SQLite store: at its size limit orders are refused, their ends are not, until there is "
    "room",
    "[bridge][store]") {
    SqliteStore::Settings settings;
    settings.bytes_max = 1 << 20;
    settings.clean_every = 1ms;
    settings.clean_rows = 50;
    SqliteForm form{settings};
    std::atomic<std::int64_t> hours{0};
    form.close();
    form.clock = [&hours] {
        auto now = FakeClock{}.now;
        auto passed = std::chrono::hours{hours.load()};
        return Now{now.steady + passed, now.wall + passed};
    };
    form.open();
    std::vector<Command> open;
    while (form.store().takes_writes()) {
        open.push_back(command_of("b1"));
        open.back().request.args = std::string(2'000, 'x');
        form.store().put(open.back(), {}, Need::now_or_never, form.done());
        form.await_all();
    }
    CHECK(open.size() > 200);
    CHECK(form.log.count("store.bytes_max is reached") == 1);
    form.store().put(command_of("b2"), {}, Need::now_or_never, form.done());
    form.await_all();
    CHECK_FALSE(form.outcomes.back().second);
    for (auto& command : open) {
        command.state = CommandState::expired;
        form.store().put(command, {}, Need::certain, form.done());
    }
    form.await_all();
    CHECK(form.outcomes.back().second);
    CHECK_FALSE(form.store().takes_writes());
    hours = 25;
    form.log.await("there is room again");
    CHECK(form.store().takes_writes());
    form.store().put(command_of("b2"), {}, Need::now_or_never, form.done());
    form.await_all();
    CHECK(form.outcomes.back().second);
}

TEST_CASE("SQLite store: a clock that leaps ahead removes nothing for an hour", "[bridge][store]") {
    SqliteStore::Settings settings;
    settings.clean_every = 1ms;
    SqliteForm form{settings};
    form.close();
    std::atomic<std::int64_t> wall_hours{0};
    std::atomic<std::int64_t> steady_minutes{0};
    std::atomic<std::uint64_t> looks{0};
    form.clock = [&] {
        ++looks;
        auto now = FakeClock{}.now;
        return Now{now.steady + std::chrono::minutes{steady_minutes.load()},
                   now.wall + std::chrono::hours{wall_hours.load()}};
    };
    form.open();
    auto command = command_of("b1", CommandState::succeeded);
    form.store().put(command, {}, Need::certain, form.done());
    form.await_all();
    auto await_looks = [&] {
        for (auto until = looks + 5; looks < until;) std::this_thread::yield();
    };
    await_looks();
    wall_hours = 48;
    form.log.await("the clock leapt ahead");
    await_looks();
    CHECK(form.store().find(command.id));
    steady_minutes = 61;
    while (form.store().find(command.id)) std::this_thread::yield();
    CHECK(form.log.count("the clock leapt ahead") == 1);
}

TEST_CASE("SQLite store: the log is copied into the file before it grows long", "[bridge][store]") {
    SqliteStore::Settings settings;
    settings.log_pages_max = 50;
    SqliteForm form{settings};
    auto command = command_of("b1");
    command.request.args = std::string(3'000, 'x');
    for (auto i = 0; i < 300; ++i) {
        ++command.version;
        form.store().put(command, {AuditEntry{}}, Need::certain, form.done());
        form.await_all();
    }
    constexpr std::uintmax_t kFrame = 4'096 + 24;
    CHECK(std::filesystem::file_size(form.settings.path + "-wal") < 100 * kFrame);
}

TEST_CASE("SQLite store: a reader that does not end keeps the log, not the bridge",
          "[bridge][store]") {
    SqliteStore::Settings settings;
    settings.log_pages_max = 20;
    SqliteForm form{settings};
    auto command = command_of("b1");
    form.store().put(command, {AuditEntry{}}, Need::now_or_never, form.done());
    form.await_all();
    SqliteConnection reader{form.settings.path, SqliteAccess::read_only};
    reader.execute("BEGIN");
    CHECK(reader.number("SELECT count(*) FROM commands") == 1);
    for (auto i = 0; i < 200; ++i) {
        ++command.version;
        form.store().put(command, {AuditEntry{}}, Need::certain, form.done());
        form.await_all();
    }
    CHECK(form.log.count("another program reads from it") == 1);
    form.reopen();
    CHECK(form.store().find(command.id) == command);
    form.store().put(command, {AuditEntry{}}, Need::certain, form.done());
    form.await_all();
    CHECK(form.outcomes.back().second);
    reader.execute("COMMIT");
    CHECK(reader.number("SELECT count(*) FROM audit") == 202);
}

TEST_CASE("SQLite store: a file with wrong bytes in it is told from a sound one, or read",
          "[bridge][store]") {
    auto seed = spoke::test::seed_or(8'000) + static_cast<std::uint64_t>(GENERATE(range(0, 20)));
    INFO("SPOKE_SEED=" << seed);
    SqliteStore::Settings settings;
    settings.classes = RandomWrites::classes();
    SqliteForm form{settings};
    RandomWrites script{seed};
    for (auto i = 0; i < 80; ++i) script.next().run(form.both(), form.done());
    form.await_all();
    form.close();
    std::mt19937_64 random{seed};
    auto size = std::filesystem::file_size(form.settings.path);
    {
        std::fstream file{form.settings.path, std::ios::binary | std::ios::in | std::ios::out};
        for (auto i = 0; i < 30; ++i) {
            // Behind the header, which has its own test.
            file.seekp(static_cast<std::streamoff>(100 + random() % (size - 100)));
            file.put(static_cast<char>(random()));
        }
    }
    // Whatever comes of it, it is told, and the process lives.
    try {
        static_cast<void>(AuditFile{form.settings.path}.verify());
        form.open();
        static_cast<void>(contents_of(form.both(), script));
        form.store().append({}, {});
        form.close();
    } catch (std::runtime_error const& error) {
        CHECK(std::string_view{error.what()} != "");
    }
}

}  // namespace spoke::bridge::test
