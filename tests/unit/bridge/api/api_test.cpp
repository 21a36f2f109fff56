#include "bridge/api/api.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {

TEST_CASE("api: an order without a wait is 202 with its place", "[bridge][api]") {
    ApiWorld w;
    w.service.on_broker(true, {}, {.receipts = true});
    w.message("d/b42/up", kBirth);
    auto reply = w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r1","args":{"ride":"r_9f31"}})"));
    CHECK(reply.response.status == 202);
    auto id = reply.text("id");
    CHECK(reply.header("Location") == "/v1/commands/" + id);
    CHECK(reply.header("Retry-After") == "1");
    CHECK(reply.text("state") == "queued");
    CHECK(reply.body.at("settled").as_bool() == false);
    CHECK(w.uplink.published.size() == 1);

    auto receipt = [&](std::string_view step) {
        auto raw = CommandId::parse(id).value();
        w.message("$r/spoke-bridge/receipts/1", receipt_text(raw, step, w.clock.now.wall));
    };
    w.clock.advance(2ms);
    receipt("sent");
    w.clock.advance(182ms);
    receipt("acked");
    w.answer(id, R"("n":1,"r":"started")");
    w.clock.advance(627ms);
    w.answer(id, R"("n":1,"r":"ok","took":612,"lock":"unlocked")");
    auto command = w.get("/v1/commands/" + id);
    CHECK(command.response.status == 200);
    CHECK(command.text("state") == "succeeded");
    CHECK(command.text("device") == "b42");
    CHECK(command.text("do") == "unlock");
    CHECK(command.text("deadline") == "2026-11-22T19:00:08.000Z");
    CHECK(json::serialize(command.body["answer"]) ==
          R"({"r":"ok","lock":"unlocked","took_ms":612})");
    CHECK(json::serialize(command.body["spent_ms"]) ==
          R"({"queue":2,"down":182,"device":612,"up":15})");
    CHECK(command.body["timeline"].as_array().size() == 5);
    CHECK(json::serialize(command.body["timeline"].as_array()[3]) ==
          R"({"t":184,"state":"running","by":"device"})");
}

TEST_CASE("api: an order with a wait is answered at its end", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto request = ApiWorld::order(R"({"do":"unlock"})", "", "\"k1\"");
    request.headers.emplace_back("Prefer", "wait=8");
    auto pending = w.start(request);
    CHECK_FALSE(pending->reply);
    auto again = w.start(request);  // a retry joins
    CHECK_FALSE(again->reply);
    REQUIRE(w.uplink.published.size() == 1);
    auto id = CommandId{}.text();
    id = w.store.commands({"b42"}).at(0).id.text();
    w.answer(id, R"("r":"ok")");
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == 200);
    CHECK(pending->reply->header("Preference-Applied") == "wait=8");
    CHECK(pending->reply->header("Idempotent-Replayed").empty());
    REQUIRE(again->reply);
    CHECK(again->reply->header("Idempotent-Replayed") == "true");
    CHECK(again->reply->text("id") == id);
    auto settled = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "\"k1\""));
    CHECK(settled.response.status == 200);
    CHECK(settled.header("Idempotent-Replayed") == "true");
}

TEST_CASE("api: a retry under a new key is answered when its key is stored", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    constexpr auto kBody = R"({"do":"unlock","ref":"r1"})";
    auto first = w.ask(ApiWorld::order(kBody, "", "\"k1\""));
    w.store_works = false;
    auto again = w.start(ApiWorld::order(kBody, "", "\"k2\""));
    SECTION("it waits for the disk, whatever becomes of the order meanwhile") {
        w.answer(first.text("id"), R"("r":"ok")");
        w.advance(1s);
        w.store.complete(false);
        CHECK_FALSE(again->reply);
        w.store.complete();
        REQUIRE(again->reply);
        CHECK(again->reply->text("id") == first.text("id"));
        CHECK(again->reply->header("Idempotent-Replayed") == "true");
    }
    SECTION("a key that is known is answered at once") {
        w.store.complete();
        REQUIRE(again->reply);
        CHECK(w.start(ApiWorld::order(kBody, "", "\"k2\""))->reply);
    }
    w.store.complete();
    CHECK(w.store.find_by_key("anonymous\nk2"));
}

TEST_CASE("api: a wait that is over before the end gives 202", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto pending = w.start(ApiWorld::order(R"({"do":"unlock","ref":"r"})", "?wait=3"));
    w.advance(2'999ms);
    CHECK_FALSE(pending->reply);
    w.advance(1ms);
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == 202);
    CHECK(pending->reply->text("state") == "queued");
}

