#include "device-sim/watch/reading.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket/stream.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace spoke::sim::test {
namespace {

namespace net = boost::asio;
namespace websocket = boost::beast::websocket;
using boost::system::error_code;
using net::ip::tcp;

/// Writes down what a reading tells.
struct Listener final : ReadingEvents {
    void on_connected() override { said.emplace_back("connected"); }
    void on_event(SeenEvent const& event) override {
        said.push_back("event " + event.place.text());
        if (leaves_at_event) leaves_at_event();
    }
    void on_cursor(std::string const& cursor) override { said.push_back("cursor " + cursor); }
    void on_hello(HelloNote const& note) override {
        said.push_back(fmt::format("hello {} {}{}", note.resumed, note.lost,
                                   note.topic.empty() ? "" : " " + note.topic));
    }
    void on_reset(ResetNote const& note) override {
        said.push_back(fmt::format("reset {} {}", note.reason, note.cursor));
    }
    void on_over(std::string const& why, std::chrono::milliseconds wait) override {
        said.push_back(fmt::format("over {} {}", wait.count(), why));
        is_over = true;
    }

    std::vector<std::string> said;
    std::function<void()> leaves_at_event;
    bool is_over = false;
};

/// A server of one connection that reads what comes and says what the test gives it.
struct World {
    World() {
        options.http.port = acceptor.local_endpoint().port();
        options.poll_every = std::chrono::milliseconds{1};
        options.leave_every = std::chrono::milliseconds{4};
        accept();
    }

    void accept() {
        acceptor.async_accept([this](error_code error, tcp::socket peer) {
            if (error) return;
            socket = std::move(peer);
            if (!is_web_socket) return read();
            server.emplace(std::move(socket));
            server->async_accept([this](error_code e) { is_accepted = !e; });
        });
    }

    void read() {
        socket.async_read_some(net::buffer(chunk), [this](error_code error, std::size_t size) {
            if (error) {
                is_closed = true;
                return;
            }
            received.append(chunk.data(), size);
            read();
        });
    }

    void run_until(std::function<bool()> const& done) {
        while (!done()) {
            if (context.stopped()) context.restart();
            REQUIRE(context.run_one() > 0);
        }
    }

    void start(Way way, std::string since = "k7.10", bool asks_by_header = true) {
        ReadingWish wish{{"t/#", "u/+/in"}, std::move(since), "me", asks_by_header, subscribes, 1};
        reading = make_reading(way, context, hub, options, std::move(wish), listener);
        reading->start();
    }

    /// The next request, which is taken away.
    std::string request() {
        run_until([this] { return received.find("\r\n\r\n") != std::string::npos; });
        return std::exchange(received, {});
    }

