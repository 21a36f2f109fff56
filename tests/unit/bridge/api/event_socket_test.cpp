#include "bridge/api/event_socket.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"
#include "tests/unit/bridge/support/noting_sinks.hpp"

namespace spoke::bridge::test {
namespace {

using Sink = NotingSocketSink;

struct Socket {
    Socket(ApiWorld& w, std::string query = {}) : world(w) {
        reply = w.ask(upgrade("/v1/events" + (query.empty() ? "" : "?" + query)));
        if (auto& end = reply.response.web_socket.end) end->on_open(sink);
    }

    WebSocketEnd& end() { return *reply.response.web_socket.end; }

    Socket& say(std::string const& text) {
        end().on_message(text, WebSocketSink::Kind::text);
        world.store_all();
        return *this;
    }

    /// The messages that came since; calls that were asked for are made.
    std::vector<std::string> news() {
        while (sink.calls > 0 && sink.has_room) {
            sink.calls = 0;
            end().on_room();
        }
        return std::exchange(sink.messages, {});
    }

    /// Of the events among them.
    std::vector<std::string> ids() {
        std::vector<std::string> out;
        for (auto const& message : news()) {
            auto object = json::parse(message).as_object();
            if (!object.contains("op") && object.contains("id")) {
                out.push_back(json::value_to<std::string>(object["id"]));
            }
        }
        return out;
    }

    json::object last() { return json::parse(news().back()).as_object(); }

