#include "bridge/store/schema.hpp"

#include <array>
#include <catch2/catch.hpp>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

#include "bridge/store/audit_file.hpp"
#include "tests/unit/bridge/store/forms.hpp"

namespace spoke::bridge::test {
namespace {

std::string text_of(std::string const& path) {
    std::ostringstream text;
    text << std::ifstream{path}.rdbuf();
    return text.str();
}

/// A store as the program of that schema version left it.
void load_fixture(std::string const& name, std::string const& path) {
    auto sql = text_of(std::string{SPOKE_STORE_FIXTURES} + "/" + name);
    REQUIRE_FALSE(sql.empty());
    SqliteConnection{path, SqliteAccess::read_write}.execute(sql);
}

/// The log of version-2.sql and version-3.sql: fourteen events, of which three were removed.
void check_log(EventStore const& events) {
    CHECK(events.epoch() == "335be212");
    CHECK(events.last_offset() == 14);
    auto all = events.events({}).events;
    std::vector<std::uint64_t> offsets;
    for (auto const& event : all) offsets.push_back(event.offset);
    REQUIRE(offsets == std::vector<std::uint64_t>{1, 2, 3, 4, 8, 9, 10, 11, 12, 13, 14});
    CHECK(all[0].type == "like");
    CHECK(all[0].data == R"({"post":9})");
    CHECK(all[0].collapse == "post-9");
    CHECK_FALSE(all[0].from_broker);
    CHECK(all[1].expires_at == WallTime{1'827'265'364'492ms});
    CHECK(all[2].at == WallTime{1'795'729'364'522ms});
    CHECK(all[2].from_broker);
    CHECK(all[3].encoding == EventEncoding::text);
    CHECK(all[9].encoding == EventEncoding::base64);
    CHECK(all[9].data == R"("/wAB")");
    CHECK(events.find_event("d/b42/evt", "e1")->offset == 3);
    CHECK(events.last_n("t/1") == 8);
    CHECK(events.events({.filters = {"u/7777/in"}}).events.size() == 4);
    CHECK(events.removed_upto(0) == 7);
    CHECK(events.removed_upto(1) == 0);
    auto arrivals = events.arrivals();
    CHECK(arrivals.size() == 11);
    CHECK(arrivals.front() == EventArrival{3, 0x39D9'7603'2188'C26E});
    CHECK(arrivals.back() == EventArrival{13, 0x140F'AE0A'BF87'DE92});
    CHECK(events.inbox_mark("7777") == 1);
    CHECK(events.position("feed") == 14);
    CHECK(events.position("inboxes") == 1);
}

/// How many there are; each is the one of version-3.sql.
std::size_t hooks_of(HookStore const& hooks) {
    std::size_t count = 0;
    hooks.visit_hooks([&](Hook&& hook) {
        ++count;
        CHECK(hook.name == "shop");
        CHECK(hook.topics == std::vector<std::string>{"d/+/evt"});
        CHECK(hook.state == HookState::paused);
        CHECK(hook.begin == 14);
    });
    if (count > 0) {
        auto body = hooks.delivery_body("shop", "335be212.3");
        CHECK(body->ends_with(R"("data":{"e":"moved","g":1.8}})"));
    }
    hooks.visit_deliveries([](HookDelivery&& delivery) {
        CHECK(delivery.offset == 3);
        CHECK(delivery.attempts == 2);
        CHECK(delivery.outcome == "503");
    });
    return count;
}

}  // namespace

TEST_CASE("schema: a store of version 1 is read as it was written", "[bridge][store][schema]") {
    SqliteForm form;
    form.close();
    form.settings.path = form.folder / "version-1.db";
    load_fixture("version-1.sql", form.settings.path);
    form.open();
    auto& store = form.store();
    std::vector<Command> open;
    store.visit_open([&](Command&& command) { open.push_back(std::move(command)); });
    REQUIRE(open.size() == 1);
    CHECK(open[0].id.text() == "c_01M82A29W08D246H248H248H24");
    CHECK(open[0].state == CommandState::unknown);
    CHECK(open[0].may_have_left);

    auto settled = store.find_by_key("key-1");
    REQUIRE(settled);
    CHECK(settled->request.device == "b42");
    CHECK(settled->request.verb == "unlock");
    CHECK(settled->request.args == R"({"ride":"r1"})");
    CHECK(settled->request.ttl == 8s);
    CHECK(settled->request.if_offline == IfOffline::wait);
    CHECK(settled->request.deliver == Deliver::until);
    CHECK(settled->request.supersede);
    CHECK(settled->caller == Caller{"user:7777", "00-abc-def-01", "127.0.0.1"});
    CHECK(settled->state == CommandState::succeeded);
    CHECK(settled->n == 118);
    CHECK(settled->boot == 7U);
    CHECK(settled->exp_up == 912'300U);
    CHECK(settled->took == 612ms);
    CHECK(settled->answer == R"({"r":"ok","lock":"unlocked"})");
    CHECK(settled->timeline ==
          std::vector<TimelineEntry>{{0ms, CommandState::queued, "user:7777", ""},
                                     {3ms, CommandState::sent, "broker", ""},
                                     {700ms, CommandState::succeeded, "device", "\"it\" said so"}});
    std::vector<StoredDevice> devices;
    store.visit_devices([&](StoredDevice&& device) { devices.push_back(std::move(device)); });
    REQUIRE(devices.size() == 1);
    CHECK(devices[0].record == DeviceRecord{"b42", "Bike 42", "bike", {"north"}, {"*"}, 3});
    CHECK(devices[0].n == 119);
    auto verdict = AuditFile{form.settings.path}.verify();
    CHECK_FALSE(verdict.problem);
    CHECK(verdict.lines == 3);
    CHECK(hex(verdict.head.hash()) ==
          "791cb6f716b3281d0cc31ee3859a70c71591f44d527ddf8ec8a6f29366d20e04");
}

TEST_CASE("schema: a log of version 2 or 3 is read as it was written", "[bridge][store][schema]") {
    auto version = GENERATE(2, 3);
    CAPTURE(version);
    SqliteForm form;
    form.close();
    form.settings.path = form.folder / "log.db";
    for (auto const* filter : {"t/#", "u/+/in", "d/+/evt"}) {
        form.settings.classes.push_back({filter, std::chrono::hours{87'600}});
    }
    form.clock = [] {  // shortly after it was written: what is of the future would be removed
        return Now{FakeClock{}.now.steady, WallTime{1'795'729'400'000ms}};
    };
    load_fixture("version-" + std::to_string(version) + ".sql", form.settings.path);
    form.open();
    for (auto times = 0; times < 2; ++times) {  // the second time without a step to take
        check_log(form.events());
        CHECK(hooks_of(form.hooks()) == (version == 3 ? 1U : 0U));
        form.reopen();
    }
    CHECK(form.events().arrivals().size() == 11);
    Event next;
    next.topic = "t/1";
    next.offset = 15;
    next.n = 9;
    next.at = form.clock().wall;
    next.key = "k";
    next.arrival = {14, 99};
    form.events().append_events({next}, InboxMark{"7777", 4}, Need::certain, form.done());
    form.await_all();
    form.reopen();
    auto& events = form.events();
    CHECK(events.last_offset() == 15);
    CHECK(events.find_event("t/1", "k")->offset == 15);
    CHECK(events.inbox_mark("7777") == 4);
    CHECK(events.arrivals().back() == EventArrival{14, 99});
    auto verdict = AuditFile{form.settings.path}.verify();
    CHECK_FALSE(verdict.problem);
    CHECK(verdict.lines == static_cast<std::uint64_t>(version - 1));
}

TEST_CASE("schema: a newer store is refused and left as it is", "[bridge][store][schema]") {
    SqliteForm form;
    form.close();
    {
        SqliteConnection connection{form.settings.path, SqliteAccess::read_write};
        connection.execute("PRAGMA user_version = 5; CREATE TABLE later (a INTEGER)");
        connection.checkpoint(true);
    }
    auto before = text_of(form.settings.path);
    CHECK_THROWS_WITH(form.open(),
                      Catch::Contains("schema version 5, made by a newer spoke-bridge") &&
                          Catch::Contains(form.settings.path));
    CHECK_THROWS_WITH(AuditFile{form.settings.path}, Catch::Contains("made by a newer"));
    CHECK(text_of(form.settings.path) == before);
}

TEST_CASE("schema: another program's database is refused and left as it is",
          "[bridge][store][schema]") {
    SqliteForm form;
    form.close();
    form.settings.path = form.folder / "other.db";
    SqliteConnection{form.settings.path, SqliteAccess::read_write}.execute(
        "CREATE TABLE commands (a INTEGER)");
    auto before = text_of(form.settings.path);
    CHECK_THROWS_WITH(form.open(), Catch::Contains("no store of spoke-bridge"));
    CHECK(text_of(form.settings.path) == before);
}

TEST_CASE("schema: what is not a database is refused", "[bridge][store][schema]") {
    SqliteForm form;
    form.close();
    form.settings.path = form.folder.write("text.db", std::string(5'000, 'x'));
    CHECK_THROWS_WITH(form.open(), Catch::Contains("not a database"));
    form.settings.path = form.folder / "none/store.db";
    CHECK_THROWS_WITH(form.open(), Catch::Contains("none/store.db"));
}

TEST_CASE("schema: steps are taken in order from the version a file has, each in full or not",
          "[bridge][store][schema]") {
    spoke::test::TempFolder folder;
    auto path = folder / "store.db";
    std::array const first{SchemaStep{1, "CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1)"}};
    std::array const both{
        first[0], SchemaStep{2, "ALTER TABLE a ADD COLUMN y INTEGER; UPDATE a SET y = x + 1"}};
    std::array const broken{first[0],
                            SchemaStep{2, "UPDATE a SET x = 9; INSERT INTO nowhere VALUES (1)"}};
    SqliteConnection connection{path, SqliteAccess::read_write};
    migrate(connection, path, first);
    CHECK(connection.number("PRAGMA user_version") == 1);
    CHECK(connection.number("PRAGMA application_id") == kApplicationId);
    CHECK_THROWS_AS(migrate(connection, path, broken), SqliteError);
    CHECK(connection.number("PRAGMA user_version") == 1);
    CHECK(connection.number("SELECT x FROM a") == 1);
    migrate(connection, path, both);
    CHECK(connection.number("PRAGMA user_version") == 2);
    CHECK(connection.number("SELECT y FROM a") == 2);
    migrate(connection, path, both);
    CHECK(connection.number("SELECT count(*) FROM a") == 1);
    CHECK_THROWS_WITH(migrate(connection, path, first), Catch::Contains("newer"));
}

TEST_CASE("schema: SCHEMA.md tells of every table and column", "[bridge][store][schema]") {
    SqliteForm form;
    auto document = text_of(std::string{SPOKE_STORE_SOURCES} + "/SCHEMA.md");
    SqliteConnection connection{form.settings.path, SqliteAccess::read_only};
    auto columns = connection.prepare(
        "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c "
        "WHERE t.type = 'table' AND t.name NOT LIKE 'sqlite_%'");
    std::set<std::string> tables;
    while (columns.step()) {
        INFO(columns.text(0) << "." << columns.text(1));
        tables.emplace(columns.text(0));
        // The one row of the anchor is held by a column of no other meaning.
        if (columns.text(1) == "only") continue;
        CHECK(document.find("`" + std::string{columns.text(1)} + "`") != std::string::npos);
    }
    CHECK(tables.size() == 14);
    for (auto const& table : tables) {
        INFO(table);
        auto is_second = document.find(" and " + table + "\n") != std::string::npos;
        CHECK((document.find("## " + table) != std::string::npos || is_second));
    }
}

}  // namespace spoke::bridge::test
