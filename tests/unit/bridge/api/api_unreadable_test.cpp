#include <catch2/catch.hpp>
#include <optional>
#include <string>
#include <vector>

#include "bridge/api/api.hpp"
#include "tests/unit/bridge/support/fixture.hpp"
#include "tests/unit/bridge/support/held_event_store.hpp"

namespace spoke::bridge::test {
namespace {

/// An API over a store of events that can fail, none of which is in memory.
struct FailingWorld {
    void happens(std::string topic) {
        log.record({.topic = std::move(topic)}, Need::certain, clock.now, {});
        events.complete_all();
    }

    HttpResponse get(std::string target) {
        std::optional<HttpResponse> out;
        api.handle({"GET", std::move(target)}, [&](HttpResponse r) { out = std::move(r); });
        REQUIRE(out);
        return *out;
    }

    FakeClock clock;
    FakeStore store;
    FakeUplink uplink;
    std::vector<EventClass> classes{{"t/#"}, {"u/+/in"}};
    HeldEventStore events{classes};
    EventLog log{{.classes = classes, .tail_events_max = 0}, events};
    Service service{{},
                    {store, uplink, log, [this] { return clock.now; }, counting_random(),
                     [](SteadyTime) {}, [](std::string const&) {}, [](std::string const&) {}}};
    Access access{{}, {}};
    MemoryHookStore hook_store{[](std::function<void()> const&) {}, [](AuditEntry const&) {}};
    FakeHookClient hook_client;
    Hooks hooks{{},
                {log, hook_store, hook_client, [this] { return clock.now; }, counting_random(),
                 [](SteadyTime) {}, [](std::string const&) {}}};
    Api api{service, access, hooks, {}};
};

}  // namespace

TEST_CASE("api: while the log cannot be read, that is said", "[bridge][api][events]") {
    FailingWorld w;
    w.happens("t/1");
    w.happens("u/7777/in");
    std::string target = GENERATE(as<char const*>{}, "/v1/events?topic=t/1&since=k7.0",
                                  "/v1/events?topic=t/1&since=k7.0&wait=5", "/v1/inboxes/7777",
                                  "/v1/inboxes/7777?wait=5", "/v1/inboxes/7777/messages",
                                  "/v1/inboxes/7777/messages?unread=1");
    INFO(target);
    w.events.can_read = false;
    auto response = w.get(target);
    CHECK(response.status == 503);
    CHECK(response.header("Retry-After") == "10");
    CHECK(response.body.find("/problems/log-full") != std::string::npos);
    w.events.can_read = true;
    CHECK(w.get(target).status == 200);
}

TEST_CASE("api: messages of an inbox that was known cannot be listed from an unreadable log",
          "[bridge][api][events]") {
    FailingWorld w;
    w.happens("u/7777/in");
    CHECK(w.get("/v1/inboxes/7777").status == 200);
    w.events.can_read = false;
    CHECK(w.get("/v1/inboxes/7777/messages").status == 503);
}

TEST_CASE("api: a short poll does not pass over what is removed before its read",
          "[bridge][api][events]") {
    FailingWorld w;
    for (auto i = 0; i < 4; ++i) w.happens("t/1");
    w.events.removed_before_read = GENERATE(as<std::uint64_t>{}, 1, 2);
    auto response = w.get("/v1/events?topic=t/1&since=k7.1");
    auto is_lost = w.events.removed_before_read > 1;
    CHECK(response.status == (is_lost ? 409U : 200U));
    if (!is_lost) return;
    CHECK(response.body.find(R"("reason":"too-old","cursor":"k7.2")") != std::string::npos);
}

}  // namespace spoke::bridge::test
