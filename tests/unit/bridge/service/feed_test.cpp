#include "bridge/service/feed.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <catch2/catch.hpp>
#include <map>
#include <string>
#include <vector>

#include "bridge/store/memory_event_store.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

std::string property(mqtt::Publish const& message, std::string_view name) {
    for (auto const& each : message.properties.user_properties) {
        if (each.name == name) return each.value;
    }
    return {};
}

/// A log, a feed of it, and a broker that answers when told to.
struct FeedWorld {
    /// `kept`: so many events stay in the log, and half of them in memory.
    explicit FeedWorld(std::size_t window = 4, std::uint64_t kept = 10'000)
        : classes{{"#", std::chrono::hours{1}, kept}},
          log{{.classes = classes, .tail_events_max = static_cast<std::size_t>(kept / 2)}, events},
          settings{"e", window} {
        start();
    }

    void start() {
        feed.emplace(settings, Feed::World{log, uplink, [this] { return clock.now; },
                                           [this](SteadyTime when) { wakes.push_back(when); }});
        feed->on_broker(true);
    }
    void record(std::string topic, std::string data = "1", bool from_broker = true,
                std::string type = {}) {
        EventDraft draft;
        draft.topic = std::move(topic);
        draft.data = std::move(data);
        draft.type = std::move(type);
        draft.from_broker = from_broker;
        log.record(std::move(draft), Need::certain, clock.now, {});
        while (!deferred.empty()) {
            for (auto& task : std::exchange(deferred, {})) task();
        }
    }
    /// The broker answers all that it was given: somebody listens to these topics, or nobody.
    void answer(bool is_listening) {
        while (answered < uplink.published.size()) answer_one(is_listening);
    }
    void answer_one(bool is_listening) {
        auto done = uplink.published[answered++].done;
        done({mqtt::PublishStatus::acknowledged,
              mqtt::NotSent::none,
              is_listening ? mqtt::ReasonCode::success : mqtt::ReasonCode::no_matching_subscribers,
              {}});
    }
    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        feed->on_timer(clock.now);
    }
    /// What was published from there on, "topic id".
    std::vector<std::string> published(std::size_t from = 0) const {
        std::vector<std::string> out;
        for (auto i = from; i < uplink.published.size(); ++i) {
            auto const& message = uplink.published[i].message;
            out.push_back(message.topic + " " + property(message, "id"));
        }
        return out;
    }
    void make_idle() {
        while (feed->counters().kept_back == 0) {
            record("t/idle");
            answer(false);
        }
    }

