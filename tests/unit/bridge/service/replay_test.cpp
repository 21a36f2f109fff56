#include "bridge/service/replay.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
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

struct ReplayWorld {
    /// `kept`: so many events stay in the log, and half of them in memory.
    explicit ReplayWorld(std::size_t count = 0, std::uint64_t kept = 10'000)
        : classes{{"#", std::chrono::hours{1}, kept}},
          log{{.classes = classes, .tail_events_max = static_cast<std::size_t>(kept / 2)}, events} {
        record(count);
    }
    void record(std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            EventDraft draft;
            draft.topic = i % 2 == 0 ? "t/1" : "t/2";
            draft.data = std::to_string(i);
            log.record(std::move(draft), Need::certain, clock.now, {});
        }
        for (auto& task : std::exchange(deferred, {})) task();
    }
    bool asks(std::string_view payload, std::string topic = "e/replay/me") {
        mqtt::Publish request;
        request.payload = to_buffer(payload);
        request.properties.response_topic = std::move(topic);
        request.properties.correlation_data = to_buffer("7");
        return replay.on_request(request);
    }
    void answer_all() {
        for (; answered < uplink.published.size(); ++answered) {
            auto done = uplink.published[answered].done;
            done({mqtt::PublishStatus::acknowledged});
        }
    }
    std::string last() const {
        return std::string{as_text(uplink.published.back().message.payload)};
    }

    FakeClock clock;
    FakeUplink uplink;
    std::vector<std::function<void()>> deferred;
    std::vector<EventClass> classes;
    MemoryEventStore events{
        "k7", classes, [this](std::function<void()> task) { deferred.push_back(std::move(task)); }};
    EventLog log;
    std::size_t answered = 0;
    int wakes = 0;
    std::string refusal;
    Replay replay{{},
                  {log, uplink, [this] { return clock.now; }, [this](SteadyTime) { ++wakes; },
                   [this](std::string_view token, std::vector<std::string> const&, Now const&) {
                       return token == "good" ? std::string{} : refusal;
                   }}};
};

}  // namespace

TEST_CASE("replay: events from a place on, and where to go on", "[bridge][replay]") {
    ReplayWorld w{6};
    CHECK(w.asks(R"({"topic":["t/1"],"since":"k7.1","limit":10})"));
    REQUIRE(w.uplink.published.size() == 3);
    auto const& first = w.uplink.published[0].message;
    CHECK(first.topic == "e/replay/me");
    CHECK(as_text(first.payload) == "2");
    CHECK(first.qos == mqtt::Qos::at_least_once);
    CHECK(property(first, "id") == "k7.3");
    CHECK(property(first, "topic") == "t/1");
    CHECK(as_text(*first.properties.correlation_data) == "7");
    auto const& end = w.uplink.published[2].message;
    CHECK(property(end, "end") == "1");
    CHECK(as_text(*end.properties.correlation_data) == "7");
    CHECK(as_text(end.payload) == R"({"next":"k7.6","more":false,"resumed":true})");
    CHECK(w.replay.size() == 0);
}

