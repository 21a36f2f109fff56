#include <catch2/catch.hpp>
#include <functional>
#include <utility>
#include <vector>

#include "bridge/event/event_log.hpp"
#include "bridge/store/memory_event_store.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge {
namespace {

using Recorded = EventLog::Recorded;

struct BatchWorld {
    std::vector<std::function<void()>> deferred;
    MemoryEventStore store{
        "k7", {{"#"}}, [this](std::function<void()> task) { deferred.push_back(std::move(task)); }};
    EventLog log{{.classes = {{"#"}}}, store};
    test::FakeClock clock;
    std::vector<std::vector<Recorded>> answers;

    static EventDraft draft(std::string topic, std::string key = {}) {
        EventDraft out;
        out.topic = std::move(topic);
        out.key = std::move(key);
        return out;
    }

    std::vector<std::uint64_t> record(std::vector<EventDraft> drafts) {
        return log.record_all(std::move(drafts), Need::now_or_never, clock.now,
                              [this](auto const& recorded) { answers.push_back(recorded); });
    }

    void commit() {
        for (auto& task : std::exchange(deferred, {})) task();
    }
};

TEST_CASE("a batch: is placed in order and answered once, after its commit", "[event]") {
    BatchWorld w;
    CHECK(w.record({w.draft("a"), w.draft("b"), w.draft("a")}) ==
          std::vector<std::uint64_t>{1, 2, 3});
    CHECK(w.log.head_offset() == 0);
    CHECK(w.answers.empty());
    w.commit();
    REQUIRE(w.answers.size() == 1);
    REQUIRE(w.answers[0].size() == 3);
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(w.answers[0][i].stored);
        CHECK_FALSE(w.answers[0][i].repeated);
        CHECK(w.answers[0][i].offset == i + 1);
    }
    CHECK(w.log.head_offset() == 3);
}

TEST_CASE("a batch: a retry is answered with the events of the first one", "[event]") {
    BatchWorld w;
    auto while_in_flight = GENERATE(true, false);
    w.record({w.draft("a", "k/0"), w.draft("a", "k/1")});
    if (!while_in_flight) w.commit();
    CHECK(w.record({w.draft("a", "k/0"), w.draft("a", "k/1"), w.draft("a", "k/2")}) ==
          std::vector<std::uint64_t>{0, 0, 3});
    w.commit();
    REQUIRE(w.answers.size() == 2);
    auto const& again = w.answers[1];
    REQUIRE(again.size() == 3);
    CHECK((again[0].repeated && again[0].stored && again[0].offset == 1));
    CHECK((again[1].repeated && again[1].stored && again[1].offset == 2));
    CHECK((!again[2].repeated && again[2].stored && again[2].offset == 3));
    CHECK(w.log.counters().repeated == 2);
}

TEST_CASE("a batch: one key twice in it is one event", "[event]") {
    BatchWorld w;
    w.record({w.draft("a", "k"), w.draft("a", "k"), w.draft("b", "k")});
    w.commit();
    REQUIRE(w.answers.size() == 1);
    CHECK(w.answers[0][1].repeated);
    CHECK(w.answers[0][1].offset == w.answers[0][0].offset);
    CHECK_FALSE(w.answers[0][2].repeated);
    CHECK(w.log.head_offset() == 2);
}

TEST_CASE("a batch: an empty one is answered as well", "[event]") {
    BatchWorld w;
    w.record({});
    CHECK(w.answers.empty());
    w.commit();
    REQUIRE(w.answers.size() == 1);
    CHECK(w.answers[0].empty());
}

}  // namespace
}  // namespace spoke::bridge
