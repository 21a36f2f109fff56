#include <fmt/format.h>

#include "bridge/api/inbox_request.hpp"
#include "tests/unit/bridge/access/samples.hpp"
#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {
namespace {

HttpRequest post(std::string target, std::string body, std::string key = {}) {
    HttpRequest request{"POST", std::move(target)};
    if (!key.empty()) request.headers.emplace_back("Idempotency-Key", std::move(key));
    request.body = std::move(body);
    return request;
}

HttpRequest conditional(std::string target, std::string etag) {
    HttpRequest request{"GET", std::move(target)};
    request.headers.emplace_back("If-None-Match", std::move(etag));
    return request;
}

constexpr auto kMessages = "/v1/inboxes/7777/messages";
constexpr auto kLike = R"({"type":"like","data":{"post":9}})";

TEST_CASE("inbox: a message is put in, counted, listed and read", "[bridge][api][inbox]") {
    ApiWorld w;
    auto put = w.ask(post(kMessages, kLike));
    CHECK(put.response.status == 201);
    CHECK(put.response.body == R"({"ids":["k7.1"],"unread":1})");
    auto inbox = w.get("/v1/inboxes/7777");
    CHECK(inbox.response.status == 200);
    CHECK(inbox.header("ETag") == "\"k7.1-1\"");
    CHECK(inbox.header("Cache-Control") == "no-cache");
    CHECK(inbox.body.at("latest").at("data").at("post").as_int64() == 9);
    auto list = w.get(std::string{kMessages} + "?unread=1");
    CHECK(list.body.at("messages").as_array().size() == 1);
    CHECK(list.text("next") == "k7.1");
    CHECK(list.header("Event-Cursor") == "k7.1");
    auto read = w.ask(post("/v1/inboxes/7777/read", R"({"upto":"k7.1"})"));
    CHECK(read.response.status == 200);
    CHECK(read.response.body == R"({"unread":0,"by":{},"cursor":"k7.2"})");
    CHECK(w.get(std::string{kMessages} + "?unread=1").body.at("messages").as_array().empty());
    CHECK(w.get(kMessages).body.at("messages").as_array().size() == 1);
}

TEST_CASE("inbox: a message that came over MQTT counts just the same", "[bridge][api][inbox]") {
    ApiWorld w;
    IncomingMessage message{"u/7777/in", R"({"text":"hi"})"};
    message.type = "chat";
    w.service.on_message(message);
    w.store_all();
    CHECK(json::serialize(w.get("/v1/inboxes/7777").body.at("by")) == R"({"chat":1})");
}

TEST_CASE("inbox: a batch is answered with an id for each message", "[bridge][api][inbox]") {
    ApiWorld w;
    auto put = w.ask(post(kMessages, R"([{"type":"like"},{"type":"comment","ttl_ms":100}])"));
    CHECK(put.response.body == R"({"ids":["k7.1","k7.2"],"unread":2})");
    w.advance(100ms);
    CHECK(w.get("/v1/inboxes/7777").body.at("unread").as_int64() == 1);
}

TEST_CASE("inbox: a batch has its limit", "[bridge][api][inbox]") {
    ApiWorld w;
    auto batch = [](std::size_t size) {
        std::string body = "[";
        for (std::size_t i = 0; i < size; ++i)
            body += i == 0 ? R"({"type":"a"})" : R"(,{"type":"a"})";
        return body + "]";
    };
    CHECK(w.ask(post(kMessages, batch(kInboxBatchMax))).response.status == 201);
    check_problem(w.ask(post(kMessages, batch(kInboxBatchMax + 1))), 400, "invalid");
    check_problem(w.ask(post(kMessages, "[]")), 400, "invalid");
}

TEST_CASE("inbox: a retry under its key is answered like the first, another body is refused",
          "[bridge][api][inbox]") {
    ApiWorld w;
    CHECK(w.ask(post(kMessages, kLike, "\"k1\"")).response.status == 201);
    auto again = w.ask(post(kMessages, kLike, "\"k1\""));
    CHECK(again.response.status == 200);
    CHECK(again.header("Idempotent-Replayed") == "true");
    CHECK(again.response.body == R"({"ids":["k7.1"],"unread":1})");
    check_problem(w.ask(post(kMessages, R"({"type":"other"})", "\"k1\"")), 422, "key-reused");
    CHECK(w.log.head_offset() == 1);
}

TEST_CASE("inbox: a key whose message is still being written is as taken as afterwards",
          "[bridge][api][inbox]") {
    ApiWorld w;
    std::optional<HttpResponse> first;
    w.api.handle(post(kMessages, kLike, "\"k1\""),
                 [&](HttpResponse response) { first = std::move(response); });
    REQUIRE_FALSE(first);
    SECTION("another body") {
        check_problem(w.ask(post(kMessages, R"({"type":"other"})", "\"k1\"")), 422, "key-reused");
        CHECK(w.log.head_offset() == 1);
    }
    SECTION("the same") {
        auto again = w.ask(post(kMessages, kLike, "\"k1\""));
        CHECK(again.response.status == 200);
        CHECK(again.response.body == R"({"ids":["k7.1"],"unread":1})");
    }
    CHECK(first->status == 201);
}

TEST_CASE("inbox: what a message may be", "[bridge][api][inbox]") {
    ApiWorld w;
    auto long_type = fmt::format(R"({{"type":"{}"}})", std::string(64, 't'));
    auto longest = fmt::format(R"({{"type":"a","collapse":"{}","ttl_ms":31536000000}})",
                               std::string(128, 'c'));
    for (auto const& good : {long_type, longest}) {
        CHECK(w.ask(post(kMessages, good)).response.status == 201);
    }
    for (auto const& bad :
         {std::string{"{}"}, std::string{"7"}, std::string{"{"}, std::string{R"({"type":""})"},
          std::string{R"({"type":"read"})"}, std::string{R"({"type":"expired"})"},
          fmt::format(R"({{"type":"{}"}})", std::string(65, 't')),
          fmt::format(R"({{"type":"a","collapse":"{}"}})", std::string(129, 'c')),
          std::string{R"({"type":"a","ttl_ms":99})"},
          std::string{R"({"type":"a","ttl_ms":31536000001})"},
          std::string{R"({"type":"a","ttl":5})"}, std::string{R"([{"type":"a"},7])"}}) {
        INFO(bad);
        check_problem(w.ask(post(kMessages, bad)), 400, "invalid");
    }
    auto wrong = w.ask(post(kMessages, R"([{"type":"a"},{"tpye":"a"}])"));
    CHECK(wrong.text("nearest") == "type");
    CHECK(wrong.text("detail").starts_with("message 1: "));
    CHECK(w.log.head_offset() == 2);
}

TEST_CASE("inbox: a name that cannot be one is told", "[bridge][api][inbox]") {
    ApiWorld w;
    for (auto const* name : {"a%2Fb", "a%2Bb", "a%23", "a%0A"}) {
        check_problem(w.get(std::string{"/v1/inboxes/"} + name), 404, "no-such-path");
    }
    CHECK(w.get("/v1/inboxes/" + std::string(128, 'x')).response.status == 200);
    check_problem(w.get("/v1/inboxes/" + std::string(129, 'x')), 404, "no-such-path");
}

TEST_CASE("inbox: a short poll that knows the state gets 304", "[bridge][api][inbox]") {
    ApiWorld w;
    w.ask(post(kMessages, kLike));
    auto known = w.ask(conditional("/v1/inboxes/7777", "\"k7.1-1\""));
    CHECK(known.response.status == 304);
    CHECK(known.response.body.empty());
    CHECK(known.header("ETag") == "\"k7.1-1\"");
    CHECK(w.ask(conditional("/v1/inboxes/7777", "\"k7.1-2\"")).response.status == 200);
}

TEST_CASE("inbox: a long poll is answered by the next change, or 304 when its time is up",
          "[bridge][api][inbox]") {
    ApiWorld w;
    w.ask(post(kMessages, kLike));
    auto poll = w.start(conditional("/v1/inboxes/7777?wait=25", "\"k7.1-1\""));
    CHECK_FALSE(poll->reply);
    CHECK(w.service.held() == 1);
    SECTION("a message") {
        w.ask(post(kMessages, kLike));
        REQUIRE(poll->reply);
        CHECK(poll->reply->response.status == 200);
        CHECK(poll->reply->body.at("unread").as_int64() == 2);
    }
    SECTION("read by another device") {
        w.ask(post("/v1/inboxes/7777/read", R"({"upto":"k7.1"})"));
        REQUIRE(poll->reply);
        CHECK(poll->reply->body.at("unread").as_int64() == 0);
    }
    SECTION("nothing") {
        w.advance(24'999ms);
        CHECK_FALSE(poll->reply);
        w.advance(1ms);
        REQUIRE(poll->reply);
        CHECK(poll->reply->response.status == 304);
    }
    SECTION("the bridge stops") {
        w.service.drain();
        REQUIRE(poll->reply);
        CHECK(poll->reply->response.status == 304);
    }
    SECTION("it was another state already") {
        auto at_once = w.ask(conditional("/v1/inboxes/7777?wait=25", "\"k7.0-0\""));
        CHECK(at_once.response.status == 200);
    }
}

TEST_CASE("inbox: reading needs a cursor of this log", "[bridge][api][inbox]") {
    ApiWorld w;
    w.ask(post(kMessages, kLike));
    struct Row {
        char const* upto;
        char const* reason;
    };
    for (auto const& row : {Row{"k8.1", "epoch"}, Row{"k7.2", "future"}, Row{"x", "malformed"}}) {
        auto body = fmt::format(R"({{"upto":"{}"}})", row.upto);
        auto reply = w.ask(post("/v1/inboxes/7777/read", body));
        check_problem(reply, 409, "cursor");
        CHECK(reply.text("reason") == row.reason);
        CHECK(reply.text("cursor") == "k7.1");
        CHECK(reply.text("snapshot") == "/v1/inboxes/7777");
    }
    for (auto const* body : {"{}", "7", R"({"upto":7})", R"({"upto":"oldest"})"}) {
        check_problem(w.ask(post("/v1/inboxes/7777/read", body)), 400, "invalid");
    }
    CHECK(w.get("/v1/inboxes/7777").body.at("unread").as_int64() == 1);
}

TEST_CASE("inbox: the list goes on where a page ended, and takes lines", "[bridge][api][inbox]") {
    ApiWorld w;
    for (int i = 0; i < 3; ++i) w.ask(post(kMessages, kLike));
    auto page = w.get(std::string{kMessages} + "?limit=2");
    CHECK(page.body.at("more").as_bool());
    CHECK(page.header("Link") == "</v1/inboxes/7777/messages?since=k7.2&limit=2>; rel=\"next\"");
    HttpRequest lines{"GET", std::string{kMessages} + "?since=k7.2"};
    lines.headers.emplace_back("Accept", "application/x-ndjson");
    auto rest = w.ask(lines);
    CHECK(rest.response.content_type == "application/x-ndjson");
    CHECK(std::ranges::count(rest.response.body, '\n') == 1);
    CHECK(rest.header("Link").empty());
    check_problem(w.get(std::string{kMessages} + "?since=k7.4"), 409, "cursor");
    check_problem(w.get(std::string{kMessages} + "?limit=0"), 400, "invalid");
    check_problem(w.get(std::string{kMessages} + "?unraed=1"), 400, "invalid");
}

TEST_CASE("inbox: who put what is in the trail, once", "[bridge][api][inbox]") {
    ApiWorld w;
    w.ask(post(kMessages, kLike, "k1"));
    w.ask(post(kMessages, kLike, "k1"));
    auto lines = w.service.audit({});
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].entry.what == "inbox.put");
    CHECK(lines[0].entry.subject == "7777");
    CHECK(lines[0].entry.who == "anonymous");
}