    FakeClock clock;
    FakeUplink uplink;
    std::vector<std::function<void()>> deferred;
    std::vector<EventClass> classes;
    MemoryEventStore events{
        "k7", classes, [this](std::function<void()> task) { deferred.push_back(std::move(task)); }};
    EventLog log;
    std::vector<SteadyTime> wakes;
    Feed::Settings settings;
    std::size_t answered = 0;
    std::optional<Feed> feed;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("feed: an event is published behind the prefix as it was", "[bridge][feed]") {
    FeedWorld w;
    w.record("d/b42/evt", R"({"g":1.8})", true, "moved");
    REQUIRE(w.uplink.published.size() == 1);
    auto const& message = w.uplink.published[0].message;
    CHECK(message.topic == "e/d/b42/evt");
    CHECK(as_text(message.payload) == R"({"g":1.8})");
    CHECK(message.qos == mqtt::Qos::at_least_once);
    CHECK_FALSE(message.retain);
    CHECK(property(message, "id") == "k7.1");
    CHECK(property(message, "n") == "1");
    CHECK(property(message, "type") == "moved");
    CHECK(property(message, "at").ends_with("Z"));
}

TEST_CASE("feed: what did not come from the broker goes to its own topic too", "[bridge][feed]") {
    FeedWorld w;
    w.record("u/7777/in", "1", false);
    w.record("d/b42/evt", "{}", false, "command");  // which is the device's topic
    CHECK(w.published() == Lines{"e/u/7777/in k7.1", "u/7777/in k7.1", "e/d/b42/evt k7.2"});
}

TEST_CASE("feed: so many events are unacknowledged, and the place moves behind them",
          "[bridge][feed]") {
    FeedWorld w;
    for (auto i = 0; i < 10; ++i) w.record("t/1");
    CHECK(w.uplink.published.size() == 4);
    CHECK(w.events.position("feed") == 0U);
    w.answer_one(true);
    CHECK(w.uplink.published.size() == 5);
    CHECK(w.events.position("feed") == 1U);
    w.answer(true);
    CHECK(w.uplink.published.size() == 10);
    CHECK(w.events.position("feed") == 10U);
}

TEST_CASE("feed: after a cut what was not acknowledged comes again", "[bridge][feed]") {
    FeedWorld w;
    for (auto i = 0; i < 3; ++i) w.record("t/1");
    w.answer_one(true);
    auto old = w.uplink.published[1].done;
    w.feed->on_broker(false);
    w.record("t/1");
    CHECK(w.uplink.published.size() == 3);
    w.feed->on_broker(true);
    old({mqtt::PublishStatus::unknown, mqtt::NotSent::none, mqtt::ReasonCode::success, {}});
    CHECK(w.published(3) == Lines{"e/t/1 k7.2", "e/t/1 k7.3", "e/t/1 k7.4"});

    // And after a restart.
    w.start();
    CHECK(w.published(6) == Lines{"e/t/1 k7.2", "e/t/1 k7.3", "e/t/1 k7.4"});
}

TEST_CASE("feed: while nobody listens nothing is published but a question a second",
          "[bridge][feed]") {
    FeedWorld w;
    w.make_idle();
    auto before = w.uplink.published.size();
    for (auto i = 0; i < 100; ++i) w.record(i % 2 == 0 ? "t/1" : "t/2");
    CHECK(w.uplink.published.size() == before);
    w.advance(1s);
    CHECK(w.uplink.published.size() == before + 3);  // t/idle, t/1, t/2
    for (auto i = 0; i < 10; ++i) w.record("t/1");
    w.answer(false);
    CHECK(w.uplink.published.size() == before + 3);
    auto head = w.log.head_offset();
    CHECK(w.events.position("feed") == head - 10);
    w.advance(1s);
    w.answer(false);
    CHECK(w.uplink.published.size() == before + 4);
    CHECK(w.events.position("feed") == head);
    w.advance(10s);
    CHECK(w.uplink.published.size() == before + 4);
}

TEST_CASE("feed: whoever comes while it is idle gets all from then on, once and in order",
          "[bridge][feed]") {
    FeedWorld w;
    w.make_idle();
    w.advance(1s);
    w.answer(false);
    auto before = w.uplink.published.size();
    std::vector<std::uint64_t> wanted;
    for (auto i = 0; i < 12; ++i) {
        w.record(i % 3 == 0 ? "t/other" : "t/mine");
        if (i % 3 != 0) wanted.push_back(w.log.head_offset());
    }
    auto answer_mine = [&] {
        while (w.answered < w.uplink.published.size()) {
            auto is_mine = w.uplink.published[w.answered].message.topic == "e/t/mine";
            w.answer_one(is_mine);
        }
    };
    w.advance(1s);
    answer_mine();
    Lines expected;
    for (auto offset : wanted) expected.push_back(fmt::format("e/t/mine k7.{}", offset));
    auto found = w.published(before);
    std::erase_if(found, [](std::string const& line) { return !line.starts_with("e/t/mine k7"); });
    CHECK(found == expected);
    // And from now on at once.
    w.record("t/mine");
    CHECK(w.published().back() == fmt::format("e/t/mine k7.{}", w.log.head_offset()));
}

TEST_CASE("feed: what was kept back comes in the order of the log, whatever its topics",
          "[bridge][feed]") {
    FeedWorld w;
    w.make_idle();
    w.advance(1s);
    w.answer(false);
    auto before = w.uplink.published.size();
    Lines expected;
    Lines own;
    for (auto const* topic : {"z", "u/7/in", "a", "z", "u/7/in", "m"}) {
        w.record(topic, "1", topic != std::string_view{"u/7/in"});
        auto id = fmt::format("k7.{}", w.log.head_offset());
        expected.push_back(fmt::format("e/{} {}", topic, id));
        if (topic == std::string_view{"u/7/in"}) own.push_back(fmt::format("{} {}", topic, id));
    }
    CHECK(w.published(before) == own);  // at once
    w.advance(1s);
    w.answer(true);
    auto found = w.published(before);
    // The questions have no id; the inbox has its copies once.
    std::erase_if(found, [](std::string const& line) { return line.ends_with(' '); });
    REQUIRE(found.size() == own.size() + expected.size());
    CHECK(Lines{found.begin(), found.begin() + 2} == own);
    CHECK(Lines{found.begin() + 2, found.end()} == expected);
}

TEST_CASE("feed: with more topics than it asks for it keeps nothing back", "[bridge][feed]") {
    FeedWorld w;
    w.make_idle();
    w.advance(1s);
    w.answer(false);
    auto before = w.uplink.published.size();
    for (std::size_t i = 0; i <= Feed::kTopicsMax; ++i) w.record(fmt::format("t/{}", i));
    w.answer(true);
    CHECK(w.uplink.published.size() == before + Feed::kTopicsMax + 1);
}

TEST_CASE("feed: a broker without room is asked again", "[bridge][feed]") {
    FeedWorld w;
    w.uplink.cause = mqtt::NotSent::queue_full;
    w.record("t/1");
    w.uplink.cause = mqtt::NotSent::none;
    CHECK(w.uplink.published.empty());
    w.record("t/1");
    CHECK(w.published() == Lines{"e/t/1 k7.1", "e/t/1 k7.2"});
}

TEST_CASE("feed: where others have filled the way to the broker it tries again", "[bridge][feed]") {
    FeedWorld w;
    w.uplink.cause = mqtt::NotSent::queue_full;
    w.wakes.clear();
    w.record("t/1");
    REQUIRE(w.wakes.size() == 1);
    CHECK(w.wakes[0] == w.clock.now.steady + 100ms);
    w.uplink.cause = mqtt::NotSent::none;
    w.advance(100ms);
    CHECK(w.published() == Lines{"e/t/1 k7.1"});
}

TEST_CASE("feed: says what has left the log before its turn", "[bridge][feed]") {
    FeedWorld w{4, 10};
    for (auto i = 0; i < 100; ++i) w.record("t/1");
    CHECK(w.published().size() == 4);
    w.answer(true);
    auto loss = [&] {
        std::vector<std::string> out;
        for (auto const& entry : w.uplink.published) {
            if (entry.message.topic == "e/$reset") {
                out.emplace_back(as_text(entry.message.payload));
            }
        }
        return out;
    };
    SECTION("while it waited for the broker") {
        REQUIRE(loss().size() == 1);
        CHECK(loss()[0] == R"({"reason":"too-old","cursor":"k7.90"})");
        CHECK(property(w.uplink.published.back().message, "id") == "k7.100");
    }
    SECTION("again, until it has arrived") {
        w.feed->on_broker(false);
        for (auto i = 0; i < 100; ++i) w.record("t/1");
        w.feed->on_broker(true);
        w.feed->on_broker(false);  // nothing was answered
        w.feed->on_broker(true);
        CHECK(loss().size() == 3);
        w.answered = w.uplink.published.size() - 5;
        w.answer(true);
        w.record("t/1");
        CHECK(loss().size() == 3);
    }
}

TEST_CASE("feed: says again after a kill what has left the log, if that had not arrived",
          "[bridge][feed]") {
    FeedWorld w{4, 10};
    for (auto i = 0; i < 100; ++i) w.record("t/1");
    auto resets = [&w] {
        std::vector<std::size_t> out;
        for (std::size_t i = 0; i < w.uplink.published.size(); ++i) {
            if (w.uplink.published[i].message.topic == "e/$reset") out.push_back(i);
        }
        return out;
    };
    for (; w.answered < w.uplink.published.size(); ++w.answered) {
        if (w.uplink.published[w.answered].message.topic == "e/$reset") continue;
        w.uplink.published[w.answered].done({mqtt::PublishStatus::acknowledged});
    }
    REQUIRE(resets().size() == 1);
    CHECK(w.events.position("feed").value() < 10);
    w.start();
    REQUIRE(resets().size() == 2);
    w.answer(true);
    CHECK(w.events.position("feed") == 100);
    w.start();
    CHECK(resets().size() == 2);
}

TEST_CASE("feed: says what has left the log while it was kept back", "[bridge][feed]") {
    FeedWorld w{4, 10};
    w.make_idle();
    for (auto i = 0; i < 100; ++i) w.record("t/1");
    w.advance(1s);
    w.answer(true);
    auto const& published = w.uplink.published;
    auto is_reset = [](auto const& entry) { return entry.message.topic == "e/$reset"; };
    CHECK(std::count_if(published.begin(), published.end(), is_reset) == 1);
}

TEST_CASE("feed: goes on although answers come in another order", "[bridge][feed]") {
    FeedWorld w{8};
    w.make_idle();
    w.record("u/7777/in", "1", false);
    w.record("u/7777/in", "2", false);
    auto copies = w.uplink.published.size();
    w.advance(1s);
    auto answer = [&](std::size_t i) {
        w.uplink.published[i].done({mqtt::PublishStatus::acknowledged});
    };
    answer(copies);  // somebody listens: both are sent
    REQUIRE(w.uplink.published.size() == copies + 5);
    for (auto i : {copies - 1, copies + 4, copies - 2, copies + 2, copies + 3}) answer(i);
    w.answered = w.uplink.published.size();
    for (auto i = 0; i < 10; ++i) {
        w.record("t/1");
        w.answer(true);
    }
    CHECK(w.events.position("feed") == w.log.head_offset());
}

TEST_CASE("feed: an event that is too large for the broker comes without its payload",
          "[bridge][feed]") {
    FeedWorld w;
    w.uplink.payload_max = 4;
    w.record("t/1", "12345");
    w.record("t/1", "1234");
    w.answer(true);
    CHECK(w.published() == Lines{"e/t/1 k7.1", "e/t/1 k7.2"});
    auto const& first = w.uplink.published[0].message;
    CHECK(first.payload.empty());
    CHECK(property(first, "omitted") == "too large");
    CHECK(property(first, "n") == "1");
    auto const& second = w.uplink.published[1].message;
    CHECK(as_text(second.payload) == "1234");
    CHECK(property(second, "omitted").empty());
    w.record("u/7/in", "12345", false);
    w.answer(true);
    CHECK(w.published(2) == Lines{"e/u/7/in k7.3"});  // and not under its own topic
}

TEST_CASE("feed: an event that can never be sent is told as a loss", "[bridge][feed]") {
    FeedWorld w;
    w.uplink.invalid_topic = "e/t/1";
    w.record("t/1");
    w.record("t/2");
    w.answer(true);
    REQUIRE(w.published() == Lines{"e/$reset ", "e/t/2 k7.2"});
    auto const& reset = w.uplink.published[0].message;
    CHECK(reset.topic == "e/$reset");
    CHECK(property(reset, "reset") == "k7.1");
}

TEST_CASE("feed: without a prefix there is none", "[bridge][feed]") {
    FeedWorld w;
    w.settings.prefix.clear();
    w.start();
    w.record("t/1");
    w.record("u/7777/in", "1", false);
    CHECK(w.uplink.published.empty());
    CHECK_FALSE(w.events.position("feed"));
}

}  // namespace spoke::bridge::test
