#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <catch2/catch.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/http_server.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

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

}  // namespace spoke::bridge::test