TEST_CASE("inbox: without a record filter there is none", "[bridge][api][inbox]") {
    struct World : ServiceWorld {
        World() : ServiceWorld{{}, {{"t/#"}}} {}
        Access access{{}, {}};
        Api api{service, access, hooks, {}};
    } w;
    std::optional<HttpResponse> answer;
    HttpRequest request{"GET", "/v1/inboxes/7777"};
    w.api.handle(request, [&](HttpResponse response) { answer = std::move(response); });
    REQUIRE(answer);
    CHECK(answer->status == 404);
}

TEST_CASE("publish: an Idempotency-Key goes along as the user property key", "[bridge][api]") {
    ApiWorld w;
    w.start(post("/v1/publish/t/1", "hello", "\"k 1\""));
    REQUIRE(w.uplink.published.size() == 1);
    auto const& properties = w.uplink.published[0].message.properties.user_properties;
    REQUIRE(properties.size() == 1);
    CHECK(properties[0].name == "key");
    CHECK(properties[0].value == "k 1");
    check_problem(w.ask(post("/v1/publish/t/1", "hello", "\"")), 400, "invalid");
}

TEST_CASE("publish: another message under a key is refused, the same is sent again",
          "[bridge][api]") {
    ApiWorld w;
    auto publish = [](std::string const& body, std::string const& topic = "t/1") {
        return post("/v1/publish/" + topic + "?qos=1", body, "\"k\"");
    };
    auto first = w.start(publish("one"));
    SECTION("while it is on its way") {}
    SECTION("when the broker has it") {
        w.uplink.published[0].done({mqtt::PublishStatus::acknowledged});
        CHECK(first->reply->response.status == 200);
    }
    check_problem(w.ask(publish("two")), 422, "key-reused");
    CHECK(w.uplink.published.size() == 1);
    w.start(publish("one"));
    w.start(publish("two", "t/2"));
    CHECK(w.uplink.published.size() == 3);
}

