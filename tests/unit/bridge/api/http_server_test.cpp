#include "bridge/api/http_server.hpp"

#include <array>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <system_error>

#include "bridge/api/api.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

/// A server on a free port and the loop that runs it; the loop turns only while a test waits.
struct ServerWorld {
    explicit ServerWorld(HttpServer::Options options = {})
        : server{context, on_any_port(options),
                 [this](HttpRequest const& request, Respond respond) {
                     requests.push_back(request);
                     if (handler) return handler(request, std::move(respond));
                     held.push_back(std::move(respond));
                 },
                 counting_random()} {
        server.listen();
    }

    static HttpServer::Options on_any_port(HttpServer::Options options) {
        options.port = 0;
        return options;
    }

    void run_until(std::function<bool()> const& done) {
        while (!done()) {
            if (context.stopped()) context.restart();
            REQUIRE(context.run_one() > 0);
        }
    }

    net::io_context context;
    std::vector<HttpRequest> requests;
    std::vector<Respond> held;
    HttpServer::Handler handler;
    HttpServer server;
};

/// A peer that writes bytes as they are and reads what comes.
struct Peer {
    explicit Peer(ServerWorld& w) : world(w), socket(w.context) {
        socket.connect({net::ip::make_address("127.0.0.1"), w.server.port()});
        read();
    }

    Peer& write(std::string_view bytes) {
        net::write(socket, net::buffer(bytes));
        return *this;
    }

    void read() {
        socket.async_read_some(net::buffer(chunk), [this](error_code error, std::size_t size) {
            received.append(chunk.data(), size);
            if (error) {
                closed = true;
                return;
            }
            read();
        });
    }

    /// Until `text` has come; gives everything up to its end and forgets it.
    std::string until(std::string_view text) {
        world.run_until([&] { return closed || received.find(text) != std::string::npos; });
        auto at = received.find(text);
        INFO(received);
        REQUIRE(at != std::string::npos);
        auto out = received.substr(0, at + text.size());
        received.erase(0, at + text.size());
        return out;
    }

    void until_closed() {
        world.run_until([&] { return closed; });
    }

    ServerWorld& world;
    tcp::socket socket;
    std::array<char, 4096> chunk{};
    std::string received;
    bool closed = false;
};

HttpServer::Handler echo() {
    return [](HttpRequest const& request, Respond respond) {
        HttpResponse response;
        response.body = "<" + request.method + request.target + request.body + ">";
        respond(response);
    };
}

}  // namespace

