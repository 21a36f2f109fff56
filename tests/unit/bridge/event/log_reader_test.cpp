#include "bridge/event/log_reader.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "bridge/store/memory_event_store.hpp"
#include "protocol/topic/topic.hpp"
#include "tests/support/seed.hpp"
#include "tests/unit/bridge/support/held_event_store.hpp"

namespace spoke::bridge {
namespace {

/// A log whose store commits when the test says so.
struct LogWorld {
    explicit LogWorld(EventLog::Settings settings, std::vector<EventClass> classes = {{"#"}})
        : store{"k7", classes, [this](std::function<void()> task) { tasks.push_back(task); }},
          log{with(std::move(settings), classes), store} {}

    static EventLog::Settings with(EventLog::Settings settings, std::vector<EventClass> classes) {
        settings.classes = std::move(classes);
        return settings;
    }

    void write(std::string topic) {
        EventDraft draft;
        draft.topic = std::move(topic);
        log.record(std::move(draft), Need::certain, {}, {});
    }

    void commit_one() {
        auto task = std::move(tasks.front());
        tasks.pop_front();
        task();
    }

    void commit() {
        while (!tasks.empty()) commit_one();
    }

    std::deque<std::function<void()>> tasks;
    MemoryEventStore store;
    EventLog log;
};

/// Takes in the way of a stream: when woken, or again where it was not the end.
struct Taker {
    Taker(EventLog& log, std::vector<std::string> filters, std::uint64_t after)
        : reader{log, std::move(filters), after, [this] { is_due = true; }} {}

    void take(std::size_t max) {
        if (!is_due) return;
        is_due = false;
        auto taken = reader.take(max);
        if (!taken.is_end) is_due = true;
        if (taken.has_lost) ++losses;
        for (auto const& event : taken.events) got.push_back(event->offset());
    }

    void take_all(std::size_t max = 10) {
        while (is_due) take(max);
    }

