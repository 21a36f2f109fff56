#include <catch2/catch.hpp>

#include "tests/unit/bridge/access/samples.hpp"
#include "tests/unit/bridge/support/api_world.hpp"
#include "tests/unit/bridge/support/noting_sinks.hpp"

namespace spoke::bridge::test {
namespace {

constexpr auto kLeeway = TokenRules{}.leeway;

/// A bridge with keys. Its clock goes in steps of 250 ms, as that of the streams does.
struct ExpiryWorld : ApiWorld {
    ExpiryWorld() : ApiWorld{keys()} {}

    static KeyMaterial keys() {
        KeyMaterial out;
        out.token_keys = {parse_secret(kSecret)};
        ApiKey key{"ops", sha256("spoke_ops")};
        key.scopes = Scopes::all();
        out.api_keys = {key};
        return out;
    }

    /// The request with a JWT whose rights end in `life`.
    HttpRequest with_jwt(HttpRequest request, std::chrono::seconds life) const {
        auto scope = "events:t/# inbox:7777 devices:read";
        TokenWish wish{.subject = "7777", .scope = scope, .ttl = life - kLeeway};
        return with(std::move(request), make_token(wish, kSecret, clock.now.wall));
    }

    static HttpRequest with(HttpRequest request, std::string const& credentials) {
        request.address = "127.0.0.1:5";
        request.headers.emplace_back("Authorization", "Bearer " + credentials);
        return request;
    }

    /// A short-lived token of somebody whose JWT ends in `life`.
    std::string short_token(std::chrono::seconds life) {
        HttpRequest request{"POST", "/v1/tokens"};
        request.body = R"({"scope":"events:t/#","ttl_s":60})";
        return ask(with_jwt(std::move(request), life)).text("token");
    }

    void pass(std::chrono::milliseconds time) {
        for (auto left = time; left > 0ms; left -= 250ms) advance(250ms);
    }
};

HttpRequest stream_request(std::string query = {}) {
    HttpRequest request{"GET", "/v1/events?topic=t/1" + std::move(query)};
    request.headers.emplace_back("Accept", "text/event-stream");
    return request;
}

/// A stream that was opened with a request.
struct Stream {
    Stream(ExpiryWorld& w, HttpRequest request) : reply{w.ask(std::move(request))} {
        REQUIRE(reply.response.stream.body);
        reply.response.stream.body->on_open(sink);
    }