TEST_CASE("http server: requests on one connection, one after the other", "[bridge][http]") {
    ServerWorld w;
    w.handler = echo();
    Peer peer{w};
    peer.write("GET /a HTTP/1.1\r\nHost: x\r\n\r\n");
    auto first = peer.until("<GET/a>");
    CHECK(first.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(first.find("Request-Id: r_") != std::string::npos);
    CHECK(first.find("Content-Length: 7\r\n") != std::string::npos);
    peer.write("POST /b HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc");
    peer.until("<POST/babc>");
    // Two at once, and bytes that come one by one.
    peer.write("GET /c HTTP/1.1\r\nHost: x\r\n\r\nGET /d HTTP/1.1\r\nHost: x\r\n\r\n");
    peer.until("<GET/c>");
    peer.until("<GET/d>");
    for (char c : std::string_view{"GET /e HTTP/1.1\r\nHost: x\r\n\r\n"}) {
        peer.write({&c, 1});
        w.context.poll();
    }
    peer.until("<GET/e>");
    peer.write(
        "POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    peer.until("<POST/fhi>");
    peer.write(
        "HEAD /g HTTP/1.1\r\nHost: x\r\n\r\nGET /h HTTP/1.1\r\nHost: x\r\nConnection: "
        "close\r\n\r\n");
    auto rest = peer.until("<GET/h>");
    CHECK(rest.find("Content-Length: 8\r\n") != std::string::npos);
    CHECK(rest.find("<HEAD/g>") == std::string::npos);
    peer.until_closed();
    CHECK(w.requests.size() == 8);
}

TEST_CASE("http server: 100-continue is answered before the body", "[bridge][http]") {
    ServerWorld w;
    w.handler = echo();
    Peer peer{w};
    peer.write("POST /b HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    CHECK(peer.until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
    peer.write("hi");
    peer.until("<POST/bhi>");
}

TEST_CASE("http server: what is no request gets a problem and the door", "[bridge][http]") {
    ServerWorld w{{.header_bytes_max = 1024, .body_bytes_max = 10}};
    Peer peer{w};
    std::string status;
    SECTION("not HTTP") {
        peer.write("MQTT\r\n\r\n");
        status = "400";
    }
    SECTION("a bad version") {
        peer.write("GET / HTTP/9.1\r\nHost: x\r\n\r\n");
        status = "400";
    }
    SECTION("no host") {
        peer.write("GET / HTTP/1.1\r\n\r\n");
        status = "400";
    }
    SECTION("two lengths") {
        peer.write(
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc");
        status = "400";
    }
    SECTION("header too large") {
        peer.write("GET / HTTP/1.1\r\nHost: x\r\nX: " + std::string(2000, 'x') + "\r\n\r\n");
        status = "431";
    }
    SECTION("body said to be too large") {
        peer.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n");
        status = "413";
    }
    SECTION("body turns out too large") {
        peer.write(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n");
        status = "413";
    }
    auto head = peer.until("\r\n\r\n");
    INFO(head);
    CHECK(head.starts_with("HTTP/1.1 " + status));
    CHECK(head.find("application/problem+json") != std::string::npos);
    peer.until("\"sent\":false}");
    error_code ignored;
    peer.socket.shutdown(tcp::socket::shutdown_send, ignored);
    peer.until_closed();
    CHECK(w.requests.empty());
}

TEST_CASE("http server: a response may come much later, and for others meanwhile",
          "[bridge][http]") {
    ServerWorld w;
    Peer slow{w};
    slow.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
    w.run_until([&] { return w.held.size() == 1; });
    Peer quick{w};
    quick.write("GET /quick HTTP/1.1\r\nHost: x\r\n\r\n");
    w.run_until([&] { return w.held.size() == 2; });
    w.held[1]({.body = "\"quick\""});
    quick.until("\"quick\"");
    CHECK(slow.received.empty());
    w.held[0]({.body = "\"slow\""});
    slow.until("\"slow\"");
}

TEST_CASE("http server: a peer that has gone is no trouble", "[bridge][http]") {
    ServerWorld w;
    {
        Peer peer{w};
        peer.write("GET /slow HTTP/1.1\r\nHost: x\r\n\r\n");
        w.run_until([&] { return w.held.size() == 1; });
        peer.socket.close();
        w.run_until([&] { return peer.closed; });
    }
    w.held[0]({.body = "late"});
    w.held.clear();
    w.run_until([&] { return w.server.connections() == 0; });
    CHECK(w.server.connections() == 0);
}

TEST_CASE("http server: no more connections than configured at a time", "[bridge][http]") {
    ServerWorld w{{.connections_max = 1}};
    w.handler = echo();
    Peer first{w};
    first.write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    first.until("<GET/1>");
    Peer second{w};  // in the kernel's backlog
    second.write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    first.write("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    first.until("<GET/3>");
    CHECK(w.requests.size() == 2);
    CHECK(w.server.connections() == 1);
    first.socket.close();
    second.until("<GET/2>");
}

TEST_CASE("http server: slow and silent peers are closed", "[bridge][http]") {
    ServerWorld w{{.request_timeout = 20ms, .idle_timeout = 20ms}};
    w.handler = echo();
    Peer silent{w};
    Peer slow{w};
    slow.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nab");
    Peer idle{w};
    idle.write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    idle.until("<GET/1>");
    silent.until_closed();
    slow.until_closed();
    idle.until_closed();
    CHECK(w.requests.size() == 1);
}

TEST_CASE("http server: stopping closes what is idle and lets the rest end", "[bridge][http]") {
    ServerWorld w;
    Peer idle{w};
    Peer busy{w};
    busy.write("GET /busy HTTP/1.1\r\nHost: x\r\n\r\n");
    w.run_until([&] { return w.held.size() == 1 && w.server.connections() == 2; });
    auto stopped = false;
    w.server.stop([&] { stopped = true; });
    idle.until_closed();
    CHECK_FALSE(stopped);
    w.held[0]({.body = "done"});
    w.held.clear();
    auto response = busy.until("done");
    CHECK(response.find("Connection: close") != std::string::npos);
    w.run_until([&] { return stopped; });
}

TEST_CASE("http server: a port in use is one clear line", "[bridge][http]") {
    ServerWorld w;
    HttpServer second{w.context, {.port = w.server.port()}, {}, counting_random()};
    auto address = "127.0.0.1:" + std::to_string(w.server.port());
    CHECK_THROWS_WITH(second.listen(), "cannot listen on " + address + ": Address already in use");
}

TEST_CASE("http server: an order from the socket to the broker and back", "[bridge][http][api]") {
    ServiceWorld bridge;
    Access access{{}, {}};
    Api api{bridge.service, access, {}};
    ServerWorld w;
    w.handler = [&](HttpRequest const& request, Respond respond) {
        api.handle(request, std::move(respond));
        bridge.store_all();
    };
    bridge.message("d/b42/up", R"({"on":true,"boot":7,"up":1830})");
    Peer peer{w};
    std::string body = R"({"do":"unlock","ref":"r1"})";
    peer.write(
        "POST /v1/devices/b42/commands?wait=8 HTTP/1.1\r\nHost: x\r\nContent-Type: "
        "application/json\r\nContent-Length: " +
        std::to_string(body.size()) + "\r\n\r\n" + body);
    w.run_until([&] { return !bridge.uplink.published.empty(); });
    auto id = bridge.store.commands({"b42"}).at(0).id.text();
    bridge.message("d/b42/ans", "{\"id\":\"" + id + "\",\"r\":\"ok\",\"took\":12}");
    auto response = peer.until("\"by\":\"anonymous\"}");
    CHECK(response.starts_with("HTTP/1.1 200 OK"));
    CHECK(response.find("\"state\":\"succeeded\"") != std::string::npos);
}

}  // namespace spoke::bridge::test
