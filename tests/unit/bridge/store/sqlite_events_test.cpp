#include <fmt/format.h>
#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <catch2/catch.hpp>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "bridge/event/cursor.hpp"
#include "tests/unit/bridge/store/forms.hpp"

namespace spoke::bridge::test {
namespace {

SqliteStore::Settings with(std::vector<EventClass> classes) {
    SqliteStore::Settings settings;
    settings.classes = std::move(classes);
    return settings;
}

Event event_of(std::uint64_t offset, std::string topic) {
    Event event;
    event.offset = offset;
    event.n = offset;
    event.at = FakeClock{}.now.wall;
    event.topic = std::move(topic);
    return event;
}

void append(SqliteForm& form, std::vector<Event> events) {
    form.events().append_events(std::move(events), {}, Need::certain, form.done());
    form.await_all();
}

void append_some(SqliteForm& form, std::uint64_t first, std::uint64_t last, std::string topic) {
    std::vector<Event> events;
    for (auto i = first; i <= last; ++i) events.push_back(event_of(i, topic));
    append(form, std::move(events));
}

}  // namespace

TEST_CASE("SQLite events: the epoch is made with the file and stays", "[bridge][store][event]") {
    SqliteForm form;
    auto epoch = form.events().epoch();
    CHECK(epoch.size() == 8);
    CHECK(Cursor::parse(epoch + ".1"));
    form.reopen();
    CHECK(form.events().epoch() == epoch);
    SqliteForm other;
    CHECK(other.events().epoch() != epoch);
}

TEST_CASE("SQLite events: arrivals outlive the process, also of events that are gone",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#", 1h, 1, 1'000}})};
    std::vector<EventArrival> expected;
    for (std::uint16_t i = 1; i <= 20; ++i) {
        auto event = event_of(i, "t/1");
        if (i % 4 != 0) {
            event.arrival = {i, 0x8000'0000'0000'0000U + i};
            expected.push_back(*event.arrival);
        }
        form.events().append_events({event}, {}, Need::certain, form.done());
        if (i % 3 == 0) form.await_all();
    }
    form.await_all();
    CHECK(form.events().arrivals() == expected);
    form.reopen();
    CHECK(form.events().arrivals() == expected);

    form.events().forget_arrivals();
    auto event = event_of(21, "t/1");
    event.arrival = {7, 7};
    append(form, {event});
    form.reopen();
    CHECK(form.events().arrivals() == std::vector<EventArrival>{{7, 7}});
}

TEST_CASE("SQLite events: arrivals of the last 8192 events are kept, and not many more",
          "[bridge][store][event]") {
    SqliteForm form;
    constexpr std::uint64_t kCount = 10'000;
    for (std::uint64_t first = 1; first <= kCount; first += 500) {
        std::vector<Event> events;
        for (auto i = first; i < first + 500; ++i) {
            events.push_back(event_of(i, "t/1"));
            events.back().arrival = {static_cast<std::uint16_t>(i), i};
        }
        append(form, std::move(events));
    }
    auto arrivals = form.events().arrivals();
    CHECK(arrivals.size() >= 8'192);
    CHECK(arrivals.size() <= 8'192 + 1'024 + 500);
    CHECK(arrivals.back() == EventArrival{10'000, 10'000});
}

TEST_CASE("SQLite events: a lone one is two pages of the log, and the log's file does not grow",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#"}})};
    auto append_one = [&, offset = std::uint64_t{0}]() mutable {
        append_some(form, offset + 1, offset + 1, "t/1");
        ++offset;
    };
    append_one();
    append_one();  // the second comes after what the first has left to do
    auto size = [&] { return std::filesystem::file_size(form.settings.path + "-wal"); };
    auto before = size();
    for (auto i = 0; i < 20; ++i) append_one();
    CHECK(size() == before);
    SqliteConnection other{form.settings.path, SqliteAccess::read_write, form.disk.name()};
    CHECK(other.number("SELECT count(*) FROM events") == 22);
    REQUIRE(other.checkpoint(false));  // the next commit begins at the front
    append_one();
    auto log = other.prepare("PRAGMA wal_checkpoint(PASSIVE)");
    REQUIRE(log.step());
    CHECK(log.integer(1) == 2);
}

TEST_CASE("SQLite events: what was not counted before the end is counted at the start",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#", 1h, 5, 1'000'000}, {"u/#", 1h, 5, 1'000'000}})};
    append_some(form, 1, 4, "t/1");
    append_some(form, 5, 7, "u/1");
    form.reopen();
    append_some(form, 8, 9, "t/1");
    CHECK(form.events().removed_upto(0) == 1);
    form.reopen();  // the first class was counted with what was removed of it
    append_some(form, 10, 12, "u/1");
    append_some(form, 13, 14, "t/1");
    CHECK(form.events().removed_upto(0) == 3);
    CHECK(form.events().removed_upto(1) == 5);
    form.reopen();
    CHECK(form.events().events({.filters = {"t/1"}}).events.size() == 5);
    CHECK(form.events().events({.filters = {"u/1"}}).events.size() == 5);
}

TEST_CASE("SQLite events: of a full class some more are removed than must be",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#", 1h, 256, 1'000'000}})};
    append_some(form, 1, 256, "t/1");
    CHECK(form.events().removed_upto(0) == 0);
    append_some(form, 257, 257, "t/1");
    CHECK(form.events().removed_upto(0) == 3);
    append_some(form, 258, 259, "t/1");
    CHECK(form.events().removed_upto(0) == 3);
    append_some(form, 260, 260, "t/1");
    CHECK(form.events().removed_upto(0) == 6);
}

TEST_CASE("SQLite events: other classes are counted anew, and know what may be missing",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#", 1h, 5, 1'000'000}, {"u/#", 1h, 100, 1'000'000}})};
    append_some(form, 1, 10, "t/1");
    append_some(form, 11, 20, "u/1");
    CHECK(form.events().removed_upto(0) == 5);
    form.close();
    form.settings.classes = {{"u/#", 1h, 3, 1'000'000}, {"+/1", 1h, 100, 1'000'000}, {"v/#"}};
    form.open();
    // The writer cleans as soon as it is open: it may have come to the lower limit already.
    auto removed = form.events().removed_upto(0);
    CHECK((removed == 0 || removed == 17));
    CHECK(form.events().removed_upto(1) == 5);  // it overlaps t/#
    CHECK(form.events().removed_upto(2) == 0);
    append_some(form, 21, 21, "u/1");
    CHECK(form.events().events({.filters = {"u/1"}}).events.size() == 3);
    CHECK(form.events().removed_upto(0) == 18);
    CHECK(form.events().events({.filters = {"t/1"}}).events.size() == 5);
    form.reopen();
    CHECK(form.events().removed_upto(0) == 18);
    CHECK(form.events().removed_upto(1) == 5);
}

TEST_CASE("SQLite events: a limit that was lowered is reached step by step",
          "[bridge][store][event]") {
    SqliteForm form{with({{"t/#", 1h, 10'000, 1'000'000'000}})};
    append_some(form, 1, 5'000, "t/1");
    form.close();
    form.settings.classes[0].events_max = 100;
    form.settings.clean_every = 1ms;
    form.open();
    while (form.events().removed_upto(0) < 4'900) std::this_thread::yield();
    append_some(form, 5'001, 5'001, "t/1");
    CHECK(form.events().events({.limit = 10'000, .scan_max = 10'000}).events.size() == 100);
}

TEST_CASE("SQLite events: what is too old goes although nothing comes, and others stay",
          "[bridge][store][event]") {
    auto settings = with({{"t/#", 10min, 1'000, 1'000'000}, {"u/#", 24h, 1'000, 1'000'000}});
    settings.clean_every = 1ms;
    settings.clean_rows = 7;
    SqliteForm form{settings};
    form.close();
    std::atomic<std::int64_t> minutes{0};
    form.clock = [&minutes] {
        auto now = FakeClock{}.now;
        auto passed = std::chrono::minutes{minutes.load()};
        return Now{now.steady + passed, now.wall + passed};
    };
    form.open();
    for (std::uint64_t i = 1; i <= 100; ++i) {
        append(form, {event_of(i, i % 3 == 0 ? "t/1" : "u/1")});
    }
    auto late = event_of(101, "t/1");
    late.at += 20min;
    append(form, {late});
    CHECK(form.events().removed_upto(0) == 0);
    minutes = 11;
    while (form.events().removed_upto(0) < 99) std::this_thread::yield();
    // The number is told before the commit that it belongs to.
    while (form.events().events({.filters = {"t/1"}}).events.size() > 1) std::this_thread::yield();
    CHECK(form.events().events({.filters = {"u/1"}}).events.size() == 67);
    CHECK(form.events().removed_upto(1) == 0);
    CHECK(form.events().last_n("t/1") == 101);
}

TEST_CASE("SQLite events: filters that match many topics are looked for in all events",
          "[bridge][store][event]") {
    SqliteForm form{with({{"#", 1h, 10'000, 1'000'000}})};
    std::vector<Event> events;
    for (std::uint64_t i = 1; i <= 200; ++i) {
        events.push_back(event_of(i, fmt::format("d/b{}/{}", i % 50, i % 2 == 0 ? "evt" : "ans")));
    }
    append(form, std::move(events));
    auto page = form.events().events({.filters = {"d/+/evt"}, .limit = 1'000, .scan_max = 60});
    CHECK(page.scanned_to == 60);
    CHECK(page.events.size() == 30);
    page = form.events().events({.after = 60, .filters = {"d/+/evt"}, .limit = 10});
    CHECK(page.events.size() == 10);
    CHECK(page.scanned_to == 80);
}

TEST_CASE("SQLite events: two of one key are both kept, if ever it comes to that",
          "[bridge][store][event]") {
    SqliteForm form;
    auto event = event_of(1, "t/1");
    event.key = "k";
    append(form, {event});
    event.offset = 2;
    append(form, {event});
    CHECK(form.outcomes.back().second);
    CHECK(form.events().events({}).events.size() == 2);
    CHECK(form.events().find_event("t/1", "k")->offset == 1);
}

TEST_CASE("SQLite events: what has no hurry goes with the next commit, or soon alone",
          "[bridge][store][event]") {
    SqliteForm form;
    auto before = form.sqlite().commits();
    form.events().append_events({event_of(1, "t/1")}, {}, Need::certain_soon, form.done());
    form.events().append_events({event_of(2, "t/1")}, {}, Need::now_or_never, form.done());
    form.await_all();
    CHECK(form.sqlite().commits() == before + 1);
    form.events().append_events({event_of(3, "t/1")}, {}, Need::certain_soon, form.done());
    form.await_all();  // nobody else comes
    CHECK(form.outcomes.back().second);
}

TEST_CASE("SQLite events: while the log cannot be read nothing is taken to be looked at",
          "[bridge][store][event]") {
    spoke::test::FaultVfs disk;
    auto settings = with({{"#"}});
    settings.vfs = disk.name();
    SqliteForm form{settings};
    append_some(form, 1, 50, "t/1");
    disk.fail_reads(SQLITE_IOERR_READ);
    auto page = form.events().events({.after = 10});
    CHECK(page.events.empty());
    CHECK(page.scanned_to == 10);
    disk.fail_reads(SQLITE_OK);
}

}  // namespace spoke::bridge::test
