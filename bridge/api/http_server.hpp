#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "bridge/api/http_message.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::bridge {

/// HTTP/1.1 over TCP: reads whole requests within limits, hands them to a handler, writes its
/// responses whenever they come. Keeps connections alive, one request at a time on each. What it
/// cannot read it answers itself, with a problem. Bound   connections_max connections (further ones
/// wait in the kernel's backlog), each with one request
///         of at most header_bytes_max + body_bytes_max.  Thread  the one that runs the io_context.
class HttpServer {
public:
    struct Options {
        std::string host = "127.0.0.1";
        std::uint16_t port = 8080;  // 0: any free one
        std::size_t header_bytes_max = 8'192;
        std::size_t body_bytes_max = 262'144;
        std::size_t connections_max = 10'000;
        std::chrono::milliseconds request_timeout{10'000};  // from the first byte to the last
        std::chrono::milliseconds idle_timeout{60'000};     // between two requests
        std::chrono::milliseconds write_timeout{10'000};
    };

    using Handler = std::function<void(HttpRequest const&, Respond)>;

    /// In  `random` makes request ids; `context` outlives the server.
    HttpServer(boost::asio::io_context& context, Options options, Handler handler,
               std::function<std::uint64_t()> random);
    HttpServer(HttpServer const&) = delete;
    HttpServer& operator=(HttpServer const&) = delete;
    ~HttpServer();

    /// Opens the port and begins to accept.
    /// Errors  std::system_error whose what() is one line with the address.
    void listen();

    /// The port it listens on.
    [[nodiscard]] std::uint16_t port() const;

    /// Accepts no more, closes what is idle, and every other connection after its response.
    /// `stopped` is called when the last one has ended, perhaps at once.
    void stop(std::function<void()> stopped = {});

    [[nodiscard]] std::size_t connections() const noexcept;

private:
    struct Impl;
    std::shared_ptr<Impl> impl_;
};

}  // namespace spoke::bridge
