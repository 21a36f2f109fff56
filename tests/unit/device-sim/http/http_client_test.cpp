#include "device-sim/http/http_client.hpp"

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <optional>
#include <string>

namespace spoke::sim::test {
namespace {

namespace net = boost::asio;
using boost::system::error_code;
using net::ip::tcp;

/// A server of one connection at a time that reads what comes and says what the test gives it.
struct Server {
    explicit Server(net::io_context& context)
        : acceptor(context, {net::ip::make_address("127.0.0.1"), 0}), socket(context) {
        accept();
    }

    void accept() {
        acceptor.async_accept([this](error_code error, tcp::socket peer) {
            if (error) return;
            ++connections;
            socket = std::move(peer);
            read();
        });
    }

    void read() {
        socket.async_read_some(net::buffer(chunk), [this](error_code error, std::size_t size) {
            if (error) {
                socket.close();
                return accept();
            }
            received.append(chunk.data(), size);
            read();
        });
    }

    void say(std::string_view text) { net::write(socket, net::buffer(text)); }

    tcp::acceptor acceptor;
    tcp::socket socket;
    std::array<char, 4096> chunk{};
    std::string received;
    int connections = 0;
};

struct World {
    void run_until(std::function<bool()> const& done) {
        while (!done()) {
            if (context.stopped()) context.restart();
            REQUIRE(context.run_one() > 0);
        }
    }

    void send(HttpRequest const& request) {
        response.reset();
        error.reset();
        client.send(request, [this](error_code e, HttpResponse const& r) {
            error = e;
            response = r;
        });
        CHECK_FALSE(error);  // never before send has returned
    }

    HttpResponse answered_with(std::string_view text) {
        run_until([&] { return server.received.find("\r\n\r\n") != std::string::npos; });
        request_seen = std::exchange(server.received, {});
        server.say(text);
        run_until([&] { return error.has_value(); });
        CHECK_FALSE(*error);
        return *response;
    }

    net::io_context context;
    Server server{context};
    HttpClient client{context, {.port = server.acceptor.local_endpoint().port()}};
    std::optional<error_code> error;
    std::optional<HttpResponse> response;
    std::string request_seen;
};

}  // namespace

TEST_CASE("http client: a connection is kept for the next request", "[http-client]") {
    World w;
    w.send({"POST", "/v1/x?wait=8", {{"Idempotency-Key", "\"k\""}}, R"({"do":"unlock"})"});
    auto first =
        w.answered_with("HTTP/1.1 202 Accepted\r\nETag: \"1\"\r\nContent-Length: 2\r\n\r\n{}");
    CHECK(first.status == 202);
    CHECK(first.body == "{}");
    CHECK(first.header("etag") == "\"1\"");
    CHECK(first.header("nothing").empty());
    CHECK(w.request_seen.starts_with("POST /v1/x?wait=8 HTTP/1.1\r\n"));
    CHECK(w.request_seen.find("Idempotency-Key: \"k\"\r\n") != std::string::npos);
    CHECK(w.request_seen.ends_with(R"({"do":"unlock"})"));
    w.send({"GET", "/v1/y"});
    CHECK(w.answered_with("HTTP/1.1 304 Not Modified\r\n\r\n").status == 304);
    CHECK(w.server.connections == 1);
}

TEST_CASE("http client: after the server's wish to close the next request opens anew",
          "[http-client]") {
    World w;
    w.send({"GET", "/a"});
    w.answered_with("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    w.send({"GET", "/b"});
    w.answered_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    CHECK(w.server.connections == 2);
}

TEST_CASE("http client: a request without a response fails, the next one opens anew",
          "[http-client]") {
    World w;
    w.send({"GET", "/a"});
    w.run_until([&] { return !w.server.received.empty(); });
    SECTION("cut off by the server") {
        w.server.socket.close();
    }
    SECTION("closed here") {
        w.client.close();
    }
    w.run_until([&] { return w.error.has_value(); });
    CHECK(w.error->failed());
    CHECK_FALSE(w.client.is_busy());
    w.server.received.clear();
    if (!w.server.socket.is_open()) w.server.accept();
    w.send({"GET", "/b"});
    CHECK(w.answered_with("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").status == 200);
}

TEST_CASE("http client: nobody there, and no address", "[http-client]") {
    World w;
    w.server.acceptor.close();
    w.send({"GET", "/"});
    w.run_until([&] { return w.error.has_value(); });
    CHECK(w.error->failed());
    HttpClient nowhere{w.context, {.address = "nowhere"}};
    std::optional<error_code> error;
    nowhere.send({"GET", "/"}, [&](error_code e, HttpResponse const&) { error = e; });
    w.run_until([&] { return error.has_value(); });
    CHECK(error->failed());
}

}  // namespace spoke::sim::test