    std::vector<std::uint64_t> got;
    int losses = 0;
    bool is_due = true;
    LogReader reader;
};

std::vector<std::uint64_t> numbers(std::uint64_t first, std::uint64_t last) {
    std::vector<std::uint64_t> out;
    for (auto i = first; i <= last; ++i) out.push_back(i);
    return out;
}

}  // namespace

TEST_CASE("log reader: gives what is there, then what comes", "[bridge][event][log_reader]") {
    LogWorld w{{}};
    for (auto i = 0; i < 5; ++i) w.write("t/1");
    w.commit();
    Taker taker{w.log, {"t/#"}, 2};
    taker.take_all();
    CHECK(taker.got == numbers(3, 5));
    CHECK(taker.reader.position() == 5);
    w.write("t/2");
    CHECK_FALSE(taker.is_due);  // not before it is committed
    w.commit();
    CHECK(taker.is_due);
    w.write("x");
    w.commit();
    taker.take_all();
    CHECK(taker.got == numbers(3, 6));
    CHECK(taker.reader.position() == 7);  // what does not match is behind it as well
}

TEST_CASE("log reader: a slow taker costs nothing and loses nothing",
          "[bridge][event][log_reader]") {
    LogWorld w{{.tail_events_max = 100}};
    Taker taker{w.log, {"#"}, 0};
    taker.take_all();
    auto count =
        GENERATE(as<std::size_t>{}, LogReader::kWaitingMax, LogReader::kWaitingMax + 1, 1000);
    for (std::size_t i = 0; i < count; ++i) w.write("t");
    w.commit();
    CHECK(taker.reader.position() == 0);
    taker.take(3);
    w.write("t");
    w.commit();
    taker.take_all(7);
    CHECK(taker.got == numbers(1, count + 1));
    CHECK(taker.losses == 0);
}

TEST_CASE("log reader: says when the log has lost what it had not given yet",
          "[bridge][event][log_reader]") {
    std::vector<EventClass> classes{{"a"}, {"b"}};
    classes[0].events_max = 10;
    LogWorld w{{.tail_events_max = 4}, classes};
    for (auto i = 0; i < 15; ++i) w.write("a");
    w.commit();
    SECTION("from the oldest on there is no loss but a new one") {
        Taker taker{w.log, {"#"}, 0};
        taker.take(3);
        CHECK(taker.got == numbers(6, 8));
        CHECK(taker.losses == 0);
        for (auto i = 0; i < 6; ++i) w.write("a");
        w.commit();
        taker.take_all(3);
        CHECK(taker.losses == 1);
        CHECK(taker.got.back() == 21);
        CHECK(taker.got.at(3) == 12);
    }
    SECTION("what leaves another class is none") {
        w.write("b");
        w.commit();
        Taker taker{w.log, {"b"}, 5};
        for (auto i = 0; i < 30; ++i) w.write("a");
        w.commit();
        taker.take_all();
        CHECK(taker.losses == 0);
        CHECK(taker.got == numbers(16, 16));
    }
    SECTION("a live reader does not care what is old") {
        Taker taker{w.log, {"#"}, 15};
        taker.take_all();
        for (auto i = 0; i < 30; ++i) {
            w.write("a");
            w.commit();
            taker.take_all();
        }
        CHECK(taker.losses == 0);
        CHECK(taker.got == numbers(16, 45));
    }
}

TEST_CASE("log reader: what was gone before it began is a loss, unless it is known",
          "[bridge][event][log_reader]") {
    std::vector<EventClass> classes{{"a"}};
    classes[0].events_max = 10;
    LogWorld w{{.tail_events_max = 4}, classes};
    for (auto i = 0; i < 15; ++i) w.write("a");
    w.commit();
    auto takes = [&w](std::uint64_t after, std::optional<std::uint64_t> known) {
        LogReader reader{w.log, {"a"}, after, [] {}, known};
        return reader.take(100).has_lost;
    };
    CHECK(takes(4, {}));
    CHECK_FALSE(takes(5, {}));
    CHECK_FALSE(takes(4, 5));
    CHECK_FALSE(takes(0, {}));
}

TEST_CASE("log reader: a log that cannot be read is not the end of it",
          "[bridge][event][log_reader]") {
    bridge::test::HeldEventStore store{{{"#"}}};
    EventLog log{{.classes = {{"#"}}, .tail_events_max = 0}, store};
    auto write = [&] {
        log.record({.topic = "t"}, Need::certain, {}, {});
        store.complete_all();
    };
    write();
    Taker taker{log, {"t"}, 0};
    store.can_read = false;
    auto taken = taker.reader.take(10);
    CHECK(taken.events.empty());
    CHECK_FALSE(taken.is_end);
    CHECK(taken.is_stuck);
    CHECK(taker.reader.position() == 0);
    store.can_read = true;
    write();
    taken = taker.reader.take(10);
    CHECK(taken.events.size() == 2);
    CHECK(taken.is_end);
    CHECK_FALSE(taken.is_stuck);
}

TEST_CASE("log reader: whatever the pace, each event comes once and in order",
          "[bridge][event][log_reader]") {
    auto seed = spoke::test::seed_or(11);
    INFO("seed " << seed);
    std::mt19937_64 random{seed};
    static constexpr std::array kTopics{"a/1", "a/2", "b/1", "c"};
    static std::vector<std::vector<std::string>> const kFilters{
        {"#"}, {"a/+"}, {"a/1", "b/#"}, {"c", "#"}, {"none"}};
    LogWorld w{{.tail_events_max = 50}};
    std::vector<std::string> written{"(none)"};
    std::vector<std::unique_ptr<Taker>> takers;
    std::vector<std::uint64_t> starts;
    for (auto step = 0; step < 6'000; ++step) {
        auto what = random() % 10;
        if (what < 4) {
            written.emplace_back(kTopics.at(random() % kTopics.size()));
            w.write(written.back());
        } else if (what < 6 && !w.tasks.empty()) {
            w.commit_one();
        } else if (what == 6 && takers.size() < 30) {
            starts.push_back(random() % (w.log.head_offset() + 1));
            takers.push_back(std::make_unique<Taker>(w.log, kFilters.at(random() % kFilters.size()),
                                                     starts.back()));
        } else if (!takers.empty()) {
            takers[random() % takers.size()]->take(1 + random() % 20);
        }
    }
    w.commit();
    REQUIRE(w.log.head_offset() + 1 == written.size());
    for (std::size_t i = 0; i < takers.size(); ++i) {
        auto& taker = *takers[i];
        taker.take_all();
        std::vector<std::uint64_t> expected;
        for (auto at = starts[i] + 1; at < written.size(); ++at) {
            auto const& filters = taker.reader.filters();
            auto is_wanted = std::ranges::any_of(
                filters, [&](auto const& f) { return mqtt::matches(f, written[at]); });
            if (is_wanted) expected.push_back(at);
        }
        CHECK(taker.got == expected);
        CHECK(taker.reader.position() == w.log.head_offset());
    }
}

TEST_CASE("log reader: one may end while another is told", "[bridge][event][log_reader]") {
    LogWorld w{{}};
    std::vector<std::unique_ptr<LogReader>> readers;
    auto woken = 0;
    for (auto i = 0; i < 4; ++i) {
        readers.push_back(std::make_unique<LogReader>(w.log, std::vector<std::string>{"t"}, 0, [&] {
            ++woken;
            readers.clear();  // itself, and those whose turn would come
        }));
    }
    w.write("t");
    w.commit();
    CHECK(woken == 1);
    CHECK(w.log.followers() == 0);
}

TEST_CASE("event log: says why nobody can go on from a cursor", "[bridge][event]") {
    std::vector<EventClass> classes{{"a/#"}, {"b/#"}};
    classes[0].events_max = 2;
    LogWorld w{{.tail_events_max = 1}, classes};
    for (auto i = 0; i < 5; ++i) w.write("a/1");
    w.commit();
    auto problem = [&](std::string_view cursor, std::string filter) {
        auto found = w.log.locate(cursor, {std::move(filter)});
        auto const* why = std::get_if<CursorProblem>(&found);
        return why == nullptr ? std::string_view{"none"} : name_of(*why);
    };
    CHECK(problem("oldest", "a/#") == "none");
    CHECK(problem("k7.5", "a/#") == "none");
    CHECK(problem("k7.3", "a/#") == "none");  // the last that has left the log
    CHECK(problem("k7.2", "a/#") == "too-old");
    CHECK(problem("k7.2", "+/1") == "too-old");
    CHECK(problem("k7.2", "b/#") == "none");
    CHECK(problem("k7.6", "a/#") == "future");
    CHECK(problem("k8.5", "a/#") == "epoch");
    CHECK(problem("k7", "a/#") == "malformed");
    CHECK(problem("", "a/#") == "malformed");
    auto found = w.log.locate("k7.4", {"a/#"});
    CHECK(std::get<std::uint64_t>(found) == 4);
}

TEST_CASE("event log: from the oldest place on one gets through to the end", "[bridge][event]") {
    std::vector<EventClass> classes{{"a/#"}, {"b/#"}};
    classes[0].events_max = 2;
    LogWorld w{{.tail_events_max = 1}, classes};
    for (auto i = 0; i < 3; ++i) {
        for (auto const* topic : {"b/1", "a/1", "a/1"}) w.write(topic);
    }
    w.commit();
    auto walk = [&](std::vector<std::string> const& filters) {
        std::vector<std::uint64_t> out;
        auto place = w.log.locate("oldest", filters);
        while (auto const* at = std::get_if<std::uint64_t>(&place)) {
            auto page = w.log.read(*at, filters, 1);
            for (auto const& event : page.events) out.push_back(event->offset());
            if (page.is_end) return out;
            place = w.log.locate(Cursor{w.log.epoch(), page.position}.text(), filters);
        }
        out.push_back(0);
        return out;
    };
    using Offsets = std::vector<std::uint64_t>;
    CHECK(walk({"b/1"}) == Offsets{1, 4, 7});
    CHECK(walk({"a/1"}) == Offsets{8, 9});
    CHECK(walk({"a/1", "b/1"}) == Offsets{7, 8, 9});  // before them some are missing
    CHECK(walk({"#"}) == Offsets{7, 8, 9});
}

TEST_CASE("event log: counts within each topic, from the store on", "[bridge][event]") {
    LogWorld w{{}};
    std::vector<std::uint64_t> told;
    for (auto const* topic : {"a", "b", "a", "a"}) w.write(topic);
    w.commit();
    EventLog next{LogWorld::with({}, {{"#"}}), w.store};
    CHECK(next.head_offset() == 4);
    EventDraft draft;
    draft.topic = "a";
    auto event = next.place(draft, {});
    CHECK(event.offset == 5);
    CHECK(event.n == 4);
    draft.topic = "b";
    CHECK(next.place(draft, {}).n == 2);
}

TEST_CASE("event log: what was not stored leaves no gap in the numbers", "[bridge][event]") {
    bridge::test::HeldEventStore store{{{"#"}}};
    EventLog log{{.classes = {{"#"}}}, store};
    auto write = [&] {
        log.record_all({{.topic = "t/1"}, {.topic = "t/2"}}, Need::now_or_never, {}, {});
    };
    write();
    write();
    store.complete_one(false);
    store.complete_one(false);
    write();
    store.complete_one();
    CHECK(store.last_n("t/1") == 1);
    CHECK(store.last_n("t/2") == 1);
}

TEST_CASE("event log: remembers the numbers of so many topics, and of those in flight",
          "[bridge][event]") {
    bridge::test::HeldEventStore store{{{"#"}}};
    EventLog log{{.classes = {{"#"}}, .topics_max = 4}, store};
    auto write = [&](std::size_t i) {
        log.record({.topic = "t/" + std::to_string(i)}, Need::certain, {}, {});
    };
    // There is always one that is not committed yet.
    write(0);
    for (std::size_t i = 0; i < 100; ++i) {
        write(i);
        store.complete_one();
        CHECK(log.topics_numbered() <= 4);
    }
    store.complete_all();
    for (std::size_t i = 0; i < 100; ++i) write(i);
    CHECK(log.topics_numbered() == 100);
    for (std::size_t i = 100; i < 150; ++i) {
        store.complete_all();
        write(i);
    }
    CHECK(log.topics_numbered() < 100);
    write(7);
    store.complete_all();
    CHECK(store.last_n("t/7") == 3);
}

TEST_CASE("event log: the same key in a topic is one event", "[bridge][event]") {
    LogWorld w{{}};
    std::vector<EventLog::Recorded> told;
    auto record = [&](std::string topic) {
        EventDraft draft;
        draft.topic = std::move(topic);
        draft.key = "key";
        w.log.record(std::move(draft), Need::certain, {},
                     [&](EventLog::Recorded const& recorded) { told.push_back(recorded); });
    };
    record("a");
    record("a");  // while the first is on its way
    record("b");
    CHECK(told.empty());
    w.commit();
    record("a");
    CHECK(told.size() == 3);
    w.commit();
    REQUIRE(told.size() == 4);
    CHECK(told[0].offset == 1);
    CHECK_FALSE(told[0].repeated);
    CHECK(told[1].offset == 1);
    CHECK(told[1].repeated);
    CHECK(told[2].offset == 2);
    CHECK(told[3].offset == 1);
    CHECK(told[3].repeated);
    CHECK(w.log.head_offset() == 2);
    CHECK(w.log.counters().repeated == 2);
}

}  // namespace spoke::bridge