TEST_CASE("api: a device that never answers makes unknown, which is told", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto pending =
        w.start(ApiWorld::order(R"({"do":"unlock","ref":"r","ttl_ms":1000})", "?wait=20"));
    w.advance(3'000ms);
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == 200);
    CHECK(pending->reply->text("state") == "unknown");
    CHECK_FALSE(pending->reply->text("hint").empty());
    auto id = pending->reply->text("id");
    CHECK(pending->reply->text("location") == "/v1/commands/" + id);

    auto held = w.start({"GET", "/v1/commands/" + id + "?wait=30"});
    CHECK_FALSE(held->reply);
    w.answer(id, R"("r":"fail","why":"jam")");
    REQUIRE(held->reply);
    CHECK(held->reply->text("state") == "failed");
    CHECK(held->reply->text("why") == "jam");
    CHECK(held->reply->body.at("late").as_bool());
}

TEST_CASE("api: GET waits for another version than the known one", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto id = w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r"})")).text("id");
    auto etag = w.get("/v1/commands/" + id).header("ETag");
    CHECK(etag == "\"1\"");
    HttpRequest request{"GET", "/v1/commands/" + id};
    request.headers.emplace_back("if-none-match", etag);
    CHECK(w.ask(request).response.status == 304);
    request.target += "?wait=30";
    auto held = w.start(request);
    auto timed_out = w.start(request);
    CHECK_FALSE(held->reply);
    w.answer(id, R"("r":"started")");
    REQUIRE(held->reply);
    CHECK(held->reply->response.status == 200);
    CHECK(held->reply->header("ETag") == "\"2\"");
    request.headers[0].second = "\"2\"";
    auto none = w.start(request);
    w.advance(5s);
    CHECK_FALSE(none->reply);
    w.advance(5s);  // unknown is something new
    REQUIRE(none->reply);
    CHECK(none->reply->response.status == 200);
    request.headers[0].second = none->reply->header("ETag");
    auto nothing_new = w.start(request);
    w.advance(30s);
    REQUIRE(nothing_new->reply);
    CHECK(nothing_new->reply->response.status == 304);
    CHECK(nothing_new->reply->response.body.empty());
}

