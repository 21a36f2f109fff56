#include "bridge/api/http_stream.hpp"

#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/websocket.hpp>
#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/server_world.hpp"

namespace spoke::bridge::test {
namespace {

namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;

SharedBytes bytes_of(std::string text) {
    return std::make_shared<std::string const>(std::move(text));
}

/// A body that does what the test says and notes what it is told.
struct Body final : StreamBody {
    void on_open(StreamSink& s) override { sink = &s; }
    void on_room() override { ++rooms; }
    void on_stop() override {
        sink->send(bytes_of("bye"));
        sink->end();
    }
    void on_gone() override {
        ++gone;
        sink = nullptr;
    }

    StreamSink* sink = nullptr;
    int rooms = 0;
    int gone = 0;
};

struct StreamWorld : ServerWorld {
    explicit StreamWorld(std::size_t kernel_bytes_max = 0) {
        handler = [this, kernel_bytes_max](HttpRequest const&, Respond respond) {
            HttpResponse response;
            response.content_type = "text/event-stream";
            response.body = "first,";
            response.headers.emplace_back("X-Accel-Buffering", "no");
            bodies.push_back(std::make_shared<Body>());
            response.stream = {bodies.back(), kernel_bytes_max};
            respond(std::move(response));
        };
    }

    Body& open() {
        auto at = bodies.size();
        run_until([&] { return bodies.size() > at || (at > 0 && bodies.back()->sink); });
        run_until([&] { return bodies.back()->sink != nullptr; });
        return *bodies.back();
    }

