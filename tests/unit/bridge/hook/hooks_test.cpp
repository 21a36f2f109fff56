#include "bridge/hook/hooks.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "bridge/hook/hook_signature.hpp"
#include "tests/unit/bridge/hook/hook_world.hpp"

namespace spoke::bridge::test {
namespace {

using Ids = HookWorld::Ids;

}  // namespace

TEST_CASE("hooks: events of the topics come once, in order, from the making of the hook on",
          "[bridge][hook]") {
    HookWorld world;
    world.record("t/1", "0");
    auto [change, secret] = world.put("shop", wish({"t/1", "t/+/x"}));
    CHECK(change == Hooks::Change::made);
    CHECK(is_hook_secret(secret));
    world.record("t/1", R"({"g":1})");
    world.record("t/2");
    world.record("t/2/x");
    REQUIRE(world.client->ids() == Ids{"k7.2", "k7.4"});
    auto const& sent = world.client->open[0];
    CHECK(sent.request.url == "https://app.example/in");
    CHECK(sent.header("Content-Type") == "application/json");
    CHECK(sent.header("Webhook-Timestamp") == "1795374000");
    CHECK(sent.request.body ==
          R"({"id":"k7.2","topic":"t/1","n":2,"at":"2026-11-22T19:00:00.000Z","data":{"g":1}})");
    CHECK(sent.header("Webhook-Signature") ==
          hook_signature(secret, "k7.2", 1'795'374'000, sent.request.body));
    world.answer(204);
    world.answer(200);
    CHECK(world.client->open.empty());
    CHECK(world.deliveries("shop") == Ids{"k7.2 delivered 1", "k7.4 delivered 1"});
    CHECK(world.event_store.position("hook/shop") == 4U);
    world.start();
    CHECK(world.client->open.empty());
}

TEST_CASE("hooks: what fails is tried again by the schedule, then listed as dead",
          "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    std::uint32_t attempts = 1;
    for (auto delay : {5'000ms, 300'000ms, 1'800'000ms, 7'200'000ms, 18'000'000ms, 36'000'000ms}) {
        CHECK(world.answer(attempts == 1 ? 0 : 500) == "k7.1");
        CHECK(world.deliveries("shop") == Ids{"k7.1 waiting " + std::to_string(attempts)});
        world.advance(delay - 1ms);
        CHECK(world.client->open.empty());
        world.advance(delay / 5 + 1ms);
        REQUIRE(world.client->ids() == Ids{"k7.1"});
        ++attempts;
    }
    world.answer(302);
    CHECK(world.deliveries("shop") == Ids{"k7.1 dead 7"});
    CHECK(world.hooks->counters().dead == 1);
    CHECK(world.lines.size() == 1);
    world.advance(240h);
    CHECK(world.client->open.empty());
    world.start();
    CHECK(world.deliveries("shop") == Ids{"k7.1 dead 7"});

    CHECK(world.hooks->resend("shop", "k7.1") == Hooks::Resend::asked);
    world.run();
    CHECK(world.hooks->resend("shop", "k7.1") == Hooks::Resend::under_way);
    CHECK(world.answer(200) == "k7.1");
    CHECK(world.deliveries("shop") == Ids{"k7.1 delivered 1"});
}

TEST_CASE("hooks: no more dead ones are listed than the bound, the newest", "[bridge][hook]") {
    HookWorld world{{.dead_max = 2}};
    world.put("shop", wish());
    for (int i = 0; i < 3; ++i) {
        world.record("t/1");
        for (int attempt = 0; attempt < 7; ++attempt) {
            REQUIRE(world.client->open.size() == 1);
            world.answer(500);
            world.advance(12h);
        }
    }
    CHECK(world.hooks->counters().dead == 3);
    auto expected = HookWorld::Ids{"k7.3 dead 7", "k7.2 dead 7"};
    CHECK(world.deliveries("shop") == expected);
    world.start();
    CHECK(world.deliveries("shop") == expected);
    CHECK(world.hooks->resend("shop", "k7.1") == Hooks::Resend::asked);  // the log has it
}

TEST_CASE("hooks: a failure does not hold up what comes after it", "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    world.answer(500);
    world.record("t/2");
    CHECK(world.answer(200) == "k7.2");
    CHECK(world.event_store.position("hook/shop") == 2U);
    world.advance(6s);
    CHECK(world.answer(200) == "k7.1");
    CHECK(world.deliveries("shop") == Ids{"k7.2 delivered 1", "k7.1 delivered 2"});
}

TEST_CASE("hooks: Retry-After puts the next attempt off, by a day at most", "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    world.answer(503, "60");
    world.advance(59s);
    CHECK(world.client->open.empty());
    world.advance(1s);
    CHECK(world.answer(429, "Sun, 22 Nov 2026 19:31:00 GMT") == "k7.1");
    world.advance(29min + 59s);
    CHECK(world.client->open.empty());
    world.advance(1s);
    CHECK(world.answer(503, "99999999") == "k7.1");
    world.advance(24h);
    CHECK(world.client->ids() == Ids{"k7.1"});
    // Sooner than the schedule has it is too soon.
    world.answer(503, "1");
    world.advance(1h);
    CHECK(world.client->open.empty());
}

TEST_CASE("hooks: 410 disables the hook, durably, and nothing is lost when it is active again",
          "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    world.answer(410);
    CHECK(world.hooks->find("shop")->hook.state == HookState::disabled);
    CHECK(world.hooks->counters().disabled == 1);
    REQUIRE(world.trail.size() == 2);
    CHECK(world.trail[1].what == "hook.disabled");
    world.record("t/2");
    world.advance(1h);
    world.start();
    CHECK(world.hooks->find("shop")->hook.state == HookState::disabled);
    CHECK_FALSE(world.hooks->find("shop")->hook.why.empty());
    CHECK(world.client->open.empty());

    CHECK(world.put("shop", wish()) == std::pair{Hooks::Change::changed, std::string{}});
    CHECK(world.client->ids() == Ids{"k7.1", "k7.2"});
    CHECK(world.hooks->find("shop")->hook.why.empty());
}

TEST_CASE("hooks: a kill loses nothing, and repeats only what nobody knows the end of",
          "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    for (auto i = 0; i < 6; ++i) world.record("t/1");
    REQUIRE(world.client->ids() == Ids{"k7.1", "k7.2", "k7.3", "k7.4"});
    std::swap(world.client->open[0], world.client->open[1]);
    CHECK(world.answer(200) == "k7.2");  // before the first one
    std::swap(world.client->open[0], world.client->open[1]);
    CHECK(world.answer(500) == "k7.3");
    CHECK(world.event_store.position("hook/shop").value_or(0) == 0);
    world.start();
    // 3 is in the queue, and does not come a second time from the log.
    CHECK(world.client->ids() == Ids{"k7.1", "k7.2", "k7.4", "k7.5"});
    for (auto i = 0; i < 5; ++i) world.answer(200);
    CHECK(world.client->open.empty());
    CHECK(world.event_store.position("hook/shop") == 6U);
    world.advance(6s);
    CHECK(world.client->ids() == Ids{"k7.3"});
    world.start();  // in the middle of the second attempt
    CHECK(world.client->ids() == Ids{"k7.3"});
    world.answer(200);
    world.start();
    CHECK(world.client->open.empty());
}

TEST_CASE("hooks: an attempt that failed and was not stored yet is made again", "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    world.client->answer(500);
    CHECK(world.event_store.position("hook/shop").value_or(0) == 0);
    world.run();
    CHECK(world.event_store.position("hook/shop") == 1U);
}

TEST_CASE("hooks: at the bound of its queue the place of a hook waits", "[bridge][hook]") {
    HookWorld world{{.queue_max = 2, .requests_per_hook_max = 2}};
    world.put("shop", wish());
    for (auto i = 0; i < 5; ++i) world.record("t/1");
    CHECK(world.answer(500) == "k7.1");
    CHECK(world.answer(500) == "k7.2");
    CHECK(world.client->open.empty());
    CHECK(world.hooks->find("shop")->place() == 2);
    CHECK(world.hooks->behind(*world.hooks->find("shop")) == 3);
    CHECK(world.hooks->resend("shop", "k7.1") == Hooks::Resend::queue_full);
    world.advance(6s);
    CHECK(world.answer(200) == "k7.1");
    CHECK(world.client->ids() == Ids{"k7.2", "k7.3"});
}

TEST_CASE("hooks: so many requests at a time, of one hook and in all, in turn", "[bridge][hook]") {
    HookWorld world{{.requests_per_hook_max = 2, .requests_max = 3}};
    world.put("a", wish());
    world.put("b", wish());
    for (auto i = 0; i < 4; ++i) world.record("t/1");
    CHECK(world.client->ids() == Ids{"k7.1", "k7.1", "k7.2"});
    for (auto i = 0; i < 8; ++i) world.answer(200);
    CHECK(world.client->open.empty());
    CHECK(world.client->most == 3);
    CHECK(world.hooks->find("a")->delivered == 4);
    CHECK(world.hooks->find("b")->delivered == 4);
}

TEST_CASE("hooks: what the log has lost meanwhile is told as an event of type reset",
          "[bridge][hook]") {
    HookWorld world{{.requests_per_hook_max = 1},
                    {EventClass{.filter = "t/1/#", .events_max = 5}, EventClass{.filter = "t/2"}}};
    auto wanted = wish({"t/1/#"});
    wanted.format = GENERATE(HookFormat::plain, HookFormat::cloudevents);
    wanted.state = HookState::paused;
    world.put("shop", wanted);
    for (auto i = 0; i < 20; ++i) world.record("t/1/2");
    CHECK(world.client->open.empty());
    wanted.state = HookState::active;
    world.put("shop", wanted);
    REQUIRE(world.client->ids() == Ids{"reset_k7.15"});
    auto body = boost::json::parse(world.client->open[0].request.body).as_object();
    CHECK(body["type"] == "reset");
    CHECK(body["data"] ==
          boost::json::parse(R"({"reason":"too-old","after":"k7.0","cursor":"k7.15"})"));
    CHECK(world.answer(500) == "reset_k7.15");
    for (auto i = 16; i <= 20; ++i) CHECK(world.answer(200) == "k7." + std::to_string(i));
    world.start();
    world.advance(6s);
    CHECK(world.answer(200) == "reset_k7.15");
    world.record("t/1/2");
    CHECK(world.answer(200) == "k7.21");
    CHECK(world.hooks->counters().resets == 0);
    CHECK(world.client->open.empty());
}

TEST_CASE("hooks: others' events move the place of an idle hook", "[bridge][hook]") {
    HookWorld world{{}, {EventClass{.filter = "t/#", .events_max = 5}}};
    world.put("shop", wish({"t/1"}));
    for (auto i = 0; i < 8; ++i) world.record("t/2");
    world.advance(10s);
    CHECK(world.event_store.position("hook/shop") == 8U);
    for (auto i = 0; i < 8; ++i) world.record("t/2");
    world.hooks->drain();
    CHECK(world.event_store.position("hook/shop") == 16U);
    world.start();
    CHECK(world.client->open.empty());  // no reset
}

TEST_CASE("hooks: two signatures while a secret is being changed", "[bridge][hook]") {
    HookWorld world{{.secret_overlap = 1h}};
    auto old_secret = world.put("shop", wish()).second;
    auto wanted = wish();
    wanted.secret = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0";
    CHECK(world.put("shop", wanted) == std::pair{Hooks::Change::changed, wanted.secret});
    CHECK(world.put("shop", wanted) == std::pair{Hooks::Change::changed, std::string{}});
    world.record("t/1");
    auto const& sent = world.client->open[0];
    auto at = std::stoll(sent.header("Webhook-Timestamp"));
    CHECK(sent.header("Webhook-Signature") ==
          hook_signature(wanted.secret, "k7.1", at, sent.request.body) + " " +
              hook_signature(old_secret, "k7.1", at, sent.request.body));
    world.answer(200);
    world.advance(1h);
    world.record("t/1");
    CHECK(world.client->open[0].header("Webhook-Signature").find(' ') == std::string::npos);
}

TEST_CASE("hooks: a hook that is removed gets nothing more; one of its name begins anew",
          "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish());
    world.record("t/1");
    world.record("t/1");
    world.answer(500);
    CHECK(world.erase("shop") == Hooks::Change::removed);
    CHECK(world.erase("shop") == Hooks::Change::no_such_hook);
    world.answer(500);  // of the request that was under way
    world.start();
    CHECK(world.hooks->size() == 0);
    world.put("shop", wish());
    world.advance(1h);
    CHECK(world.client->open.empty());
    world.record("t/1");
    CHECK(world.client->ids() == Ids{"k7.3"});
}

TEST_CASE("hooks: other topics count from where the hook is", "[bridge][hook]") {
    HookWorld world{{.requests_per_hook_max = 1}};
    world.put("shop", wish({"t/1"}));
    world.record("t/2");
    for (auto i = 0; i < 3; ++i) world.record("t/1");
    world.put("shop", wish({"t/2"}));
    world.record("t/2");
    CHECK(world.answer(200) == "k7.2");
    CHECK(world.answer(200) == "k7.5");
    CHECK(world.client->open.empty());
}

TEST_CASE("hooks: no more hooks than the limit, and one change of each at a time",
          "[bridge][hook]") {
    HookWorld world{{.hooks_max = 1}};
    std::vector<Hooks::Change> changes;
    auto note = [&](Hooks::Change change, auto const&) { changes.push_back(change); };
    world.hooks->put("a", wish(), {"user:7"}, note);
    world.hooks->put("a", wish(), {"user:7"}, note);
    world.hooks->put("b", wish(), {"user:7"}, note);
    world.run();
    world.hooks->put("b", wish(), {"user:7"}, note);
    CHECK(changes == std::vector{Hooks::Change::busy, Hooks::Change::too_many, Hooks::Change::made,
                                 Hooks::Change::too_many});
}

TEST_CASE("hooks: an event that is over is sent again from the log", "[bridge][hook]") {
    HookWorld world;
    world.put("shop", wish({"t/1"}));
    world.record("t/1");
    world.record("t/2");
    world.answer(200);
    world.advance(10s);
    CHECK(world.hooks->resend("shop", "k7.1") == Hooks::Resend::asked);
    world.run();
    CHECK(world.answer(200) == "k7.1");
    for (auto const* id : {"k7.2", "k7.3", "k7.0", "k8.1", "x"}) {
        CHECK(world.hooks->resend("shop", id) == Hooks::Resend::no_such_delivery);
    }
}

TEST_CASE("hooks: CloudEvents in structured JSON", "[bridge][hook]") {
    HookWorld world;
    auto wanted = wish();
    wanted.format = HookFormat::cloudevents;
    world.put("shop", wanted);
    EventDraft draft = make_draft("t/1", R"({"type":"moved","g":1})");
    world.log.record(draft, Need::now_or_never, world.clock.now, {});
    world.log.record(make_draft("t/1", "h\"i"), Need::now_or_never, world.clock.now, {});
    world.log.record(make_draft("t/1", "\xFF"), Need::now_or_never, world.clock.now, {});
    world.run();
    REQUIRE(world.client->open.size() == 3);
    CHECK(world.client->open[0].header("Content-Type") == "application/cloudevents+json");
    auto body = [&](std::size_t i) { return world.client->open[i].request.body; };
    CHECK(
        body(0) ==
        R"({"specversion":"1.0","id":"k7.1","source":"/v1/events","type":"moved","subject":"t/1","time":"2026-11-22T19:00:00.000Z","sequence":"1","datacontenttype":"application/json","data":{"type":"moved","g":1}})");
    CHECK(body(1).find(R"("datacontenttype":"text/plain","data":"h\"i"})") != std::string::npos);
    CHECK(body(1).find(R"("type":"message")") != std::string::npos);
    CHECK(body(2).find(R"("datacontenttype":"application/octet-stream","data_base64":"/w=="})") !=
          std::string::npos);
}

}  // namespace spoke::bridge::test
