#include "bridge/store/retention.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>

#include "bridge/store/audit_file.hpp"
#include "tests/unit/bridge/store/forms.hpp"

namespace spoke::bridge::test {
namespace {

WallTime const kBegin{1'795'374'000'000ms};

Command command_at(int second, CommandState state) {
    static auto random = counting_random();
    Command command;
    command.accepted_at = kBegin + std::chrono::seconds{second};
    command.id = CommandId::make(command.accepted_at, random);
    command.request = unlock("b" + std::to_string(second % 7));
    command.state = state;
    command.keys = {"key-" + std::to_string(second)};
    command.n = static_cast<std::uint64_t>(second);
    command.timeline.push_back({0ms, state, "tester"});
    return command;
}

AuditEntry line_at(std::chrono::seconds second) {
    AuditEntry entry;
    entry.at = kBegin + second;
    entry.who = "tester";
    return entry;
}

/// A store with a command and a line of the trail for each second; each tenth is open.
struct Filled {
    explicit Filled(int count) {
        for (auto i = 0; i < count; ++i) {
            auto state = i % 10 == 0 ? CommandState::unknown : CommandState::succeeded;
            form.store().put(command_at(i, state), {line_at(std::chrono::seconds{i})},
                             Need::certain, form.done());
        }
        form.await_all();
        form.close();
    }

    std::int64_t count(std::string const& what) {
        return connection().number("SELECT count(*) FROM " + what);
    }
    SqliteConnection& connection() {
        if (!connection_) connection_.emplace(form.settings.path, SqliteAccess::read_write);
        return *connection_;
    }

    SqliteForm form;

private:
    std::optional<SqliteConnection> connection_;
};

}  // namespace

TEST_CASE("retention: settled commands go with their keys when they were kept long enough",
          "[bridge][store]") {
    Filled store{100};
    Retention::Limits limits;
    limits.keep = 10s;
    limits.rows_per_step = 7;
    Retention retention{store.connection(), limits};
    CHECK_FALSE(retention.step(kBegin));
    CHECK(store.count("commands") == 100);
    // At 60 s those that ended before second 50 go: 45, for each tenth is open.
    auto steps = 1;
    while (retention.step(kBegin + 60s)) ++steps;
    CHECK(steps == 7);
    CHECK(store.count("commands") == 55);
    CHECK(store.count("commands WHERE settled_at IS NULL") == 10);
    CHECK(store.count("keys") == 55);
    CHECK(store.count("keys WHERE command NOT IN (SELECT id FROM commands)") == 0);
    CHECK(store.connection().number("SELECT min(settled_at) FROM commands") ==
          (kBegin + 51s).time_since_epoch().count());  // 50 is open
    CHECK(store.count("audit") == 100);                // kept for ever
    CHECK(store.count("devices") == 7);                // and with them the sequence numbers
}

TEST_CASE("retention: a key that leads to a newer command stays with it", "[bridge][store]") {
    SqliteForm form;
    auto older = command_at(1, CommandState::succeeded);
    auto newer = command_at(50, CommandState::succeeded);
    newer.keys = older.keys;
    form.store().put(older, {}, Need::certain, form.done());
    form.store().put(newer, {}, Need::certain, form.done());
    form.await_all();
    SqliteConnection connection{form.settings.path, SqliteAccess::read_write};
    Retention retention{connection, {.keep = 10s}};
    CHECK_FALSE(retention.step(kBegin + 30s));
    CHECK_FALSE(form.store().find(older.id));
    CHECK(form.store().find_by_key("key-1") == newer);
}

TEST_CASE("retention: the oldest lines of the trail go, and the rest can be verified",
          "[bridge][store][audit]") {
    Filled store{100};
    auto head = AuditFile{store.form.settings.path}.verify().head.hash();
    Retention::Limits limits;
    limits.keep = 1h;
    limits.audit_keep = 10s;
    limits.rows_per_step = 7;
    Retention retention{store.connection(), limits};
    while (retention.step(kBegin + 60s)) {
    }
    auto verdict = AuditFile{store.form.settings.path}.verify(0, head);
    CHECK_FALSE(verdict.problem);
    CHECK(verdict.knows_head);
    CHECK(verdict.first == 51);
    CHECK(verdict.lines == 50);
    CHECK_THROWS_WITH(static_cast<void>(AuditFile{store.form.settings.path}.verify(50)),
                      Catch::Contains("begins with line 51"));
    CHECK(store.count("commands") == 100);

    // All of them: the chain goes on from the anchor.
    while (retention.step(kBegin + 1min + 50s)) {
    }
    CHECK(store.count("audit") == 0);
    store.form.open();
    store.form.store().append(line_at(200s), store.form.done());
    store.form.await_all();
    verdict = AuditFile{store.form.settings.path}.verify(0, head);
    CHECK_FALSE(verdict.problem);
    CHECK(verdict.knows_head);  // it is the anchor's
    CHECK(verdict.head.number() == 101);
    CHECK(store.form.store().audit({})[0].number == 101);
}

TEST_CASE("retention: a line from a clock that was ahead does not hold those behind it",
          "[bridge][store][audit]") {
    SqliteForm form;
    for (auto second : {0s, 1s, 1'000'000s, 2s, 3s, 100s}) {
        form.store().append(line_at(second), form.done());
    }
    form.await_all();
    SqliteConnection connection{form.settings.path, SqliteAccess::read_write};
    Retention retention{connection, {.audit_keep = 10s}};
    CHECK_FALSE(retention.step(kBegin + 60s));
    CHECK(connection.number("SELECT min(number) FROM audit") == 6);
    CHECK_FALSE(AuditFile{form.settings.path}.verify().problem);
    CHECK(form.store().audit({.since = kBegin + 50s}).size() == 1);
}

TEST_CASE("retention: free pages are given back, but for a reserve", "[bridge][store]") {
    Filled store{400};
    Retention::Limits limits;
    limits.keep = 1s;
    limits.audit_keep = 1s;
    limits.pages_per_step = 4;
    limits.free_pages_min = 20;
    auto& connection = store.connection();
    auto before = connection.number("PRAGMA page_count");
    Retention retention{connection, limits};
    while (retention.step(kBegin + 1'000s)) {
    }
    CHECK(connection.number("PRAGMA freelist_count") == 20);
    CHECK(connection.number("PRAGMA page_count") < before);
    CHECK(connection.checkpoint(true));
    CHECK(static_cast<std::int64_t>(std::filesystem::file_size(store.form.settings.path)) ==
          connection.number("PRAGMA page_count") * 4'096);
}

}  // namespace spoke::bridge::test