    void say(std::string_view text) { net::write(socket, net::buffer(text)); }
    void answer(std::string_view head, std::string_view body) {
        say(fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n\r\n{}", head, body.size(), body));
    }

    /// Runs until the listener has been told so much; all of it.
    std::vector<std::string> said(std::size_t count) {
        run_until([&] { return listener.said.size() >= count; });
        return std::exchange(listener.said, {});
    }

    net::io_context context;
    mqtt::LinkHub hub{context, 1};
    tcp::acceptor acceptor{context, {net::ip::make_address("127.0.0.1"), 0}};
    tcp::socket socket{context};
    /// The next operation of the peer, the topic of which is told as what it is.
    std::string operation() {
        boost::beast::flat_buffer buffer;
        bool is_there = false;
        server->async_read(buffer, [&](error_code error, std::size_t) { is_there = !error; });
        run_until([&] { return is_there; });
        auto text = boost::beast::buffers_to_string(buffer.data());
        auto from = text.find(R"("topic":")") + 9;
        topic = text.substr(from, text.find('"', from) - from);
        return text.replace(from, topic.size(), "*");
    }

    std::optional<websocket::stream<tcp::socket>> server;
    std::string topic;  // of the last operation
    std::array<char, 4096> chunk{};
    std::string received;
    bool is_web_socket = false;
    bool subscribes = false;  // by operations of the WebSocket
    bool is_accepted = false;
    bool is_closed = false;
    ReadingOptions options;
    Listener listener;
    std::shared_ptr<Reading> reading;
};

std::string document(std::uint64_t offset, std::string_view topic = "t/0/say") {
    return fmt::format(
        R"({{"id":"k7.{}","topic":"{}","n":1,"at":"2026-11-22T19:00:00.123Z","data":1}})", offset,
        topic);
}

using Words = std::vector<std::string>;

}  // namespace

TEST_CASE("poll reading: it goes on from `next`, under the ETag of what it has", "[reading]") {
    World w;
    w.start(Way::short_poll);
    CHECK(w.request().starts_with(
        "GET /v1/events?topic=t%2F%23&topic=u%2F%2B%2Fin&since=k7.10&limit=200 HTTP/1.1\r\n"));
    w.answer("200 OK\r\nETag: \"k7.12\"",
             R"({"events":[)" + document(11) + "," + document(12) + R"(],"next":"k7.15"})");
    CHECK(w.said(4) == Words{"connected", "event k7.11", "event k7.12", "cursor k7.15"});
    auto next = w.request();
    CHECK(next.find("since=k7.15") != std::string::npos);
    CHECK(next.find("If-None-Match: \"k7.12\"\r\n") != std::string::npos);
    w.say("HTTP/1.1 304 Not Modified\r\nEvent-Cursor: k7.20\r\n\r\n");
    CHECK(w.said(1) == Words{"cursor k7.20"});
    CHECK(w.request().find("since=k7.20") != std::string::npos);
}

TEST_CASE("poll reading: a long poll says how long it waits", "[reading]") {
    World w;
    w.start(Way::long_poll);
    CHECK(w.request().find("&wait=10 ") != std::string::npos);
}

TEST_CASE("poll reading: a reset is told, and it goes on from there", "[reading]") {
    World w;
    w.start(Way::short_poll);
    w.request();
    w.answer("409 Conflict", R"({"reason":"too-old","cursor":"k7.2000","snapshot":"/v1/x"})");
    CHECK(w.said(3) == Words{"connected", "reset too-old k7.2000", "cursor k7.2000"});
    CHECK(w.request().find("since=k7.2000") != std::string::npos);
}

TEST_CASE("poll reading: what it cannot use ends it", "[reading]") {
    World w;
    w.start(Way::short_poll);
    w.request();
    SECTION("too many readers") {
        w.answer("503 Service Unavailable\r\nRetry-After: 2", "{}");
        CHECK(w.said(2) == Words{"connected", "over 2000 503 {}"});
    }
    SECTION("no page") {
        w.answer("200 OK", R"({"events":[{}],"next":"k7.15"})");
        w.run_until([&] { return w.listener.is_over; });
        CHECK(w.listener.said.back().starts_with("over 0 not a page"));
    }
    SECTION("the connection's end") {
        w.socket.close();
        w.run_until([&] { return w.listener.is_over; });
    }
}

TEST_CASE("poll reading: one that was left tells nothing any more", "[reading]") {
    World w;
    w.start(Way::short_poll);
    w.request();
    w.reading->leave(Leave::fin);
    w.run_until([&] { return w.is_closed; });
    CHECK(w.listener.said.empty());
}

TEST_CASE("sse reading: frames become what they say", "[reading]") {
    auto chunked = GENERATE(true, false);
    World w;
    w.start(Way::sse);
    auto request = w.request();
    CHECK(request.starts_with("GET /v1/events?topic=t%2F%23&topic=u%2F%2B%2Fin HTTP/1.1\r\n"));
    CHECK(request.find("Last-Event-ID: k7.10\r\n") != std::string::npos);
    CHECK(request.find("Accept: text/event-stream\r\n") != std::string::npos);
    w.say(fmt::format("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n{}\r\n",
                      chunked ? "Transfer-Encoding: chunked\r\n" : "Connection: close\r\n"));
    auto frame = [&](std::string const& text) {
        w.say(chunked ? fmt::format("{:x}\r\n{}\r\n", text.size(), text) : text);
    };
    frame(
        "retry: 3000\n\nevent: hello\ndata: {\"resumed\":true,\"from\":\"k7.10\",\"lost\":0}\n\n");
    frame("id: k7.11\ndata: " + document(11) + "\n");
    frame("\n: \nid: k7.30\n\n");
    CHECK(w.said(4) == Words{"connected", "hello true 0", "event k7.11", "cursor k7.30"});
    frame("event: reset\ndata: {\"reason\":\"epoch\",\"cursor\":\"k7.40\"}\n\n");
    frame("event: bye\ndata: {}\n\n");
    CHECK(w.said(1) == Words{"reset epoch k7.40"});
    w.socket.close();
    w.run_until([&] { return w.listener.is_over; });
}

TEST_CASE("sse reading: it can ask by `since`", "[reading]") {
    World w;
    w.start(Way::sse, "k7.10", false);
    auto request = w.request();
    CHECK(request.find("&since=k7.10 ") != std::string::npos);
    CHECK(request.find("Last-Event-ID") == std::string::npos);
}

TEST_CASE("sse reading: what is no stream ends it", "[reading]") {
    World w;
    w.start(Way::sse);
    w.request();
    SECTION("a problem") {
        w.answer("403 Forbidden\r\nContent-Type: application/problem+json", "{}");
        w.run_until([&] { return w.listener.is_over; });
        CHECK(w.listener.said == Words{"over 0 403 application/problem+json"});
    }
    SECTION("a frame whose id is not the event's") {
        w.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k7.12\ndata: " +
              document(11) + "\n\n");
        w.run_until([&] { return w.listener.is_over; });
        CHECK(w.listener.said.back().find("is not k7.11") != std::string::npos);
    }
}

TEST_CASE("sse reading: one that is held takes nothing until it goes on", "[reading]") {
    World w;
    w.start(Way::sse);
    w.request();
    w.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n");
    w.said(1);
    w.say("id: k7.11\ndata: " + document(11) + "\n\n");
    w.said(1);  // the read under way when it is held below takes what is there
    w.reading->hold(true);
    w.say("id: k7.12\ndata: " + document(12) + "\n\n");
    w.said(1);
    w.say("id: k7.13\ndata: " + document(13) + "\n\n");
    while (w.context.poll_one() > 0) {
    }
    CHECK(w.listener.said.empty());
    w.reading->hold(false);
    CHECK(w.said(1) == Words{"event k7.13"});
}