TEST_CASE("publish: a key is free again when its message did not go", "[bridge][api]") {
    ApiWorld w;
    auto request = post("/v1/publish/t/1?qos=1", "one", "\"k\"");
    SECTION("the bridge could not send it") {
        w.uplink.cause = mqtt::NotSent::queue_full;
        CHECK(w.ask(request).response.status == 429);
        w.uplink.cause = mqtt::NotSent::none;
    }
    SECTION("the broker has refused it") {
        auto refused = w.start(request);
        w.uplink.published[0].done(
            {.status = mqtt::PublishStatus::refused, .reason = mqtt::ReasonCode::quota_exceeded});
        CHECK(refused->reply->response.status >= 400);
    }
    auto sent = w.uplink.published.size();
    request.body = "two";
    w.start(request);
    CHECK(w.uplink.published.size() == sent + 1);
}

TEST_CASE("publish: the log knows the key of a message, whoever has sent it", "[bridge][api]") {
    ApiWorld w;
    IncomingMessage message{"t/1", "one"};
    message.key = "k";
    w.service.on_message(message);
    SECTION("while it is being written") {}
    SECTION("and afterwards") {
        w.store_all();
    }
    check_problem(w.ask(post("/v1/publish/t/1", "two", "\"k\"")), 422, "key-reused");
    CHECK(w.uplink.published.empty());
    w.start(post("/v1/publish/t/1", "one", "\"k\""));
    CHECK(w.uplink.published.size() == 1);
}