TEST_CASE("replay: a limit ends it before the end", "[bridge][replay]") {
    ReplayWorld w{6};
    CHECK(w.asks(R"({"topic":"t/#","since":"oldest","limit":2})"));
    CHECK(w.uplink.published.size() == 3);
    CHECK(w.last() == R"({"next":"k7.2","more":true,"resumed":true})");
}

TEST_CASE("replay: the broker gets as much as it takes", "[bridge][replay]") {
    ReplayWorld w{1'000};
    CHECK(w.asks(R"({"topic":"#","since":"oldest"})"));
    CHECK(w.uplink.published.size() == Replay::kWindow);
    CHECK(w.replay.size() == 1);
    w.answer_all();
    CHECK(w.uplink.published.size() == 1'001);
    for (std::size_t i = 0; i < 1'000; ++i) {
        CHECK(property(w.uplink.published[i].message, "id") == fmt::format("k7.{}", i + 1));
    }
    CHECK(w.replay.size() == 0);
}

TEST_CASE("replay: an event that is too large for the broker comes without its payload",
          "[bridge][replay]") {
    ReplayWorld w{2};
    w.uplink.payload_max = 0;
    CHECK(w.asks(R"({"topic":"#","since":"oldest"})"));
    REQUIRE(w.uplink.published.size() == 2);
    for (auto const& entry : w.uplink.published) {
        CHECK(property(entry.message, "omitted") == "too large");
        CHECK(property(entry.message, "id").starts_with("k7."));
    }
}

TEST_CASE("replay: a place that cannot be gone on from is told", "[bridge][replay]") {
    ReplayWorld w{3};
    auto [since, reason] = GENERATE(std::pair{"k7.9", "future"}, std::pair{"k8.1", "epoch"},
                                    std::pair{"nonsense", "malformed"});
    CHECK(w.asks(fmt::format(R"({{"topic":"t/1","since":"{}"}})", since)));
    REQUIRE(w.uplink.published.size() == 1);
    CHECK(w.last() == fmt::format(R"({{"reason":"{}","cursor":"k7.3"}})", reason));
    CHECK(property(w.uplink.published[0].message, "end") == "1");
}

TEST_CASE("replay: what is removed while it is under way is told", "[bridge][replay]") {
    ReplayWorld w{600, 500};
    auto const* since = GENERATE(as<char const*>{}, "k7.100", "oldest");
    CHECK(w.asks(fmt::format(R"({{"topic":"#","since":"{}","limit":10000}})", since)));
    CHECK(w.uplink.published.size() == Replay::kWindow);  // up to 228
    SECTION("behind it") {
        w.record(100);
        w.answer_all();
        while (w.replay.size() > 0) w.answer_all();
        CHECK(w.last() == R"({"next":"k7.700","more":false,"resumed":true})");
        CHECK(w.uplink.published.size() == 600 + 1);
    }
    SECTION("before its turn") {
        w.record(300);
        w.answer_all();
        CHECK(w.last() == R"({"reason":"too-old","cursor":"k7.400"})");
        CHECK(property(w.uplink.published.back().message, "end") == "1");
        CHECK(w.replay.size() == 0);
    }
}

TEST_CASE("replay: a request that is wrong is told what is", "[bridge][replay]") {
    ReplayWorld w{3};
    auto const* payload =
        GENERATE("", "[]", R"({"since":"k7.1"})", R"({"topic":[],"since":"k7.1"})",
                 R"({"topic":"t/#/x","since":"k7.1"})", R"({"topic":"$share/a/t","since":"k7.1"})",
                 R"({"topic":7,"since":"k7.1"})", R"({"topic":"t/1"})",
                 R"({"topic":"t/1","since":7})", R"({"topic":"t/1","since":"k7.1","limit":0})",
                 R"({"topic":"t/1","since":"k7.1","limit":10001})",
                 R"({"topic":"t/1","since":"k7.1","limit":-1})",
                 R"({"topic":"t/1","since":"k7.1","limit":"9"})",
                 R"({"topic":"t/1","since":"k7.1","token":9})");
    INFO(payload);
    CHECK(w.asks(payload));
    REQUIRE(w.uplink.published.size() == 1);
    CHECK(w.last().starts_with(R"({"error":")"));
}

TEST_CASE("replay: it is not answered where it should not be", "[bridge][replay]") {
    ReplayWorld w{3};
    auto const* topic = GENERATE("", "d/b42/cmd", "e/replay/", "e/replay", "e/d/b42/evt",
                                 "e/replay/#", "E/replay/me");
    INFO(topic);
    CHECK_FALSE(w.asks(R"({"topic":"#","since":"oldest"})", topic));
    CHECK(w.uplink.published.empty());
}

TEST_CASE("replay: whoever may not read gets nothing", "[bridge][replay]") {
    ReplayWorld w{3};
    w.refusal = "no scope";
    CHECK(w.asks(R"({"topic":"t/1","since":"oldest","token":"bad"})"));
    REQUIRE(w.uplink.published.size() == 1);
    CHECK(w.last() == R"({"error":"no scope"})");
    CHECK(w.asks(R"({"topic":"t/1","since":"oldest","token":"good"})"));
    CHECK(w.uplink.published.size() == 4);
}

TEST_CASE("replay: so many at a time, and a connection that ends takes them with it",
          "[bridge][replay]") {
    ReplayWorld w{1'000};
    for (auto i = 0; i < 16; ++i) CHECK(w.asks(R"({"topic":"#","since":"oldest"})"));
    CHECK(w.replay.size() == 16);
    CHECK(w.asks(R"({"topic":"#","since":"oldest"})"));
    CHECK(w.last().find("too many replays") != std::string::npos);
    w.replay.on_broker();
    CHECK(w.replay.size() == 0);
    w.answer_all();  // of the connection that is gone
    CHECK(w.asks(R"({"topic":"#","since":"k7.999"})"));
    CHECK(w.last() == R"({"next":"k7.1000","more":false,"resumed":true})");
}

}  // namespace spoke::bridge::test