    Reply reply;
    NotingStreamSink sink;
};

constexpr auto kExpired = "event: bye\ndata: {\"reason\":\"expired\",\"cursor\":\"k7.1\"}\n\n";

}  // namespace

TEST_CASE("expiry: a stream ends with the JWT it was opened with, with a word",
          "[bridge][api][expiry]") {
    ExpiryWorld w;
    Stream stream{w, w.with_jwt(stream_request(), 90s)};
    Stream longer{w, w.with_jwt(stream_request(), 91s)};
    Stream endless{w, w.with(stream_request(), "spoke_ops")};
    w.happens("t/2", "1");
    w.pass(89'750ms);
    CHECK_FALSE(stream.sink.ended);
    stream.sink.text.clear();
    w.pass(250ms);
    CHECK(stream.sink.ended);
    CHECK(stream.sink.text == kExpired);
    CHECK_FALSE(longer.sink.ended);
    w.happens("t/1", "1");
    CHECK(stream.sink.calls == 0);
    stream.reply.response.stream.body->on_gone();
    w.pass(1s);
    CHECK(longer.sink.ended);
    CHECK_FALSE(endless.sink.ended);
    CHECK_THAT(w.ask(w.with({"GET", "/metrics"}, "spoke_ops")).response.body,
               Catch::Contains("event_readers_expired_total 2\n"));
}

TEST_CASE("expiry: a stream lives as long as the JWT of whoever made its token, not as the token",
          "[bridge][api][expiry]") {
    ExpiryWorld w;
    Stream stream{w, stream_request("&token=" + w.short_token(90s))};
    w.happens("t/2", "1");
    w.pass(89'750ms);
    CHECK_FALSE(stream.sink.ended);
    w.pass(250ms);
    CHECK(stream.sink.ended);
    CHECK(stream.sink.text.ends_with(kExpired));
}

TEST_CASE("expiry: a stream that does not read ends all the same", "[bridge][api][expiry]") {
    ExpiryWorld w;
    Stream stream{w, w.with_jwt(stream_request(), 31s)};
    SECTION("at once, if it has no room for a word") {
        w.pass(30s);
        stream.sink.room = 1;
        w.happens("t/1", "1");
        stream.reply.response.stream.body->on_room();
        REQUIRE_FALSE(stream.sink.has_room);
        w.pass(1s);
        CHECK(stream.sink.dropped);
    }
    SECTION("after slow_timeout, if it does not take the word") {
        w.pass(31s - 250ms);
        stream.sink.room = 1;
        w.pass(250ms);
        CHECK(stream.sink.ended);
        w.pass(10s - 250ms);
        CHECK_FALSE(stream.sink.dropped);
        w.pass(250ms);
        CHECK(stream.sink.dropped);
    }
}

TEST_CASE("expiry: a stream that has gone before is forgotten", "[bridge][api][expiry]") {
    ExpiryWorld w;
    { Stream stream{w, w.with_jwt(stream_request(), 31s)}; }
    w.pass(32s);
    CHECK_THAT(w.ask(w.with({"GET", "/metrics"}, "spoke_ops")).response.body,
               Catch::Contains("event_readers_expired_total 0\n"));
}

TEST_CASE("expiry: a WebSocket is closed with the JWT it was opened with",
          "[bridge][api][expiry]") {
    ExpiryWorld w;
    auto by_token = GENERATE(false, true);
    auto path = std::string{"/v1/events?topic=t/1"};
    auto reply = by_token ? w.ask(upgrade(path + "&token=" + w.short_token(90s)))
                          : w.ask(w.with_jwt(upgrade(path), 90s));
    auto& end = *reply.response.web_socket.end;
    NotingSocketSink sink;
    end.on_open(sink);
    w.happens("t/1", "1");
    end.on_room();
    w.pass(89'750ms);
    CHECK(sink.code == 0);
    w.pass(250ms);
    CHECK(sink.code == 1008);
    CHECK(sink.reason == "token expired; go on from k7.1");
    end.on_gone();
}

TEST_CASE("expiry: a request that waits is answered as if its time were up",
          "[bridge][api][expiry]") {
    ExpiryWorld w;
    auto path = GENERATE("/v1/events?topic=t/1&wait=55", "/v1/inboxes/7777?wait=55");
    auto etag = w.ask(w.with_jwt({"GET", "/v1/inboxes/7777"}, 90s)).header("ETag");
    HttpRequest request{"GET", path};
    request.headers.emplace_back("If-None-Match", etag);
    auto poll = w.start(w.with_jwt(request, 31s));
    w.advance(30'999ms);
    CHECK_FALSE(poll->reply);
    w.advance(1ms);
    REQUIRE(poll->reply);
    CHECK(poll->reply->response.status == 304);
}

TEST_CASE("expiry: a request that waits for a command is answered with what there is",
          "[bridge][api][expiry]") {
    ExpiryWorld w;
    w.message("d/b42/up", kBirth, true);
    auto order = w.with(ApiWorld::order(R"({"do":"unlock","ttl_ms":60000})", "", "k"), "spoke_ops");
    auto id = w.ask(order).text("id");
    auto poll = w.start(w.with_jwt({"GET", "/v1/commands/" + id + "?wait=55"}, 31s));
    w.advance(30'999ms);
    CHECK_FALSE(poll->reply);
    w.advance(1ms);
    REQUIRE(poll->reply);
    CHECK(poll->reply->text("id") == id);
}

}  // namespace spoke::bridge::test