    std::vector<std::shared_ptr<Body>> bodies;
};

constexpr auto kGet = "GET /s HTTP/1.1\r\nHost: x\r\n\r\n";

}  // namespace

TEST_CASE("http stream: head, then bytes as they come, then the end", "[bridge][http]") {
    StreamWorld w;
    Peer peer{w};
    peer.write(kGet);
    auto& body = w.open();
    auto head = peer.until("first,");
    CHECK(head.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(head.find("Content-Type: text/event-stream\r\n") != std::string::npos);
    CHECK(head.find("X-Accel-Buffering: no\r\n") != std::string::npos);
    CHECK(head.find("Connection: close\r\n") != std::string::npos);
    CHECK(head.find("Content-Length") == std::string::npos);
    CHECK(body.sink->send(bytes_of("a")));
    std::array pieces{bytes_of("b"), bytes_of("c"), bytes_of("")};
    CHECK(body.sink->send(pieces));
    peer.until("abc");
    CHECK(w.server.connections() == 1);
    body.sink->send(bytes_of("d"));
    body.sink->end();
    peer.until("d");
    peer.until_closed();
    CHECK(body.gone == 1);
    CHECK(w.server.connections() == 0);
}

TEST_CASE("http stream: a peer that has gone is noticed", "[bridge][http]") {
    StreamWorld w;
    auto says_more = GENERATE(false, true);
    auto peer = std::make_unique<Peer>(w);
    peer->write(kGet);
    auto& body = w.open();
    peer->until("first,");
    if (says_more) peer->write("more that nobody wants");
    peer->socket.close();
    w.run_until([&] { return body.gone == 1; });
    w.run_until([&] { return w.server.connections() == 0; });
}

TEST_CASE("http stream: a call soon comes once, however often it is asked for", "[bridge][http]") {
    StreamWorld w;
    Peer peer{w};
    peer.write(kGet);
    auto& body = w.open();
    body.sink->call_soon();
    body.sink->call_soon();
    CHECK(body.rooms == 0);
    w.run_until([&] { return body.rooms > 0; });
    w.context.poll();
    CHECK(body.rooms == 1);
}

TEST_CASE("http stream: what a slow peer does not take waits, and room is told", "[bridge][http]") {
    StreamWorld w{16 * 1024};
    tcp::socket slow{w.context};
    slow.open(tcp::v4());
    slow.set_option(net::socket_base::receive_buffer_size{4'096});
    slow.connect({net::ip::make_address("127.0.0.1"), w.server.port()});
    net::write(slow, net::buffer(std::string_view{kGet}));
    auto& body = w.open();
    auto piece = bytes_of(std::string(10'007, 'x'));
    std::size_t sent = 0;
    while (body.sink->send(piece)) ++sent;
    ++sent;
    CHECK(sent < 30);
    w.context.poll();
    CHECK(body.rooms == 0);
    std::string got;
    std::array<char, 5'000> chunk{};
    auto read = [&] {
        auto size = slow.read_some(net::buffer(chunk));
        got.append(chunk.data(), size);
    };
    while (body.rooms == 0) {
        read();
        w.context.poll();
    }
    body.sink->send(bytes_of("END"));
    body.sink->end();
    while (!got.ends_with("END")) {
        read();
        w.context.poll();
    }
    CHECK(got.size() - got.find("first,") == 6 + sent * piece->size() + 3);
    w.run_until([&] { return body.gone == 1; });
}

TEST_CASE("http stream: one that takes nothing can be dropped", "[bridge][http]") {
    StreamWorld w{16 * 1024};
    Peer peer{w};
    peer.socket.cancel();
    peer.write(kGet);
    auto& body = w.open();
    while (body.sink->send(bytes_of(std::string(100'000, 'x')))) {
    }
    body.sink->end();
    w.context.poll();
    CHECK(body.gone == 0);
    body.sink->drop();
    w.run_until([&] { return body.gone == 1; });
    w.run_until([&] { return w.server.connections() == 0; });
}

TEST_CASE("http stream: has its last word when the server stops", "[bridge][http]") {
    StreamWorld w;
    Peer peer{w};
    peer.write(kGet);
    w.open();
    auto stopped = false;
    w.server.stop([&] { stopped = true; });
    peer.until("bye");
    peer.until_closed();
    w.run_until([&] { return stopped; });
}

TEST_CASE("http stream: HEAD gets the head alone", "[bridge][http]") {
    StreamWorld w;
    Peer peer{w};
    peer.write("HEAD /s HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.until("\r\n\r\n");
    peer.until_closed();
    CHECK(w.bodies.back()->sink == nullptr);
}

namespace {

struct End final : WebSocketEnd {
    void on_open(WebSocketSink& s) override { sink = &s; }
    void on_message(std::string_view message, WebSocketSink::Kind kind) override {
        messages.emplace_back(message);
        kinds.push_back(kind);
    }
    void on_room() override { ++rooms; }
    void on_stop() override { sink->close(1001, "the bridge stops"); }
    void on_gone() override {
        ++gone;
        sink = nullptr;
    }

    WebSocketSink* sink = nullptr;
    std::vector<std::string> messages;
    std::vector<WebSocketSink::Kind> kinds;
    int rooms = 0;
    int gone = 0;
};

struct WebSocketWorld : ServerWorld {
    explicit WebSocketWorld(HttpServer::Options options = {}) : ServerWorld(std::move(options)) {
        handler = [this](HttpRequest const& request, Respond respond) {
            HttpResponse response;
            if (!wants_web_socket(request)) return respond(std::move(response));
            ends.push_back(std::make_shared<End>());
            response.web_socket = offer;
            response.web_socket.end = ends.back();
            if (names_subprotocol(request, "mqtt")) response.web_socket.subprotocol = "mqtt";
            respond(std::move(response));
        };
    }

    End& open() {
        run_until([&] { return !ends.empty() && ends.back()->sink != nullptr; });
        return *ends.back();
    }

    std::vector<std::shared_ptr<End>> ends;
    WebSocketOffer offer{};
};

/// A client by Beast.
struct Client {
    explicit Client(WebSocketWorld& w, std::string origin = {}) : world(w), stream(w.context) {
        beast::get_lowest_layer(stream).connect(
            {net::ip::make_address("127.0.0.1"), w.server.port()});
        stream.set_option(websocket::stream_base::decorator([origin](websocket::request_type& r) {
            r.set("Sec-WebSocket-Protocol", "other, mqtt");
            if (!origin.empty()) r.set("Origin", origin);
        }));
        stream.async_handshake(response, "x", "/s", [this](error_code error) {
            failed = error;
            done = true;
        });
        world.run_until([&] { return done; });
    }

    void send(std::string const& text, bool is_text = true) {
        stream.text(is_text);
        auto sent = false;
        stream.async_write(net::buffer(text), [&](error_code, std::size_t) { sent = true; });
        world.run_until([&] { return sent; });
    }

    /// A message; empty: it was closed.
    std::string read() {
        beast::flat_buffer buffer;
        auto read = false;
        stream.async_read(buffer, [&](error_code error, std::size_t) {
            failed = error;
            read = true;
        });
        world.run_until([&] { return read; });
        return {static_cast<char const*>(buffer.data().data()), buffer.size()};
    }

    WebSocketWorld& world;
    websocket::stream<beast::tcp_stream> stream;
    websocket::response_type response;
    error_code failed;
    bool done = false;
};

}  // namespace

TEST_CASE("web socket: messages both ways, text and binary", "[bridge][http]") {
    WebSocketWorld w;
    Client client{w};
    REQUIRE_FALSE(client.failed);
    CHECK(client.response["Sec-WebSocket-Protocol"] == "mqtt");
    CHECK(client.response.find("Sec-WebSocket-Extensions") == client.response.end());
    CHECK(client.response.find("Request-Id") != client.response.end());
    auto& end = w.open();
    client.send("hello");
    client.send(std::string("\0\1", 2), false);
    w.run_until([&] { return end.messages.size() == 2; });
    CHECK(end.messages == std::vector<std::string>{"hello", std::string("\0\1", 2)});
    CHECK(end.kinds == std::vector{WebSocketSink::Kind::text, WebSocketSink::Kind::binary});
    CHECK(end.sink->send(bytes_of("one"), WebSocketSink::Kind::text));
    CHECK(end.sink->send(bytes_of(""), WebSocketSink::Kind::binary));
    CHECK(end.sink->send(bytes_of("two"), WebSocketSink::Kind::binary));
    CHECK(client.read() == "one");
    CHECK(client.stream.got_text());
    CHECK(client.read().empty());
    CHECK(client.read() == "two");
    CHECK(client.stream.got_binary());
}

TEST_CASE("web socket: closes from either side, with code and reason", "[bridge][http]") {
    WebSocketWorld w;
    Client client{w};
    auto& end = w.open();
    SECTION("ours, behind what was sent") {
        end.sink->send(bytes_of("last"), WebSocketSink::Kind::text);
        end.sink->close(1013, std::string(200, 'r'));
        CHECK_FALSE(end.sink->send(bytes_of("too late"), WebSocketSink::Kind::text));
        CHECK(client.read() == "last");
        CHECK(client.read().empty());
        CHECK(client.stream.reason().code == 1013);
        CHECK(client.stream.reason().reason.size() == 123);
    }
    SECTION("the peer's") {
        auto closed = false;
        client.stream.async_close(websocket::close_code::normal,
                                  [&](error_code) { closed = true; });
        w.run_until([&] { return closed; });
    }
    SECTION("without a word") {
        beast::get_lowest_layer(client.stream).close();
    }
    SECTION("the server's stop") {
        w.server.stop();
        CHECK(client.read().empty());
        CHECK(client.stream.reason().code == 1001);
    }
    w.run_until([&] { return end.gone == 1; });
    w.run_until([&] { return w.server.connections() == 0; });
}

TEST_CASE("web socket: a message that is too long closes it", "[bridge][http]") {
    WebSocketWorld w;
    w.offer.message_bytes_max = 10;
    Client client{w};
    auto& end = w.open();
    client.send("0123456789");
    w.run_until([&] { return end.messages.size() == 1; });
    client.send("0123456789x");
    CHECK(client.read().empty());
    CHECK(client.stream.reason().code == 1009);
    w.run_until([&] { return end.gone == 1; });
    CHECK(end.messages.size() == 1);
}

TEST_CASE("web socket: nothing is read while reading is paused", "[bridge][http]") {
    WebSocketWorld w;
    Client client{w};
    auto& end = w.open();
    end.sink->pause_reading();
    client.send("1");
    client.send("2");
    client.send("3");
    w.run_until([&] { return !end.messages.empty(); });
    w.context.poll();
    CHECK(end.messages.size() == 1);
    end.sink->resume_reading();
    w.run_until([&] { return end.messages.size() == 3; });
}

TEST_CASE("web socket: room is told when what waits was taken", "[bridge][http]") {
    WebSocketWorld w;
    w.offer.room_bytes = 100'000;
    w.offer.kernel_bytes_max = 16 * 1024;
    Client client{w};
    auto& end = w.open();
    auto piece = bytes_of(std::string(30'000, 'x'));
    std::size_t sent = 1;
    while (end.sink->send(piece, WebSocketSink::Kind::text)) {
        ++sent;
        w.context.poll();
    }
    CHECK(end.sink->waiting_bytes() >= 100'000);
    CHECK(end.sink->waiting_bytes() < 130'000);
    for (std::size_t i = 0; i < sent; ++i) CHECK(client.read().size() == piece->size());
    CHECK(end.rooms == 1);
    CHECK(end.sink->waiting_bytes() == 0);
}

TEST_CASE("web socket: pages of other sites may not open one", "[bridge][http]") {
    HttpServer::Options options;
    options.cors_origins = {"https://app.example"};
    WebSocketWorld w{options};
    SECTION("another one") {
        Client client{w, "https://evil.example"};
        CHECK(client.failed);
        CHECK(client.response.result_int() == 403);
        CHECK(w.ends.back()->sink == nullptr);
    }
    SECTION("one of the list") {
        CHECK_FALSE(Client(w, "https://app.example").failed);
    }
    SECTION("its own") {
        CHECK_FALSE(Client(w, "http://x").failed);
    }
}

}  // namespace spoke::bridge::test
