#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/system/error_code.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace boost::asio {
class io_context;
}

namespace spoke::sim {

struct HttpRequest {
    std::string method;  // "POST"
    std::string target;  // path and query
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string body{};  // JSON unless a header says otherwise

    /// Empty: without one.
    void set_bearer(std::string const& token) {
        if (!token.empty()) headers.emplace_back("Authorization", "Bearer " + token);
    }
};

struct HttpResponse {
    unsigned status = 0;
    std::string body{};
    std::vector<std::pair<std::string, std::string>> headers{};

    /// The first header of that name, in whatever case; empty if there is none.
    [[nodiscard]] std::string_view header(std::string_view name) const noexcept;
};

/// One HTTP/1.1 connection that is kept alive, with one request at a time.
/// States  closed; opened by a request and kept for the next ones until an error, `close` or the
///         server's wish. It repeats nothing by itself.
/// Thread  the one that runs the io_context, which outlives the client.
class HttpClient {
public:
    struct Options {
        std::string address = "127.0.0.1";  // numeric
        std::uint16_t port = 8080;
        std::chrono::milliseconds timeout{70'000};  // for a request and its whole response
        std::size_t body_bytes_max = 1 << 20;
    };

    /// The response, or why there is none. Never called before `send` has returned.
    using Done = std::function<void(boost::system::error_code error, HttpResponse const& response)>;

    HttpClient(boost::asio::io_context& context, Options options);
    HttpClient(HttpClient const&) = delete;
    HttpClient& operator=(HttpClient const&) = delete;
    ~HttpClient();

    /// Sends a request; the one before it must have been answered or failed.
    /// Errors  anything of the socket, boost::beast::error::timeout, boost::beast::http::error:
    ///         then the connection is closed, and the request may have arrived or not.
    void send(HttpRequest const& request, Done done);

    /// Ends the connection at once; a request under way fails with operation_aborted.
    void close();

    [[nodiscard]] bool is_busy() const noexcept;

private:
    struct Connection;

    boost::asio::io_context& context_;
    Options options_;
    std::shared_ptr<Connection> connection_;
};

}  // namespace spoke::sim