// Short-lived tokens.

struct TokenWorld : ApiWorld {
    explicit TokenWorld(Api::Settings settings = {}) : ApiWorld{keys(), settings} {}

    static KeyMaterial keys() {
        KeyMaterial out;
        out.token_keys = {parse_secret(kSecret)};
        return out;
    }

    HttpRequest as(std::string scope, HttpRequest request, std::chrono::seconds ttl = 600s,
                   std::vector<std::string> devices = {}) const {
        auto token = make_token({"7777", std::move(scope), std::move(devices), {}, {}, ttl},
                                kSecret, clock.now.wall);
        request.address = "127.0.0.1:5";
        request.headers.emplace_back("Authorization", "Bearer " + token);
        return request;
    }

    std::string make(std::string body) {
        auto reply = ask(as("inbox:7777 inbox:write", post("/v1/tokens", std::move(body))));
        CHECK(reply.response.status == 201);
        CHECK(reply.header("Cache-Control") == "no-store");
        return reply.text("token");
    }

    unsigned status_with(std::string target, std::string const& token) {
        target += (target.find('?') == std::string::npos ? "?token=" : "&token=") + token;
        return get(target).response.status;
    }
};

TEST_CASE("token: opens one request, with the rights it was made with", "[bridge][api][token]") {
    TokenWorld w;
    auto token = w.make(R"({"scope":"inbox:7777"})");
    CHECK(w.status_with("/v1/inboxes/7777", token) == 200);
    CHECK(w.status_with("/v1/inboxes/7777", token) == 401);
    token = w.make(R"({"scope":"inbox:7777"})");
    CHECK(w.status_with("/v1/inboxes/8888", token) == 403);
    CHECK(w.status_with("/v1/inboxes/7777", token) == 401);  // it was used
    token = w.make(R"({"scope":"inbox:7777"})");
    CHECK(w.status_with("/v1/inboxes/7777/messages?unread=1", token) == 200);
}