    ApiWorld& world;
    Sink sink;
    Reply reply;
};

using Lines = std::vector<std::string>;

}  // namespace

TEST_CASE("event socket: says hello, then gives what was and what comes", "[bridge][api][socket]") {
    ApiWorld w;
    w.happens("t/1", "1");
    w.happens("t/1", "2");
    Socket socket{w, "topic=t/1&since=k7.1"};
    CHECK(socket.reply.response.status == 101);
    auto event = [](std::string const& n) {
        return R"({"id":"k7.)" + n + R"(","topic":"t/1","n":)" + n +
               R"(,"at":"2026-11-22T19:00:00.000Z","data":)" + n + "}";
    };
    CHECK(socket.news() ==
          Lines{R"({"op":"hello","resumed":true,"from":"k7.1","lost":0})", event("2")});
    w.happens("t/2", "3");
    CHECK(socket.news().empty());
    CHECK(Socket(w).news() == Lines{R"({"op":"hello","resumed":false,"from":"k7.3","lost":0})"});
}

TEST_CASE("event socket: a bad cursor is told, for each topic", "[bridge][api][socket]") {
    ApiWorld w;
    w.happens("u/7/in", "1");
    Socket socket{w, "topic=u/7/in&topic=t/%2B&since=k7.9"};
    CHECK(socket.news() ==
          Lines{R"({"op":"hello","resumed":false,"from":"k7.1","lost":null})",
                R"({"op":"reset","reason":"future","cursor":"k7.1","snapshot":"/v1/inboxes/7",)"
                R"("topic":"u/7/in"})",
                R"({"op":"reset","reason":"future","cursor":"k7.1",)"
                R"("snapshot":"/v1/events?topic=t%2F%2B&since=oldest","topic":"t/+"})"});
    w.happens("t/1", "1");
    CHECK(socket.ids() == Lines{"k7.2"});
    socket.say(R"({"op":"sub","topic":"t/9","since":"k6.1","q":5})");
    auto news = socket.news();
    REQUIRE(news.size() == 2);
    CHECK(news[0].starts_with(R"({"op":"reset","reason":"epoch","cursor":"k7.2")"));
    CHECK(news[1] == R"({"q":5,"ok":true,"resumed":false,"from":"k7.2","lost":null})");
}

TEST_CASE("event socket: topics that are added are read from where they are wanted, once each",
          "[bridge][api][socket]") {
    ApiWorld w;
    for (int i = 1; i <= 6; ++i) w.happens(i % 2 == 1 ? "t/1" : "t/2", "1");
    Socket socket{w, "topic=t/1&since=k7.2"};
    CHECK(socket.ids() == Lines{"k7.3", "k7.5"});
    SECTION("from now on") {
        CHECK(socket.say(R"({"op":"sub","topic":"t/2","q":1})").news() ==
              Lines{R"({"q":1,"ok":true,"resumed":false,"from":"k7.6","lost":0})"});
        w.happens("t/2", "1");
        CHECK(socket.ids() == Lines{"k7.7"});
    }
    SECTION("from an older cursor, without what the others have given") {
        CHECK(socket.say(R"({"op":"sub","topic":"t/#","since":"oldest","q":"x"})").ids() ==
              Lines{"k7.1", "k7.2", "k7.4", "k7.6"});
        w.happens("t/1", "1");
        w.happens("t/3", "1");
        CHECK(socket.ids() == Lines{"k7.7", "k7.8"});
        socket.say(R"({"op":"unsub","topic":"t/#"})");
        CHECK(socket.news() == Lines{R"({"ok":true})"});
        w.happens("t/3", "1");
        w.happens("t/1", "1");
        CHECK(socket.ids() == Lines{"k7.10"});
    }
    SECTION("another time, to have it again") {
        CHECK(socket.say(R"({"op":"sub","topic":"t/1","since":"k7.1"})").ids() ==
              Lines{"k7.3", "k7.5"});
    }
    SECTION("while the others lag behind") {
        socket.sink.room = 1;
        for (int i = 0; i < 100; ++i) w.happens("t/1", "1");  // 7 to 106
        auto got = socket.ids();
        socket.say(R"({"op":"sub","topic":"t/2","since":"k7.1"})");
        socket.sink.has_room = true;
        socket.sink.room = -1;
        socket.end().on_room();
        auto rest = socket.ids();
        REQUIRE(rest.size() > 3);
        CHECK(Lines(rest.begin(), rest.begin() + 3) == Lines{"k7.2", "k7.4", "k7.6"});
        got.insert(got.end(), rest.begin() + 3, rest.end());
        Lines expected;
        for (int i = 7; i <= 106; ++i) expected.push_back("k7." + std::to_string(i));
        CHECK(got == expected);
    }
    SECTION("not twice at the same time") {
        auto last = socket.say(R"({"op":"unsub","topic":"t/2","q":2})").last();
        CHECK(last.at("ok").as_bool() == false);
        CHECK(last.at("problem").at("status").as_int64() == 400);
    }
}

TEST_CASE("event socket: operations do what the routes do", "[bridge][api][socket]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth, true);
    Socket socket{w};
    socket.news();
    SECTION("publish") {
        socket.say(
            R"({"op":"publish","topic":"a/b","data":{"x":1.5},"qos":1,"retain":true,"q":2})");
        CHECK(socket.news().empty());
        auto& sent = w.uplink.published.back();
        CHECK(sent.message.topic == "a/b");
        CHECK(as_text(sent.message.payload) == R"({"x":1.5})");
        CHECK(sent.message.qos == mqtt::Qos::at_least_once);
        CHECK(sent.message.retain);
        sent.done({mqtt::PublishStatus::acknowledged});
        auto answer = socket.last();
        CHECK(answer.at("q").as_int64() == 2);
        CHECK(answer.at("ok").as_bool());
        CHECK(answer.at("topic").as_string() == "a/b");
    }
    SECTION("publish text") {
        socket.say(R"({"op":"publish","topic":"a","text":"hé"})");
        CHECK(as_text(w.uplink.published.back().message.payload) == "hé");
    }
    SECTION("a command") {
        w.store.automatic = true;
        socket.say(
            R"({"op":"command","device":"b42","do":"unlock","key":"a\"b","args":{"r":1},"q":"c"})");
        auto answer = socket.last();
        CHECK(answer.at("ok").as_bool());
        CHECK(answer.at("command").at("device").as_string() == "b42");
        CHECK(answer.at("command").at("args").at("r").as_int64() == 1);
        socket.say(R"({"op":"command","device":"b42","do":"unlock","key":"a\"b","args":{"r":2}})");
        auto refused = socket.last();
        CHECK_FALSE(refused.contains("q"));
        CHECK(refused.at("ok").as_bool() == false);
        CHECK(refused.at("problem").at("type").as_string() == "/problems/key-reused");
    }
    SECTION("what cannot be done") {
        socket.say(R"({"op":"command","device":"b9","do":"unlock","key":"k","q":3})");
        auto answer = socket.last();
        CHECK(answer.at("q").as_int64() == 3);
        CHECK(answer.at("problem").at("type").as_string() == "/problems/no-such-device");
    }
}

TEST_CASE("event socket: operations that cannot be read", "[bridge][api][socket]") {
    auto [text, member] = GENERATE(table<std::string, std::string>({
        {"", ""},
        {"[1]", ""},
        {"{\"op\":\"sub\"", ""},
        {R"({"q":1})", "op"},
        {R"({"op":"look","q":1})", "op"},
        {R"({"op":7})", "op"},
        {R"({"op":"sub","q":1})", "topic"},
        {R"({"op":"sub","topic":"a/#/b","q":1})", "topic"},
        {R"({"op":"sub","topic":"a","from":"k7.1","q":1})", "from"},
        {R"({"op":"sub","topic":"a","since":1})", "since"},
        {R"({"op":"sub","topic":"a","q":1.5})", "q"},
        {R"({"op":"publish","topic":"a","q":1})", "data"},
        {R"({"op":"publish","topic":"a","data":1,"text":"1"})", "data"},
        {R"({"op":"publish","topic":"a","data":1,"qos":3})", "qos"},
        {R"({"op":"publish","topic":"a","data":1,"retain":1})", "retain"},
        {R"({"op":"publish","topic":"a/+","data":1})", "topic"},
        {R"({"op":"command","do":"unlock"})", "device"},
        {R"({"op":"command","device":"b1","do":"unlock","key":"k","dont":1})", "dont"},
        {R"({"op":"read","upto":"k7.1"})", "who"},
    }));
    INFO(text);
    ApiWorld w;
    Socket socket{w};
    socket.news();
    socket.say(text);
    auto answer = socket.last();
    CHECK(answer.at("ok").as_bool() == false);
    auto const& problem = answer.at("problem").as_object();
    CHECK(problem.at("type").as_string() == "/problems/invalid");
    if (!member.empty()) CHECK(problem.at("member").as_string() == member);
    CHECK(w.uplink.published.empty());
    // It goes on all the same.
    CHECK(socket.say(R"({"op":"sub","topic":"a","q":9})").last().at("ok").as_bool());
}

TEST_CASE("event socket: no more operations at a time than the bound", "[bridge][api][socket]") {
    ApiWorld w;
    auto others = w.log.followers();
    Socket socket{w, "topic=t/1"};
    for (std::size_t i = 0; i < EventSocket::kOperationsMax; ++i) {
        CHECK_FALSE(socket.sink.is_paused);
        socket.say(R"({"op":"publish","topic":"a","data":1,"qos":1})");
    }
    CHECK(socket.sink.is_paused);
    w.uplink.published.front().done({mqtt::PublishStatus::acknowledged});
    CHECK_FALSE(socket.sink.is_paused);
    SECTION("the answers of one that has gone go nowhere") {
        socket.news();
        socket.end().on_gone();
        w.uplink.published.back().done({mqtt::PublishStatus::acknowledged});
        CHECK(socket.news().empty());
        CHECK(w.log.followers() == others);
    }
}

TEST_CASE("event socket: a slow one is told where to go on", "[bridge][api][socket]") {
    ApiWorld w;
    w.happens("t/1", "1");
    Socket socket{w, "topic=t/1"};
    socket.news();
    socket.sink.room = 2;
    w.happens("t/1", "2");
    CHECK(socket.ids() == Lines{"k7.2"});
    w.happens("t/1", "3");
    CHECK(socket.ids() == Lines{"k7.3"});
    for (int i = 0; i < 100; ++i) w.happens("t/1", "4");
    for (int i = 0; i < 39; ++i) w.advance(250ms);
    CHECK(socket.sink.code == 0);
    CHECK(socket.ids().empty());
    socket.say(R"({"op":"sub","topic":"t/2"})");
    CHECK(socket.sink.is_paused);
    w.advance(250ms);
    CHECK(socket.sink.code == 1013);
    CHECK(socket.sink.reason == "slow; go on from k7.2");
}

TEST_CASE("event socket: one that the retention overtakes is reset, for each topic, and goes on",
          "[bridge][api][socket]") {
    auto world = ApiWorld::with_short_log(10);
    auto& w = *world;
    Socket socket{w, "topic=t/1&topic=t/2"};
    socket.news();
    socket.sink.room = 1;
    w.happens("t/1", "1");
    CHECK(socket.ids() == Lines{"k7.1"});
    w.happens_often("t/2", 100);
    CHECK(socket.news().empty());
    socket.sink.has_room = true;
    socket.sink.room = -1;
    socket.end().on_room();
    auto news = socket.news();
    REQUIRE(news.size() == 2 + 10);
    for (std::size_t i = 0; i < 2; ++i) {
        auto number = std::to_string(i + 1);
        CHECK(news[i] == R"({"op":"reset","reason":"too-old","cursor":"k7.91",)"
                         R"("snapshot":"/v1/events?topic=t%2F)" +
                             number + R"(&since=oldest","topic":"t/)" + number + R"("})");
    }
    CHECK(news[2].starts_with(R"({"id":"k7.92")"));
    w.happens("t/1", "1");
    CHECK(socket.ids() == Lines{"k7.102"});
    SECTION("its cursor is one to come back with") {
        Socket next{w, "topic=t/1&topic=t/2&since=k7.92"};
        CHECK(next.news().front() == R"({"op":"hello","resumed":true,"from":"k7.92","lost":0})");
    }
    SECTION("a topic that is added from there is read from there") {
        socket.say(R"({"op":"sub","topic":"t/#","since":"k7.92","q":1})");
        auto answered = socket.news();
        CHECK(answered.front() == R"({"q":1,"ok":true,"resumed":true,"from":"k7.92","lost":0})");
    }
}

TEST_CASE("event socket: a change of its topics does not hide what the retention took",
          "[bridge][api][socket]") {
    auto world = ApiWorld::with_short_log(10);
    auto& w = *world;
    Socket socket{w, "topic=t/1&topic=u/7777/in"};
    socket.news();
    socket.sink.room = 1;
    w.happens("t/1", "1");
    CHECK(socket.ids() == Lines{"k7.1"});
    w.happens_often("t/1", 100);
    auto const* operation = GENERATE(as<char const*>{}, R"({"op":"sub","topic":"t/2","q":1})",
                                     R"({"op":"unsub","topic":"u/7777/in","q":1})");
    socket.say(operation);
    CHECK(socket.last().at("ok").as_bool());
    socket.news();
    socket.sink.has_room = true;
    socket.sink.room = -1;
    socket.end().on_room();
    auto news = socket.news();
    REQUIRE(news.size() == 1 + 10);
    CHECK(news[0] == R"({"op":"reset","reason":"too-old","cursor":"k7.91",)"
                     R"("snapshot":"/v1/events?topic=t%2F1&since=oldest","topic":"t/1"})");
}

TEST_CASE("event socket: what another topic was given before it was removed is no loss",
          "[bridge][api][socket]") {
    auto world = ApiWorld::with_short_log(10);
    auto& w = *world;
    w.happens("u/7777/in", "1");
    Socket socket{w, "topic=t/1"};
    for (int i = 0; i < 100; ++i) {
        w.happens("t/1", "1");
        socket.end().on_room();
    }
    CHECK(socket.ids().size() == 100);
    socket.say(R"({"op":"sub","topic":"u/7777/in","since":"oldest","q":1})");
    socket.end().on_room();
    auto news = socket.news();
    REQUIRE(news.size() == 2);
    CHECK(news[1].starts_with(R"({"id":"k7.1",)"));
}

TEST_CASE("event socket: closes by name at the end and for what it does not take",
          "[bridge][api][socket]") {
    ApiWorld w;
    w.happens("t/1", "1");
    Socket socket{w, "topic=t/1"};
    SECTION("the bridge stops") {
        socket.end().on_stop();
        CHECK(socket.sink.code == 1001);
        CHECK(socket.sink.reason == "the bridge stops; go on from k7.1");
    }
    SECTION("binary messages") {
        socket.end().on_message("x", WebSocketSink::Kind::binary);
        CHECK(socket.sink.code == 1003);
    }
}

TEST_CASE("event socket: shows each 15 s how far the log is", "[bridge][api][socket]") {
    ApiWorld w;
    Socket socket{w, "topic=t/1"};
    w.happens("t/2", "1");
    socket.news();
    for (int i = 0; i < 120; ++i) w.advance(250ms);
    CHECK(socket.news() == Lines{R"({"op":"cursor","id":"k7.1"})"});
}

}  // namespace spoke::bridge::test
