#include "bridge/api/http_server.hpp"

#include <catch2/catch.hpp>
#include <system_error>

#include "bridge/api/api.hpp"
#include "tests/unit/bridge/support/server_world.hpp"

namespace spoke::bridge::test {
namespace {

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
    Peer first{w};
    first.write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    w.run_until([&] { return w.held.size() == 1; });
    Peer second{w};  // in the kernel's backlog, for the first one is busy
    second.write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    w.context.poll();
    CHECK(w.held.size() == 1);
    CHECK(w.server.connections() == 1);
    w.held[0]({.body = "one"});
    w.held.clear();
    first.until("one");
    // Idle now, it makes room.
    w.run_until([&] { return w.held.size() == 1; });
    first.until_closed();
    w.held[0]({.body = "two"});
    second.until("two");
    CHECK(w.server.dropped() == 1);
}

TEST_CASE("http server: one address has its share of the connections", "[bridge][http]") {
    ServerWorld w{{.connections_per_address_max = 1}};
    w.handler = echo();
    Peer first{w};
    first.write("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    first.until("<GET/1>");
    {
        Peer second{w};
        auto answer = second.until("\"sent\":false}");
        CHECK(answer.starts_with("HTTP/1.1 503"));
        CHECK(answer.find("/problems/too-many-connections") != std::string::npos);
        second.socket.close();
        w.run_until([&] { return second.closed; });
    }
    w.run_until([&] { return w.server.connections() == 1; });
    first.write("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    first.until("<GET/2>");
    first.socket.close();
    w.run_until([&] { return w.server.connections() == 0; });
    Peer third{w};
    third.write("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n");
    third.until("<GET/3>");
}

TEST_CASE("http server: half requests of many take nothing from others", "[bridge][http]") {
    ServerWorld w{{.transfer_bytes_max = 1'000'000}};
    w.handler = echo();
    std::vector<std::unique_ptr<Peer>> halves;
    for (int i = 0; i < 100; ++i) {
        halves.push_back(std::make_unique<Peer>(w));
        halves.back()->write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf");
    }
    // Ten of them fit; the slowest are dropped for those that come later.
    w.run_until([&] { return w.server.dropped() == 90; });
    Peer other{w};
    std::string body(100'000, 'x');
    other.write("POST /good HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    net::async_write(other.socket, net::buffer(body), [](error_code, std::size_t) {});
    other.until("xxx>");
    CHECK(w.server.dropped() == 92);  // one for its body, one for the response
    CHECK(w.requests.size() == 1);
}

TEST_CASE("http server: slow readers are dropped before they fill the memory", "[bridge][http]") {
    ServerWorld w{{.transfer_bytes_max = 50'000'000}};
    w.handler = [](HttpRequest const&, Respond respond) {
        respond({.content_type = "application/octet-stream", .body = std::string(20'000'000, 'x')});
    };
    std::vector<std::unique_ptr<tcp::socket>> slow;
    for (int i = 0; i < 5; ++i) {
        slow.push_back(std::make_unique<tcp::socket>(w.context));
        slow.back()->connect({net::ip::make_address("127.0.0.1"), w.server.port()});
        net::write(*slow.back(),
                   net::buffer(std::string_view{"GET / HTTP/1.1\r\nHost: x\r\n\r\n"}));
    }
    w.run_until([&] { return w.server.dropped() == 3; });
    CHECK(w.server.connections() <= 5);
}

TEST_CASE("http server: a peer that goes away while its request is held is noticed",
          "[bridge][http]") {
    ServerWorld w{{.gone_check = 5ms}};
    auto gone = 0;
    Respond respond;
    w.handler = [&](HttpRequest const& request, Respond r) {
        request.when_gone([&gone] { ++gone; });
        respond = std::move(r);
    };
    SECTION("it closes") {
        Peer peer{w};
        peer.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        w.run_until([&] { return static_cast<bool>(respond); });
        peer.socket.close();
        w.run_until([&] { return gone == 1 && peer.closed; });
        respond({.body = "late"});
        respond = {};
        w.run_until([&] { return w.server.connections() == 0; });
    }
    SECTION("it closes its half, and still gets an answer") {
        Peer peer{w};
        // Behind a second request, so that there are bytes to read.
        peer.write("GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\n");
        w.run_until([&] { return static_cast<bool>(respond); });
        peer.socket.shutdown(tcp::socket::shutdown_send);
        w.run_until([&] { return gone == 1; });
        respond({.body = "early"});
        peer.until("early");
    }
    SECTION("it stays") {
        Peer peer{w};
        peer.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        w.run_until([&] { return static_cast<bool>(respond); });
        net::steady_timer timer{w.context, 30ms};  // some looks
        auto is_over = false;
        timer.async_wait([&](error_code) { is_over = true; });
        w.run_until([&] { return is_over; });
        CHECK(gone == 0);
        respond({.body = "answer"});
        peer.until("answer");
        CHECK(gone == 0);
    }
}

TEST_CASE("http server: a held request costs little", "[bridge][http]") {
    ServerWorld w;
    std::vector<std::unique_ptr<tcp::socket>> peers;
    for (std::size_t i = 0; i < 200; ++i) {
        peers.push_back(std::make_unique<tcp::socket>(w.context));
        peers.back()->connect({net::ip::make_address("127.0.0.1"), w.server.port()});
        net::write(*peers.back(),
                   net::buffer("POST /" + std::to_string(i) +
                               " HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"));
        w.run_until([&] { return w.held.size() == i + 1; });
    }
    w.held[7]({.body = "seven"});
    std::array<char, 4096> answer{};
    auto size = peers[7]->receive(net::buffer(answer), 0);
    CHECK(std::string_view{answer.data(), size}.ends_with("seven"));
}

TEST_CASE("http server: ids of requests and traces are the peer's, if they are sane",
          "[bridge][http]") {
    ServerWorld w;
    w.handler = echo();
    Peer peer{w};
    std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    peer.write("GET /1 HTTP/1.1\r\nHost: x\r\nRequest-Id: abc-1\r\ntraceparent: " + trace +
               "\r\n\r\n");
    auto answer = peer.until("<GET/1>");
    CHECK(answer.find("Request-Id: abc-1\r\n") != std::string::npos);
    CHECK(answer.find("traceparent: " + trace + "\r\n") != std::string::npos);
    CHECK(w.requests[0].trace == trace);
    CHECK(w.requests[0].address.starts_with("127.0.0.1:"));
    CHECK(answer.find("Server: spoke-bridge\r\n") != std::string::npos);
    CHECK(answer.find("Date: ") != std::string::npos);
    CHECK(answer.find(" GMT\r\n") != std::string::npos);
    peer.write("GET /2 HTTP/1.1\r\nHost: x\r\nRequest-Id: a b\r\ntraceparent: 00-0-0-1\r\n\r\n");
    answer = peer.until("<GET/2>");
    CHECK(answer.find("Request-Id: r_") != std::string::npos);
    CHECK(w.requests[1].trace.size() == 55);
    CHECK(answer.find("traceparent: " + w.requests[1].trace) != std::string::npos);
}

TEST_CASE("http server: gzip for who takes it", "[bridge][http]") {
    ServerWorld w;
    std::string body = "{\"x\":\"" + std::string(5'000, 'y') + "\"}";
    w.handler = [&](HttpRequest const& request, Respond respond) {
        HttpResponse response{.body = body};
        if (request.target == "/tagged") response.headers.emplace_back("ETag", "\"1\"");
        if (request.target == "/short") response.body = "{}";
        respond(std::move(response));
    };
    Peer peer{w};
    auto ask = [&](std::string const& target, std::string const& accepts) {
        peer.write("HEAD " + target + " HTTP/1.1\r\nHost: x\r\nAccept-Encoding: " + accepts +
                   "\r\n\r\n");
        return peer.until("\r\n\r\n");
    };
    CHECK(ask("/", "br, gzip").find("Content-Encoding: gzip\r\n") != std::string::npos);
    CHECK(ask("/", "*").find("Content-Encoding: gzip\r\n") != std::string::npos);
    CHECK(ask("/", "br").find("Vary: Accept-Encoding\r\n") != std::string::npos);
    for (auto const* refusing : {"br", "gzip;q=0", "*;q=0.0", "identity"}) {
        auto head = ask("/", refusing);
        CHECK(head.find("Content-Encoding") == std::string::npos);
        CHECK(head.find("Content-Length: " + std::to_string(body.size())) != std::string::npos);
    }
    CHECK(ask("/short", "gzip").find("Content-Encoding") == std::string::npos);
    CHECK(ask("/tagged", "gzip").find("Content-Encoding") == std::string::npos);
}

TEST_CASE("http server: pages of allowed origins alone may read answers", "[bridge][http]") {
    ServerWorld w{
        {.header_bytes_max = 1024, .body_bytes_max = 10, .cors_origins = {"https://app.example"}}};
    w.handler = echo();
    Peer peer{w};
    auto ask = [&](std::string const& origin) {
        peer.write("GET / HTTP/1.1\r\nHost: x\r\nOrigin: " + origin + "\r\n\r\n");
        return peer.until("<GET/>");
    };
    auto allowed = ask("https://app.example");
    CHECK(allowed.find("Access-Control-Allow-Origin: https://app.example\r\n") !=
          std::string::npos);
    CHECK(allowed.find("Vary: Origin\r\n") != std::string::npos);
    for (auto const* other : {"https://app.example.evil", "http://app.example", "null"}) {
        auto answer = ask(other);
        CHECK(answer.find("Access-Control-Allow") == std::string::npos);
        CHECK(answer.find("Vary: Origin\r\n") != std::string::npos);
    }
    // What the server refuses by itself too.
    peer.write(
        "POST / HTTP/1.1\r\nHost: x\r\nOrigin: https://app.example\r\nContent-Length: "
        "11\r\n\r\n");
    auto refused = peer.until("\"sent\":false}");
    CHECK(refused.find("HTTP/1.1 413") == 0);
    CHECK(refused.find("Access-Control-Allow-Origin") != std::string::npos);
}

TEST_CASE("http server: a certificate that is not there is one clear line", "[bridge][http]") {
    net::io_context context;
    HttpServer server{context,
                      {.port = 0, .certificate = "/no/such.crt", .private_key = "/no/such.key"},
                      {},
                      counting_random()};
    CHECK_THROWS_WITH(server.listen(), Catch::Contains("/no/such.crt: "));
}

TEST_CASE("http server: only loopback, if it is told so", "[bridge][http]") {
    net::io_context context;
    HttpServer open{
        context, {.host = "0.0.0.0", .port = 0, .loopback_only = true}, {}, counting_random()};
    CHECK_THROWS_WITH(open.listen(), Catch::Contains("will not listen on 0.0.0.0:0 without keys"));
    HttpServer local{
        context, {.host = "127.0.0.1", .port = 0, .loopback_only = true}, {}, counting_random()};
    CHECK_NOTHROW(local.listen());
}

TEST_CASE("http server: without keys, pages of other sites order nothing", "[bridge][http]") {
    ServerWorld w{{.loopback_only = true, .cors_origins = {"https://app.example"}}};
    w.handler = echo();
    Peer peer{w};
    auto ask = [&](std::string const& method, std::string const& origin) {
        peer.write(method + " /v1/publish/t HTTP/1.1\r\nHost: localhost:8080\r\n" +
                   (origin.empty() ? "" : "Origin: " + origin + "\r\n") +
                   "Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n");
        auto status = peer.until("\r\n").substr(9, 3);
        peer.until(status == "200" ? "/t>" : "}");
        return status;
    };
    for (auto const* method : {"POST", "PUT", "DELETE"}) {
        INFO(method);
        CHECK(ask(method, "https://elsewhere.example") == "403");
        CHECK(ask(method, "null") == "403");
        CHECK(ask(method, "http://localhost:8080") == "200");
        CHECK(ask(method, "https://app.example") == "200");
        CHECK(ask(method, "") == "200");
    }
    CHECK(w.requests.size() == 9);
    CHECK(ask("GET", "https://elsewhere.example") == "200");
    CHECK(ask("OPTIONS", "https://elsewhere.example") == "200");
}

TEST_CASE("http server: slow and silent peers are closed", "[bridge][http]") {
    ServerWorld w{{.header_timeout = 20ms, .body_timeout = 20ms, .idle_timeout = 20ms}};
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
    Api api{bridge.service, access, bridge.hooks, {}};
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