TEST_CASE("token: is taken by the routes that say so, and nowhere else", "[bridge][api][token]") {
    TokenWorld w;
    auto token = w.make(R"({"scope":"inbox:7777 inbox:write"})");
    CHECK(w.ask(post("/v1/inboxes/7777/messages?token=" + token, kLike)).response.status == 401);
    CHECK(w.ask(post("/v1/tokens?token=" + token, R"({"scope":"inbox:7777"})")).response.status ==
          401);
    CHECK(w.get("/v1/devices?token=" + token).response.status == 401);
    CHECK(w.status_with("/v1/inboxes/7777", token) == 200);  // it was not used up by those
}

TEST_CASE("token: ends", "[bridge][api][token]") {
    TokenWorld w;
    auto reply = w.ask(w.as("inbox:7777", post("/v1/tokens", R"({"scope":"inbox:7777"})")));
    CHECK(reply.text("expires_at") == "2026-11-22T19:01:00.000Z");
    w.advance(60s);
    CHECK(w.status_with("/v1/inboxes/7777", reply.text("token")) == 401);
    auto numbers = w.ask(w.as("admin", {"GET", "/metrics"})).response.body;
    CHECK_THAT(numbers, Catch::Contains("spoke_bridge_tokens_made_total 1\n") &&
                            Catch::Contains("spoke_bridge_tokens_used_total 0\n") &&
                            Catch::Contains("spoke_bridge_tokens_open 0\n"));
    auto longest =
        w.ask(w.as("inbox:7777", post("/v1/tokens", R"({"scope":"inbox:7777","ttl_s":300})")));
    CHECK(longest.response.status == 201);
    check_problem(
        w.ask(w.as("inbox:7777", post("/v1/tokens", R"({"scope":"inbox:7777","ttl_s":301})"))), 400,
        "invalid");
}

TEST_CASE("token: never lives longer than its maker's own", "[bridge][api][token]") {
    TokenWorld w;
    auto reply = w.ask(w.as("inbox:7777", post("/v1/tokens", R"({"scope":"inbox:7777"})"), 10s));
    REQUIRE(reply.response.status == 201);
    w.advance(10s + TokenRules{}.leeway);
    CHECK(w.status_with("/v1/inboxes/7777", reply.text("token")) == 401);
}

TEST_CASE("token: never allows more than its maker has", "[bridge][api][token]") {
    TokenWorld w;
    for (auto const* scope : {"inbox:*", "inbox:8888", "inbox:write", "admin", "publish:t/#"}) {
        auto body = fmt::format(R"({{"scope":"{}"}})", scope);
        check_problem(w.ask(w.as("inbox:7777", post("/v1/tokens", body))), 403, "scope");
    }
    auto devices = R"({"scope":"devices:read","dev":["b42","b43"]})";
    check_problem(w.ask(w.as("devices:read", post("/v1/tokens", devices), 600s, {"b42"})), 403,
                  "scope");
    for (auto const* body :
         {R"({})", R"({"scope":""})", R"({"scope":"nothing"})", R"({"scope":7})",
          R"({"scope":"inbox:7777","ttl_s":0})", R"({"scope":"inbox:7777","dev":[]})", "7"}) {
        INFO(body);
        check_problem(w.ask(w.as("inbox:7777", post("/v1/tokens", body))), 400, "invalid");
    }
}

