#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/api_world.hpp"
#include "tests/unit/bridge/support/noting_sinks.hpp"

namespace spoke::bridge::test {
namespace {

HttpRequest events(std::string query) {
    return {"GET", "/v1/events?" + std::move(query)};
}

HttpRequest with(HttpRequest request, std::string name, std::string value) {
    request.headers.emplace_back(std::move(name), std::move(value));
    return request;
}

std::vector<std::string> ids(Reply const& reply) {
    std::vector<std::string> out;
    for (auto const& event : reply.body.at("events").as_array()) {
        out.push_back(json::value_to<std::string>(event.at("id")));
    }
    return out;
}

using Ids = std::vector<std::string>;

Api::Settings few() {
    Api::Settings settings;
    settings.events.polls_max = 2;
    settings.events.streams_max = 2;
    settings.events.filters_max = 3;
    return settings;
}

using Sink = NotingStreamSink;

struct Stream {
    Stream(ApiWorld& w, std::string query, std::string last_id = {}) {
        auto request = with(events(std::move(query)), "Accept", "text/event-stream");
        if (!last_id.empty()) request = with(request, "Last-Event-ID", last_id);
        reply = w.ask(request);
        if (reply.response.stream.body) reply.response.stream.body->on_open(sink);
    }

    /// What came since; calls that were asked for are made.
    std::string news() {
        while (sink.calls > 0 && sink.has_room) {
            sink.calls = 0;
            reply.response.stream.body->on_room();
        }
        return std::exchange(sink.text, {});
    }

    void make_room(int sends = -1) {
        sink.has_room = true;
        sink.room = sends;
        reply.response.stream.body->on_room();
    }