TEST_CASE("sse reading: it may be left in the middle of its frames", "[reading]") {
    World w;
    w.start(Way::sse);
    w.request();
    w.listener.leaves_at_event = [&] { w.reading->leave(Leave::rst); };
    w.say("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\nid: k7.11\ndata: " +
          document(11) + "\n\nid: k7.12\ndata: " + document(12) + "\n\n");
    w.run_until([&] { return w.is_closed; });
    CHECK(w.listener.said == Words{"connected", "event k7.11"});
}

TEST_CASE("websocket reading: frames become what they say", "[reading]") {
    World w;
    w.is_web_socket = true;
    w.start(Way::websocket);
    w.run_until([&] { return w.is_accepted; });
    auto say = [&](std::string const& text) { w.server->write(net::buffer(text)); };
    say(R"({"op":"hello","resumed":true,"from":"k7.10","lost":0})");
    say(document(11));
    say(R"({"op":"cursor","id":"k7.30"})");
    say(R"({"op":"reset","topic":"t/#","reason":"too-old","cursor":"k7.40","snapshot":"x"})");
    CHECK(w.said(5) ==
          Words{"connected", "hello true 0", "event k7.11", "cursor k7.30", "reset too-old k7.40"});
    SECTION("closed with a hint") {
        error_code error;
        w.server->async_close({static_cast<websocket::close_code>(1013), "slow; go on from k7.11"},
                              [](error_code) {});
        w.run_until([&] { return w.listener.is_over; });
        CHECK(w.listener.said == Words{"over 0 closed 1013 slow; go on from k7.11"});
    }
    SECTION("neither an event nor an op") {
        say("[]");
        w.run_until([&] { return w.listener.is_over; });
    }
}

TEST_CASE("websocket reading: it asks for a topic by `sub`, leaves it and comes back",
          "[reading]") {
    World w;
    w.is_web_socket = w.subscribes = true;
    w.start(Way::websocket);
    w.run_until([&] { return w.is_accepted; });
    auto say = [&](std::string const& text) { w.server->write(net::buffer(text)); };
    auto answer = [&](int q) {
        say(fmt::format(R"({{"q":{},"ok":true,"resumed":true,"from":"k7.10","lost":0}})", q));
    };
    CHECK(w.operation() == R"({"op":"sub","topic":"*","q":1,"since":"k7.10"})");
    auto first = w.topic;
    auto other = first == "t/#" ? "u/7/in" : "t/0/say";
    auto missing = first == "t/#" ? "t/0/say" : "u/7/in";
    say(R"({"op":"hello","resumed":true,"from":"k7.10","lost":0})");
    // The other topic is ahead: it waits until this one has caught up.
    say(document(12, other));
    say(R"({"op":"cursor","id":"k7.12"})");
    answer(1);
    say(document(11, missing));
    say(document(13, other));
    CHECK(w.said(6) == Words{"connected", "hello true 0", "hello true 0 " + first, "event k7.11",
                             "event k7.12", "event k7.13"});
    CHECK(w.operation() == R"({"op":"unsub","topic":"*","q":2})");
    say(document(14));
    say(R"({"q":2,"ok":true})");
    say(document(17));
    auto left = w.topic;
    CHECK(w.operation() == R"({"op":"sub","topic":"*","q":3,"since":"k7.14"})");
    CHECK(w.topic == left);
    say(document(16));
    CHECK(w.said(1) == Words{"event k7.14"});
    SECTION("the rest is told by a cursor") {
        answer(3);
        say(document(15));
        say(R"({"op":"cursor","id":"k7.20"})");
        CHECK(w.said(5) == Words{"hello true 0 " + left, "event k7.15", "event k7.17",
                                 "event k7.16", "cursor k7.20"});
    }
    SECTION("a reset of the topic") {
        say(fmt::format(R"({{"op":"reset","topic":"{}","reason":"epoch","cursor":"k7.18"}})",
                        left));
        say(R"({"q":3,"ok":true,"resumed":false,"from":"k7.18","lost":null})");
        CHECK(w.said(2) == Words{"reset epoch k7.18", "hello false 0 " + left});
    }
    SECTION("refused") {
        say(R"({"q":3,"ok":false,"problem":{"status":403}})");
        w.run_until([&] { return w.listener.is_over; });
        CHECK(w.listener.said.back().starts_with("over 0 an operation was refused: "));
    }
}

TEST_CASE("reading: what may not stand in a query is escaped", "[reading]") {
    CHECK(percent_encoded("t/+/#&=a-b_c.d~") == "t%2F%2B%2F%23%26%3Da-b_c.d~");
    CHECK(events_target({"t/#"}, "") == "/v1/events?topic=t%2F%23");
}

}  // namespace spoke::sim::test