TEST_CASE("api: what is refused is a problem, and nothing was sent", "[bridge][api]") {
    ApiWorld w{Service::Settings{.commands = {.lane_queue_max = 1}}};
    w.message("d/b42/up", kBirth);
    auto good = ApiWorld::order(R"({"do":"unlock","ref":"r"})");
    std::size_t sent_before = 0;

    SECTION("not JSON") {
        check_problem(w.ask(ApiWorld::order("unlock")), 400, "invalid");
    }
    SECTION("unknown member") {
        auto reply = w.ask(ApiWorld::order(R"({"do":"unlock","tll_ms":1})"));
        check_problem(reply, 400, "invalid");
        CHECK(reply.text("member") == "tll_ms");
        CHECK(reply.text("nearest") == "ttl_ms");
    }
    SECTION("unknown parameter") {
        auto reply = w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r"})", "?wiat=3"));
        check_problem(reply, 400, "invalid");
        CHECK(reply.text("nearest") == "wait");
    }
    SECTION("no key") {
        check_problem(w.ask(ApiWorld::order(R"({"do":"unlock"})")), 400, "key-required");
    }
    SECTION("bad key") {
        check_problem(w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "\"")), 400, "invalid");
    }
    SECTION("wrong media type") {
        good.headers[0].second = "application/x-www-form-urlencoded";
        check_problem(w.ask(good), 415, "media-type");
    }
    SECTION("no such device") {
        good.target = "/v1/devices/b1/commands";
        check_problem(w.ask(good), 404, "no-such-device");
    }
    SECTION("offline") {
        w.message("d/b42/up", R"({"on":false,"wake":1795377600,"boot":7})");
        auto reply = w.ask(good);
        check_problem(reply, 409, "device-offline");
        CHECK(reply.text("presence") == "asleep");
        CHECK(reply.text("last_seen") == "2026-11-22T19:00:00.000Z");
        CHECK(reply.text("next_wake") == "2026-11-22T20:00:00.000Z");
    }
    SECTION("precondition") {
        w.message("d/b42/state", R"({"boot":7,"lock":"unlocked"})");
        w.clock.advance(5s);
        auto reply = w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r","if":{"lock":"locked"}})"));
        check_problem(reply, 412, "precondition");
        CHECK(reply.body["state"].as_object()["lock"].as_string() == "unlocked");
        CHECK(reply.body["state_age_ms"].as_int64() == 5000);
    }
    SECTION("key reused") {
        w.ask(good);
        sent_before = 1;
        check_problem(w.ask(ApiWorld::order(R"({"do":"unlock","ref":"r","ttl_ms":999})")), 422,
                      "key-reused");
    }
    SECTION("lane busy") {
        w.ask(good);
        sent_before = 1;
        check_problem(w.ask(ApiWorld::order(R"({"do":"unlock","ref":"s","if_busy":"fail"})")), 409,
                      "lane-busy");
    }
    SECTION("lane full") {
        w.ask(good);
        sent_before = 1;
        auto reply = w.ask(ApiWorld::order(R"({"do":"unlock","ref":"s"})"));
        check_problem(reply, 429, "rate");
        CHECK_FALSE(reply.header("Retry-After").empty());
    }
    SECTION("broker down") {
        w.service.on_broker(false, "broker 127.0.0.1:1883: connection refused");
        auto reply = w.ask(good);
        check_problem(reply, 503, "broker-down");
        CHECK(reply.text("detail") == "broker 127.0.0.1:1883: connection refused");
        CHECK_FALSE(reply.header("Retry-After").empty());
    }
    SECTION("draining") {
        w.service.drain();
        check_problem(w.ask(good), 503, "draining");
    }
    SECTION("store failed") {
        w.store_works = false;
        auto pending = w.start(good);
        CHECK_FALSE(pending->reply);
        w.store.complete(false);
        REQUIRE(pending->reply);
        check_problem(*pending->reply, 503, "log-full");
    }
    SECTION("no such path") {
        check_problem(w.get("/v1/nothing"), 404, "no-such-path");
    }
    SECTION("no such command") {
        check_problem(w.get("/v1/commands/c_00000000000000000000000001"), 404, "no-such-command");
        check_problem(w.get("/v1/commands/x"), 404, "no-such-command");
    }
    SECTION("wrong method") {
        auto reply = w.ask({"DELETE", "/v1/devices"});
        check_problem(reply, 405, "method");
        CHECK(reply.header("Allow") == "GET, HEAD, OPTIONS");
    }
    SECTION("bad target") {
        check_problem(w.get("/v1/%zz"), 400, "invalid");
    }
    CHECK(w.uplink.published.size() == sent_before);
    CHECK(w.store.commands({"b42"}).size() <= 1);
}

TEST_CASE("api: health and readiness", "[bridge][api]") {
    ApiWorld w;
    CHECK(w.get("/healthz").response.status == 200);
    CHECK(w.get("/readyz").response.status == 200);
    w.service.on_broker(false, "broker 127.0.0.1:1883: connection refused");
    CHECK(w.get("/healthz").response.status == 200);
    auto reply = w.get("/readyz");
    check_problem(reply, 503, "not-ready");
    CHECK(reply.text("detail") == "the broker: broker 127.0.0.1:1883: connection refused");
    w.service.on_broker(true, {});
    CHECK(w.get("/readyz").response.status == 200);
    w.service.drain();
    check_problem(w.get("/readyz"), 503, "not-ready");
}