    Sink sink;
    Reply reply;
};

std::string frame(std::string const& id, std::string const& topic, int n) {
    return "id: " + id + "\ndata: {\"id\":\"" + id + "\",\"topic\":\"" + topic +
           "\",\"n\":" + std::to_string(n) + ",\"at\":\"2026-11-22T19:00:00.000Z\",\"data\":1}\n\n";
}

}  // namespace

TEST_CASE("events: a short poll gives what is behind the cursor", "[bridge][api][events]") {
    ApiWorld w;
    w.happens("t/1", R"({"g":1.8})", "moved");
    w.happens("t/2", "2");
    w.happens("t/1", "3");
    auto all = w.ask(events("topic=t/%23&since=oldest"));
    CHECK(ids(all) == Ids{"k7.1", "k7.2", "k7.3"});
    CHECK(all.text("next") == "k7.3");
    CHECK(all.header("Event-Cursor") == "k7.3");
    CHECK(all.header("ETag") == "\"k7.3\"");
    CHECK(all.header("Cache-Control") == "no-cache");
    CHECK(json::serialize(all.body.at("events").at(0)) ==
          R"({"id":"k7.1","topic":"t/1","n":1,"type":"moved","at":"2026-11-22T19:00:00.000Z",)"
          R"("data":{"g":1.8E0}})");
    CHECK(ids(w.ask(events("topic=t/1&since=k7.1"))) == Ids{"k7.3"});
    CHECK(ids(w.ask(events("topic=t/2&topic=t/1&since=k7.1"))) == Ids{"k7.2", "k7.3"});
    auto none = w.ask(events("topic=t/2&since=k7.2"));
    CHECK(ids(none).empty());
    CHECK(none.text("next") == "k7.3");
    auto from_now = w.ask(events("topic=t/1"));
    CHECK(ids(from_now).empty());
    CHECK(from_now.text("next") == "k7.3");
    auto first = w.ask(events("topic=t/%2B&since=oldest&limit=2"));
    CHECK(ids(first) == Ids{"k7.1", "k7.2"});
    CHECK(first.text("next") == "k7.2");
    CHECK(first.header("ETag") == "\"k7.2-more\"");
}

TEST_CASE("events: a short poll that knows the newest gets 304, later and later",
          "[bridge][api][events]") {
    ApiWorld w;
    w.happens("t/1", "1");
    auto first = w.ask(events("topic=t/1&since=oldest"));
    auto poll = [&](std::string since) {
        return w.ask(
            with(events("topic=t/1&since=" + since), "If-None-Match", first.header("ETag")));
    };
    auto unchanged = poll("k7.1");
    CHECK(unchanged.response.status == 304);
    CHECK(unchanged.response.body.empty());
    CHECK(unchanged.header("ETag") == first.header("ETag"));
    CHECK(unchanged.header("Retry-After") == "1");
    w.happens("t/2", "other");
    CHECK(poll("k7.1").header("Event-Cursor") == "k7.2");
    std::vector<std::pair<std::chrono::milliseconds, std::string>> waits{
        {1'999ms, "1"}, {1ms, "2"}, {2s, "4"}, {4s, "8"}, {8s, "16"}, {13'999ms, "16"}, {3h, "30"}};
    for (auto const& [step, seconds] : waits) {
        w.advance(step);
        auto later = poll("k7.2");
        CHECK(later.response.status == 304);
        CHECK(later.header("Retry-After") == seconds);
    }
    w.happens("t/1", "2");
    CHECK(ids(poll("k7.2")) == Ids{"k7.3"});
    CHECK(poll("k7.3").response.status == 200);  // its tag is another now
    // The events of this answer were known, but that there are no more is new.
    auto more = w.ask(events("topic=t/1&since=oldest&limit=1"));
    auto rest = w.ask(with(events("topic=t/1&since=k7.1"), "If-None-Match", more.header("ETag")));
    CHECK(ids(rest) == Ids{"k7.3"});
}

TEST_CASE("events: a long poll is answered at the first event, with what comes in 20 ms",
          "[bridge][api][events]") {
    ApiWorld w;
    w.happens("t/1", "0");
    auto poll = w.start(events("topic=t/1&since=k7.1&wait=25"));
    CHECK_FALSE(poll->reply);
    w.happens("t/2", "other");
    w.advance(10s);
    w.happens("t/1", "1");
    w.advance(19ms);
    w.happens("t/1", "2");
    CHECK_FALSE(poll->reply);
    w.advance(1ms);
    REQUIRE(poll->reply);
    CHECK(ids(*poll->reply) == Ids{"k7.3", "k7.4"});
    CHECK(poll->reply->text("next") == "k7.4");
    SECTION("what is there already is given at once") {
        CHECK(ids(w.ask(events("topic=t/1&since=k7.3&wait=25"))) == Ids{"k7.4"});
    }
    SECTION("no more than the limit, and from there on") {
        auto next = w.start(events("topic=t/1&since=k7.4&wait=25&limit=2"));
        for (int i = 0; i < 3; ++i) w.happens("t/1", "1");
        w.advance(20ms);
        REQUIRE(next->reply);
        CHECK(ids(*next->reply) == Ids{"k7.5", "k7.6"});
        CHECK(next->reply->text("next") == "k7.6");
        CHECK(ids(w.ask(events("topic=t/1&since=k7.6&wait=25"))) == Ids{"k7.7"});
    }
}

TEST_CASE("events: a long poll without an event gets 304 when its time is up",
          "[bridge][api][events]") {
    ApiWorld w;
    auto poll = w.start(events("topic=t/1&wait=25"));
    w.happens("t/2", "1");
    w.advance(24'999ms);
    CHECK_FALSE(poll->reply);
    w.advance(1ms);
    REQUIRE(poll->reply);
    CHECK(poll->reply->response.status == 304);
    CHECK(poll->reply->header("Event-Cursor") == "k7.1");
    // On from there nothing is lost.
    w.happens("t/1", "1");
    CHECK(ids(w.ask(events("topic=t/1&since=k7.1&wait=25"))) == Ids{"k7.2"});
}

TEST_CASE("events: whatever the moment an event comes, a long poll has it",
          "[bridge][api][events]") {
    // Written, and committed before, while or after the poll is asked for.
    auto committed_before = GENERATE(true, false);
    ApiWorld w;
    EventDraft draft;
    draft.topic = "t/1";
    w.log.record(draft, Need::now_or_never, w.clock.now, {});
    if (committed_before) w.store_all();
    std::optional<HttpResponse> got;
    w.api.handle(events("topic=t/1&since=k7.0&wait=25"),
                 [&](HttpResponse response) { got = std::move(response); });
    CHECK(got.has_value() == committed_before);
    w.store_all();
    w.advance(20ms);
    REQUIRE(got);
    CHECK(got->status == 200);
    CHECK(got->body.find("\"k7.1\"") != std::string::npos);
}

TEST_CASE("events: a long poll whose peer has gone is forgotten", "[bridge][api][events]") {
    ApiWorld w{KeyMaterial{}, few()};
    auto others = w.log.followers();
    std::function<void()> gone;
    auto request = events("topic=t/1&wait=25");
    request.when_gone = [&](std::function<void()> told) { gone = std::move(told); };
    auto first = w.start(request);
    auto second = w.start(events("topic=t/1&wait=25"));
    check_problem(w.ask(events("topic=t/1&wait=25")), 503, "too-many-readers");
    CHECK(w.ask(events("topic=t/1&wait=25")).header("Retry-After") == "5");
    CHECK(w.ask(events("topic=t/1")).response.status == 200);
    gone();
    auto third = w.start(events("topic=t/1&wait=25"));
    w.happens("t/1", "1");
    w.advance(20ms);
    CHECK_FALSE(first->reply);
    CHECK(second->reply);
    CHECK(third->reply);
    CHECK(w.log.followers() == others + 1);  // the newest event of t/1 is remembered
}

TEST_CASE("events: polls that wait are answered when the bridge stops", "[bridge][api][events]") {
    ApiWorld w;
    auto poll = w.start(events("topic=t/1&wait=25"));
    w.service.drain();
    w.api.drain();
    REQUIRE(poll->reply);
    CHECK(poll->reply->response.status == 304);
    CHECK(w.ask(events("topic=t/1&wait=25")).response.status == 200);
}

TEST_CASE("events: a cursor that nobody can go on from is a problem with a way out",
          "[bridge][api][events]") {
    ApiWorld w;
    w.happens("u/7777/in", "1");
    auto [cursor, reason] = GENERATE(table<std::string, std::string>({{"nonsense", "malformed"},
                                                                      {"k7.01", "malformed"},
                                                                      {"k7.", "malformed"},
                                                                      {"k8.1", "epoch"},
                                                                      {"k7.2", "future"}}));
    auto wait = GENERATE("", "&wait=25");
    auto reply = w.ask(events("topic=u/7777/in&since=" + cursor + wait));
    check_problem(reply, 409, "cursor");
    CHECK(reply.text("reason") == reason);
    CHECK(reply.text("cursor") == "k7.1");
    CHECK(reply.text("snapshot") == "/v1/inboxes/7777");
}

TEST_CASE("events: requests that cannot be read", "[bridge][api][events]") {
    ApiWorld w{KeyMaterial{}, few()};
    auto [query, member] = GENERATE(table<std::string, std::string>({{"", "topic"},
                                                                     {"topic=", "topic"},
                                                                     {"topic=a/%23/b", "topic"},
                                                                     {"topic=$share/g/a", "topic"},
                                                                     {"topic=a&wait=x", "wait"},
                                                                     {"topic=a&limit=0", "limit"},
                                                                     {"topics=a", "topics"}}));
    auto reply = w.ask(events(query));
    check_problem(reply, 400, "invalid");
    CHECK(reply.text("member") == member);
    CHECK(w.ask(events("topic=1&topic=2&topic=3&topic=3")).response.status == 200);
    check_problem(w.ask(events("topic=1&topic=2&topic=3&topic=4")), 400, "invalid");
}

TEST_CASE("events: a stream says hello, then gives what was and what comes",
          "[bridge][api][events]") {
    ApiWorld w;
    w.happens("t/1", "1");
    w.happens("t/1", "1");
    Stream stream{w, "topic=t/1&since=oldest", "k7.1"};
    auto const& response = stream.reply.response;
    CHECK(response.content_type == "text/event-stream");
    CHECK(response.header("Cache-Control") == "no-cache");
    CHECK(response.header("X-Accel-Buffering") == "no");
    CHECK(response.body.starts_with("retry: "));
    auto retry = std::stoi(response.body.substr(7));
    CHECK((retry >= 2'000 && retry <= 5'000));
    CHECK(response.body.ends_with(
        "\nid: k7.1\nevent: hello\ndata: {\"resumed\":true,\"from\":\"k7.1\",\"lost\":0}\n\n"));
    CHECK(stream.news() == frame("k7.2", "t/1", 2));
    w.happens("t/2", "1");
    CHECK(stream.sink.calls == 0);
    w.happens("t/1", "1");
    w.happens("t/1", "1");
    CHECK(stream.sink.calls == 1);
    CHECK(stream.news() == frame("k7.4", "t/1", 3) + frame("k7.5", "t/1", 4));
    CHECK(stream.news().empty());
}

TEST_CASE("events: streams share the bytes of a frame", "[bridge][api][events]") {
    ApiWorld w;
    Stream one{w, "topic=t/1"};
    Stream two{w, "topic=t/%23"};
    CHECK(one.reply.response.body.ends_with(
        "data: {\"resumed\":false,\"from\":\"k7.0\",\"lost\":0}\n\n"));
    w.happens("t/1", "1");
    one.news();
    two.news();
    CHECK(one.sink.sent.at(0) == two.sink.sent.at(0));
}

TEST_CASE("events: a stream from a bad cursor is reset and goes on from the end",
          "[bridge][api][events]") {
    ApiWorld w;
    w.happens("d/b42/evt", "1");
    Stream stream{w, "topic=d/b42/%23&since=k6.9"};
    CHECK(stream.reply.response.body.ends_with(
        "id: k7.1\nevent: hello\ndata: {\"resumed\":false,\"from\":\"k7.1\",\"lost\":null}\n\n"
        "event: reset\ndata: {\"reason\":\"epoch\",\"cursor\":\"k7.1\","
        "\"snapshot\":\"/v1/devices/b42\"}\n\n"));
    w.happens("d/b42/evt", "1");
    CHECK(stream.news() == frame("k7.2", "d/b42/evt", 2));
}

TEST_CASE("events: a stream without events shows each 15 s how far the log is",
          "[bridge][api][events]") {
    ApiWorld w;
    std::vector<std::unique_ptr<Stream>> streams;
    for (int i = 0; i < 3; ++i) streams.push_back(std::make_unique<Stream>(w, "topic=t/1"));
    w.happens("t/2", "1");
    for (int i = 0; i < 60; ++i) w.advance(250ms);
    for (auto& stream : streams) CHECK(stream->news().empty());  // said hello in this period
    for (int i = 0; i < 60; ++i) w.advance(250ms);
    for (auto& stream : streams) CHECK(stream->news() == ":\nid: k7.1\n\n");
    w.happens("t/1", "1");
    for (auto& stream : streams) CHECK_FALSE(stream->news().empty());
    for (int i = 0; i < 60; ++i) w.advance(250ms);
    for (auto& stream : streams) CHECK(stream->news().empty());
    streams.clear();
    for (int i = 0; i < 2; ++i) w.advance(250ms);
    w.wake.reset();
    w.advance(1h);
    CHECK_FALSE(w.wake);  // nobody is there: the timer rests
}

TEST_CASE("events: a slow stream loses nothing and is given up in the end",
          "[bridge][api][events]") {
    ApiWorld w;
    Stream stream{w, "topic=t/1"};
    stream.sink.room = 1;
    std::string expected;
    for (int i = 1; i <= 200; ++i) {
        w.happens("t/1", "1");
        expected += frame("k7." + std::to_string(i), "t/1", i);
        if (i == 1) CHECK(stream.news() == std::exchange(expected, {}));
    }
    CHECK_FALSE(stream.sink.has_room);
    SECTION("it comes back in time") {
        for (int i = 0; i < 39; ++i) w.advance(250ms);
        CHECK_FALSE(stream.sink.dropped);
        std::string got;
        stream.make_room(1);
        got += std::exchange(stream.sink.text, {});
        CHECK(got.size() < expected.size());
        for (int i = 0; i < 39; ++i) w.advance(250ms);
        CHECK_FALSE(stream.sink.dropped);
        stream.make_room();
        got += stream.news();
        CHECK(got == expected);
    }
    SECTION("it does not") {
        for (int i = 0; i < 40; ++i) w.advance(250ms);
        CHECK(stream.sink.dropped);
        CHECK(stream.sink.text.empty());
    }
}

TEST_CASE("events: a stream that the retention overtakes is reset and goes on with what is kept",
          "[bridge][api][events]") {
    auto world = ApiWorld::with_short_log(10);
    auto& w = *world;
    Stream stream{w, "topic=t/1"};
    auto reset = [](std::string const& id) {
        return "id: " + id + "\nevent: reset\ndata: {\"reason\":\"too-old\",\"cursor\":\"" + id +
               "\",\"snapshot\":\"/v1/events?topic=t%2F1&since=oldest\"}\n\n";
    };
    auto frames = [](int first, int last) {
        std::string out;
        for (int n = first; n <= last; ++n) out += frame("k7." + std::to_string(n), "t/1", n);
        return out;
    };
    stream.sink.room = 1;
    w.happens("t/1", "1");
    CHECK(stream.news() == frames(1, 1));
    w.happens_often("t/1", 100);
    stream.make_room();
    CHECK(stream.news() == reset("k7.91") + frames(92, 101));
    w.happens("t/1", "1");
    CHECK(stream.news() == frames(102, 102));
    SECTION("its cursor is one to come back with") {
        Stream next{w, "topic=t/1", "k7.92"};
        CHECK(next.reply.response.body.find("\"resumed\":true") != std::string::npos);
        CHECK(next.news() == frames(93, 102));
    }
    SECTION("each time that it happens") {
        stream.make_room(1);
        w.happens("t/1", "1");
        CHECK(stream.news() == frames(103, 103));
        w.happens_often("t/1", 70);
        stream.make_room();
        CHECK(stream.news() == reset("k7.163") + frames(164, 173));
    }
    SECTION("not where what was removed waits for it") {
        w.happens_often("t/1", 11);
        CHECK(w.events.removed_upto(0) == 103);
        CHECK(stream.news() == frames(103, 113));
    }
}

TEST_CASE("events: a long poll that the retention overtakes is told from where to go on",
          "[bridge][api][events]") {
    auto world = ApiWorld::with_short_log(10);
    auto& w = *world;
    auto poll = w.start(events("topic=t/1&topic=u/7/in&wait=25"));
    w.happens("u/7/in", "1");
    w.happens_often("t/1", 100);  // 2 to 101, in the time of its batch
    w.advance(20ms);
    REQUIRE(poll->reply);
    check_problem(*poll->reply, 409, "cursor");
    CHECK(poll->reply->text("reason") == "too-old");
    CHECK(poll->reply->text("snapshot") == "/v1/events?topic=t%2F1&since=oldest");
    // Not from before u/7/in, which is kept: what was removed of t/1 lies behind that.
    CHECK(poll->reply->text("cursor") == "k7.91");
    auto next = w.ask(events("topic=t/1&topic=u/7/in&wait=25&since=k7.91"));
    CHECK(next.response.status == 200);
    CHECK(ids(next).front() == "k7.92");
    CHECK(next.text("next") == "k7.101");
}

TEST_CASE("events: as many streams as there may be", "[bridge][api][events]") {
    ApiWorld w{KeyMaterial{}, few()};
    auto first = std::make_unique<Stream>(w, "topic=t/1");
    Stream second{w, "topic=t/1"};
    check_problem(Stream(w, "topic=t/1").reply, 503, "too-many-readers");
    first.reset();
    CHECK(Stream(w, "topic=t/1").reply.response.status == 200);
}

TEST_CASE("events: a stream says good-bye when the bridge stops", "[bridge][api][events]") {
    ApiWorld w;
    Stream stream{w, "topic=t/1"};
    w.happens("t/2", "1");
    SECTION("to one that listens") {
        stream.reply.response.stream.body->on_stop();
        CHECK(stream.sink.text ==
              "event: bye\ndata: {\"reason\":\"stopping\",\"cursor\":\"k7.1\"}\n\n");
        CHECK(stream.sink.ended);
        w.happens("t/1", "1");
        CHECK(stream.sink.calls == 0);
    }
    SECTION("not to one that does not") {
        stream.sink.room = 1;
        w.happens("t/1", "1");
        stream.news();
        stream.reply.response.stream.body->on_stop();
        CHECK(stream.sink.dropped);
    }
}

}  // namespace spoke::bridge::test