TEST_CASE("token: new keys make those of before useless", "[bridge][api][token]") {
    TokenWorld w;
    auto token = w.make(R"({"scope":"inbox:7777"})");
    w.access.replace(TokenWorld::keys());
    CHECK(w.status_with("/v1/inboxes/7777", token) == 401);
}

TEST_CASE("token: there are as many as the configuration says", "[bridge][api][token]") {
    Api::Settings settings;
    settings.tokens_max = 2;
    TokenWorld w{settings};
    w.make(R"({"scope":"inbox:7777"})");
    auto second = w.make(R"({"scope":"inbox:7777"})");
    auto request = w.as("inbox:7777", post("/v1/tokens", R"({"scope":"inbox:7777"})"));
    auto refused = w.ask(request);
    check_problem(refused, 429, "rate");
    CHECK_FALSE(refused.header("Retry-After").empty());
    CHECK(w.status_with("/v1/inboxes/7777", second) == 200);
    CHECK(w.ask(request).response.status == 201);
}

TEST_CASE("token: narrows a bridge without keys as well", "[bridge][api][token]") {
    ApiWorld w;
    auto made = w.ask(post("/v1/tokens", R"({"scope":"inbox:7777"})"));
    REQUIRE(made.response.status == 201);
    CHECK(w.get("/v1/inboxes/8888?token=" + made.text("token")).response.status == 403);
    CHECK(w.get("/v1/inboxes/8888?token=st_x").response.status == 401);
    CHECK(w.get("/v1/inboxes/8888").response.status == 200);
}

// No page can make a browser do anything here.

TEST_CASE("csrf: no GET changes anything", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    w.message("u/7777/in", "{}");
    auto head = w.log.head_offset();
    auto lines = w.service.audit({}).size();
    auto sent = w.uplink.published.size();
    auto asked = 0;
    for (auto const& route : Api::route_names()) {
        if (route.method != "GET") continue;
        std::string target{route.pattern};
        for (auto begin = target.find('{'); begin != std::string::npos; begin = target.find('{')) {
            target.replace(begin, target.find('}') - begin + 1, "b42");
        }
        if (target == "/v1/events") target += "?topic=d/%23";
        w.start({"GET", target});
        ++asked;
    }
    w.store_all();
    CHECK(asked > 10);
    CHECK(w.log.head_offset() == head);
    CHECK(w.service.audit({}).size() == lines);
    CHECK(w.uplink.published.size() == sent);
    CHECK(w.store.pending.empty());
}

TEST_CASE("csrf: a cookie opens nothing, and none is set", "[bridge][api]") {
    TokenWorld w;
    auto token = make_token({"7777", "inbox:7777", {}, {}, {}, 60s}, kSecret, w.clock.now.wall);
    HttpRequest request{"GET", "/v1/inboxes/7777"};
    request.address = "127.0.0.1:5";
    for (auto const* name : {"token", "Authorization", "session"}) {
        request.headers.emplace_back("Cookie", std::string{name} + "=" + token);
    }
    auto reply = w.ask(request);
    check_problem(reply, 401, "unauthorized");
    CHECK(reply.header("Set-Cookie").empty());
    CHECK(w.ask(w.as("inbox:7777", {"GET", "/v1/inboxes/7777"})).header("Set-Cookie").empty());
}

TEST_CASE("cors: a preflight allows what browsers send", "[bridge][api]") {
    ApiWorld w;
    HttpRequest request{"OPTIONS", kMessages};
    request.headers.emplace_back("Access-Control-Request-Method", "POST");
    auto reply = w.ask(request);
    auto allowed = reply.header("Access-Control-Allow-Headers");
    for (auto const* name : {"Authorization", "Content-Type", "Idempotency-Key", "If-None-Match",
                             "Last-Event-ID", "Prefer", "Request-Id", "traceparent"}) {
        CHECK(allowed.find(name) != std::string::npos);
    }
    CHECK(reply.header("Access-Control-Allow-Methods") == "GET, HEAD, POST, OPTIONS");
}

}  // namespace
}  // namespace spoke::bridge::test