TEST_CASE("api: devices, one and by pages", "[bridge][api]") {
    ApiWorld w;
    CHECK(w.get("/v1/devices").response.body == R"({"devices":[]})");
    w.message("d/b42/up", kBirth);
    w.message("d/b42/state", R"({"boot":7,"lock":"locked","pos":{"lat":31.2304}})");
    w.message("d/b43/up", R"({"on":false,"boot":1})");
    w.message("d/b 4/up", kBirth, true);
    CHECK(
        w.get("/v1/devices/b42").response.body ==
        R"({"id":"b42","alias":null,"profile":null,"tags":[],"deny":[],"presence":"online","last_seen":"2026-11-22T19:00:00.000Z","boot":7,)"
        R"("fw":"2.4.1","hw":"OC33","n":0,"state_at":"2026-11-22T19:00:00.000Z",)"
        R"("state":{"boot":7,"lock":"locked","pos":{"lat":31.2304}}})");
    CHECK(w.get("/v1/devices/b%204").text("presence") == "quiet");
    check_problem(w.get("/v1/devices/b1"), 404, "no-such-device");
    check_problem(w.get("/v1/devices?limit=0"), 400, "invalid");
    check_problem(w.get("/v1/devices?state=onlin"), 400, "invalid");
    CHECK(w.get("/v1/devices?state=onlin").text("nearest") == "online");

    auto ids = [](Reply const& reply) {
        std::string out;
        for (auto const& device : reply.body.at("devices").as_array()) {
            out += json::value_to<std::string>(device.at("id")) + ";";
        }
        return out;
    };
    auto page = w.get("/v1/devices?limit=1");
    CHECK(ids(page) == "b 4;");
    CHECK(page.header("Link") == "</v1/devices?limit=1&after=b%204>; rel=\"next\"");
    CHECK(ids(w.get("/v1/devices?after=b%204")) == "b42;b43;");
    CHECK(w.get("/v1/devices?limit=3").header("Link").empty());
    CHECK(ids(w.get("/v1/devices?state=offline")) == "b43;");
    HttpRequest lines{"GET", "/v1/devices?limit=2"};
    lines.headers.emplace_back("Accept", "application/x-ndjson");
    auto reply = w.ask(lines);
    CHECK(reply.response.content_type == "application/x-ndjson");
    CHECK(std::ranges::count(reply.response.body, '\n') == 2);
}

TEST_CASE("api: publish hands the body to the broker and tells its word", "[bridge][api]") {
    ApiWorld w;
    HttpRequest request{"POST", "/v1/publish/factory/7/plc%20x?qos=1&retain=true&expiry=60"};
    request.headers.emplace_back("Content-Type", "text/plain");
    request.body = "hello";
    auto pending = w.start(request);
    CHECK_FALSE(pending->reply);
    REQUIRE(w.uplink.published.size() == 1);
    auto const message = w.uplink.published[0].message;
    CHECK(message.topic == "factory/7/plc x");
    CHECK(message.qos == mqtt::Qos::at_least_once);
    CHECK(message.retain);
    CHECK(message.properties.message_expiry_interval == 60);
    CHECK(message.properties.content_type == "text/plain");
    CHECK(as_text(message.payload) == "hello");

    struct Row {
        mqtt::PublishOutcome outcome;
        unsigned status;
        bool is_problem;
    };
    using mqtt::PublishStatus;
    auto row = GENERATE(values<Row>(
        {{{PublishStatus::acknowledged, {}, {}, {}}, 200, false},
         {{PublishStatus::sent, {}, {}, {}}, 200, false},
         {{PublishStatus::unknown, {}, {}, {}}, 202, false},
         {{PublishStatus::refused, {}, mqtt::ReasonCode::not_authorized, {}}, 403, true},
         {{PublishStatus::refused, {}, mqtt::ReasonCode::quota_exceeded, {}}, 429, true},
         {{PublishStatus::not_sent, mqtt::NotSent::connection_lost, {}, {}}, 503, true},
         {{PublishStatus::not_sent, mqtt::NotSent::too_large, {}, {}}, 413, true}}));
    auto done = w.uplink.published[0].done;
    done(row.outcome);
    REQUIRE(pending->reply);
    CHECK(pending->reply->response.status == row.status);
    CHECK(pending->reply->body.at("sent").as_bool() == !row.is_problem);
}

TEST_CASE("api: a publish that cannot be is refused", "[bridge][api]") {
    ApiWorld w;
    auto [target, status] =
        GENERATE(table<std::string, unsigned>({{"/v1/publish/a/%2B", 400},
                                               {"/v1/publish/a/%23", 400},
                                               {"/v1/publish/", 400},
                                               {"/v1/publish/a?qos=3", 400},
                                               {"/v1/publish/a?qos=one", 400},
                                               {"/v1/publish/a?retain=maybe", 400},
                                               {"/v1/publish/a?expiry=0", 400},
                                               {"/v1/publish/a?expiri=1", 400},
                                               {"/v1/publish", 404}}));
    INFO(target);
    auto reply = w.ask({"POST", target});
    CHECK(reply.response.status == status);
    CHECK(reply.response.content_type == "application/problem+json");
    CHECK(w.uplink.published.empty());
    w.uplink.cause = mqtt::NotSent::queue_full;
    check_problem(w.ask({"POST", "/v1/publish/a"}), 429, "publish-refused");
    w.service.on_broker(false, "gone");
    check_problem(w.ask({"POST", "/v1/publish/a"}), 503, "broker-down");
}

}  // namespace spoke::bridge::test
