#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bridge/api/http_message.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::bridge {

struct HttpServerState;

/// HTTP/1.1 over TCP or TLS: reads whole requests within limits, hands them to a handler, writes
/// its responses whenever they come. Keeps connections alive, one request at a time on each; what
/// a peer sends ahead waits in the kernel. What it cannot read it answers itself, with a problem.
/// Every answer has a Request-Id and a traceparent, the peer's own or new ones.
/// Bound   `connections_max` connections, of one address `connections_per_address_max`. If all are
///         taken, the one that has been idle the longest makes room for a new one; if none is,
///         the new one waits in the kernel's backlog. Bodies that are on their way, in both
///         directions, take `transfer_bytes_max` in all: beyond it the slowest are dropped.
/// Thread  the one that runs the io_context.
class HttpServer {
public:
    struct Options {
        std::string host = "127.0.0.1";
        std::uint16_t port = 8080;  // 0: any free one
        // No key is wanted: refuses to listen on anything else, and what pages of other sites ask
        // for, unless that changes nothing.
        bool loopback_only = false;
        std::string certificate{};  // PEM file, with the chain; empty: no TLS
        std::string private_key{};  // PEM file
        std::size_t header_bytes_max = 8'192;
        std::size_t body_bytes_max = 262'144;
        std::size_t transfer_bytes_max = 268'435'456;
        std::size_t connections_max = 10'000;
        std::size_t connections_per_address_max = 5'000;
        std::chrono::milliseconds header_timeout{10'000};  // from its first byte to its last
        std::chrono::milliseconds body_timeout{20'000};    // the same
        std::chrono::milliseconds idle_timeout{60'000};    // between two requests
        std::chrono::milliseconds write_timeout{10'000};   // for a whole response
        std::chrono::milliseconds gone_check{
            1'000};                               // how often peers of held requests are looked at
        std::size_t gzip_bytes_min = 1'024;       // shorter bodies are sent as they are
        std::vector<std::string> cors_origins{};  // exact ones, or "*"
    };

    using Handler = std::function<void(HttpRequest const&, Respond)>;

    /// In  `random` makes request ids; `context` outlives the server.
    HttpServer(boost::asio::io_context& context, Options options, Handler handler,
               std::function<std::uint64_t()> random);
    HttpServer(HttpServer const&) = delete;
    HttpServer& operator=(HttpServer const&) = delete;
    ~HttpServer();

    /// Opens the port and begins to accept.
    /// Errors  std::runtime_error whose what() is one line.
    void listen();

    /// Reads certificate and key again, for new connections. Does nothing without TLS.
    /// Errors  std::runtime_error, one line; then those there were go on.
    void reload_certificate();

    /// The port it listens on.
    [[nodiscard]] std::uint16_t port() const;

    /// Accepts no more, closes what is idle, and every other connection after its response.
    /// `stopped` is called when the last one has ended, perhaps at once.
    void stop(std::function<void()> stopped = {});

    [[nodiscard]] std::size_t connections() const noexcept;

    /// Connections dropped since the start to make room for others or for their bodies.
    [[nodiscard]] std::uint64_t dropped() const noexcept;

private:
    std::shared_ptr<HttpServerState> state_;
};

}  // namespace spoke::bridge
