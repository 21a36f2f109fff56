#include "bridge/api/http_server.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <list>
#include <optional>
#include <system_error>
#include <utility>

#include "bridge/api/problem.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;

HttpRequest to_request(http::request<http::string_body>& message) {
    HttpRequest request;
    request.method = std::string_view{message.method_string()};
    request.target = std::string_view{message.target()};
    for (auto const& field : message) {
        request.headers.emplace_back(std::string_view{field.name_string()},
                                     std::string_view{field.value()});
    }
    request.body = std::move(message.body());
    return request;
}

/// What to tell a peer whose bytes are no request; nullopt if there is nobody to tell.
std::optional<Problem> problem_of(error_code error, HttpServer::Options const& options) {
    if (error == http::error::body_limit) {
        return Problem{ProblemKind::too_large,
                       fmt::format("at most {} bytes", options.body_bytes_max)};
    }
    if (error == http::error::header_limit || error == http::error::buffer_overflow) {
        return Problem{ProblemKind::header_too_large,
                       fmt::format("at most {} bytes", options.header_bytes_max)};
    }
    if (error == http::error::end_of_stream || error == http::error::partial_message) {
        return std::nullopt;
    }
    if (error.category() == make_error_code(http::error::bad_method).category()) {
        return Problem{ProblemKind::invalid, "the request is not HTTP: " + error.message()};
    }
    return std::nullopt;
}

}  // namespace

struct HttpServer::Impl : std::enable_shared_from_this<HttpServer::Impl> {
    class Connection;

    Impl(net::io_context& io, Options o, Handler h, std::function<std::uint64_t()> r)
        : context(io),
          acceptor(io),
          retry(io),
          options(std::move(o)),
          handler(std::move(h)),
          random(std::move(r)) {}

    void accept();
    void on_accept(error_code error, tcp::socket socket);
    void on_connection_gone();

    net::io_context& context;
    tcp::acceptor acceptor;
    net::steady_timer retry;
    Options options;
    Handler handler;
    std::function<std::uint64_t()> random;
    std::function<void()> stopped{};
    std::list<Connection*> connections{};  // each takes itself out when it ends
    bool accepting = false;
    bool stopping = false;
};

/// One connection: reads a request, hands it on, writes the response, and again.
/// Owned  by the operation that is under way, or by the response that is awaited.
class HttpServer::Impl::Connection : public std::enable_shared_from_this<Connection> {
public:
    Connection(std::shared_ptr<Impl> server, tcp::socket socket)
        : server_(std::move(server)), stream_(std::move(socket)) {
        place_ = server_->connections.insert(server_->connections.end(), this);
    }
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;
    ~Connection() {
        server_->connections.erase(place_);
        server_->on_connection_gone();
    }

    void read(std::chrono::milliseconds patience) {
        state_ = State::idle;
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(server_->options.header_bytes_max));
        parser_->body_limit(server_->options.body_bytes_max);
        stream_.expires_after(patience);
        http::async_read_header(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_header(error); });
    }

    /// The server stops: what is idle ends here, the rest after its response.
    void stop() {
        keep_alive_ = false;
        if (state_ == State::idle) close();
    }

private:
    enum class State { idle, reading, handling, writing, closing };

    void on_header(error_code error) {
        if (error) return fail(error);
        state_ = State::reading;
        stream_.expires_after(server_->options.request_timeout);
        if (beast::iequals(parser_->get()[http::field::expect], "100-continue")) {
            static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
            net::async_write(stream_, net::buffer(kContinue),
                             [self = shared_from_this()](error_code e, std::size_t) {
                                 if (!e) self->read_body();
                             });
            return;
        }
        read_body();
    }

    void read_body() {
        http::async_read(
            stream_, buffer_, *parser_,
            [self = shared_from_this()](error_code error, std::size_t) { self->on_body(error); });
    }

    void on_body(error_code error) {
        if (error) return fail(error);
        state_ = State::handling;
        stream_.expires_never();
        auto& message = parser_->get();
        version_ = message.version();
        keep_alive_ = message.keep_alive() && !server_->stopping;
        is_head_ = message.method() == http::verb::head;
        if (version_ >= 11 && message.find(http::field::host) == message.end()) {
            keep_alive_ = false;
            return respond(
                to_response(Problem{ProblemKind::invalid, "the request has no Host header"}));
        }
        auto request = to_request(message);
        parser_.reset();  // a request that waits keeps no body
        server_->handler(request, [self = shared_from_this()](HttpResponse response) {
            self->respond(std::move(response));
        });
    }

    void fail(error_code error) {
        // After a time-out there is nobody to tell: the stream has closed the socket.
        auto problem = problem_of(error, server_->options);
        if (!problem) return close();
        keep_alive_ = false;
        respond(to_response(*problem));
    }

    void respond(HttpResponse response) {
        if (state_ == State::writing || state_ == State::closing) return;
        state_ = State::writing;
        response_ = {};
        response_.version(version_);
        response_.result(response.status);
        auto request_id = fmt::format("r_{:016x}", server_->random());
        response_.set("Request-Id", request_id);
        for (auto const& [name, value] : response.headers) response_.insert(name, value);
        response_.keep_alive(keep_alive_ && !server_->stopping);
        auto has_body = response.status != 204 && response.status != 304;
        if (has_body) {
            response_.set(http::field::content_type, response.content_type);
            response_.content_length(response.body.size());
        }
        if (has_body && !is_head_) response_.body() = std::move(response.body);
        stream_.expires_after(server_->options.write_timeout);
        http::async_write(stream_, response_,
                          [self = shared_from_this()](error_code error, std::size_t) {
                              self->on_written(error);
                          });
    }

    void on_written(error_code error) {
        if (error || server_->stopping) return close();
        if (response_.keep_alive()) return read(server_->options.idle_timeout);
        state_ = State::closing;
        error_code ignored;
        stream_.socket().shutdown(tcp::socket::shutdown_send, ignored);
        stream_.expires_after(std::chrono::seconds{2});
        drain();
    }

    /// Reads away what the peer still sends: closing at once would reset the connection and could
    /// take the response from it.
    void drain() {
        stream_.async_read_some(net::buffer(drained_),
                                [self = shared_from_this()](error_code error, std::size_t size) {
                                    self->drained_bytes_ += size;
                                    constexpr std::size_t kDrainMax = 1 << 20;
                                    if (error || self->drained_bytes_ > kDrainMax) {
                                        return self->close();
                                    }
                                    self->drain();
                                });
    }

    void close() {
        state_ = State::closing;
        error_code ignored;
        stream_.socket().close(ignored);
    }

    std::shared_ptr<Impl> server_;
    std::list<Connection*>::iterator place_{};
    beast::tcp_stream stream_;
    beast::flat_buffer buffer_;
    std::optional<http::request_parser<http::string_body>> parser_{};
    http::response<http::string_body> response_{};
    std::array<char, 512> drained_{};
    std::size_t drained_bytes_ = 0;
    unsigned version_ = 11;
    bool keep_alive_ = false;
    bool is_head_ = false;
    State state_ = State::idle;
};

void HttpServer::Impl::accept() {
    if (accepting || stopping || connections.size() >= options.connections_max) return;
    accepting = true;
    acceptor.async_accept(context,
                          [self = shared_from_this()](error_code error, tcp::socket socket) {
                              self->accepting = false;
                              self->on_accept(error, std::move(socket));
                          });
}

void HttpServer::Impl::on_accept(error_code error, tcp::socket socket) {
    if (stopping) return;
    if (error) {
        // Out of descriptors, as a rule: the ones in use will come back.
        retry.expires_after(std::chrono::milliseconds{100});
        retry.async_wait([self = shared_from_this()](error_code e) {
            if (!e) self->accept();
        });
        return;
    }
    error_code ignored;
    socket.set_option(tcp::no_delay{true}, ignored);
    auto connection = std::make_shared<Connection>(shared_from_this(), std::move(socket));
    connection->read(options.request_timeout);
    accept();
}

void HttpServer::Impl::on_connection_gone() {
    if (!stopping) return accept();
    if (connections.empty() && stopped) std::exchange(stopped, {})();
}

HttpServer::HttpServer(net::io_context& context, Options options, Handler handler,
                       std::function<std::uint64_t()> random)
    : impl_(std::make_shared<Impl>(context, std::move(options), std::move(handler),
                                   std::move(random))) {}

HttpServer::~HttpServer() {
    stop();
}

void HttpServer::listen() {
    auto const& host = impl_->options.host;
    auto address = fmt::format("{}:{}", host, impl_->options.port);
    auto fail = [&](error_code error) {
        throw std::system_error(error.value(), std::generic_category(),
                                "cannot listen on " + address);
    };
    error_code error;
    tcp::resolver resolver{impl_->context};
    auto found =
        resolver.resolve(host, std::to_string(impl_->options.port), tcp::resolver::passive, error);
    if (error || found.empty()) {
        throw std::runtime_error("cannot listen on " + address + ": " + error.message());
    }
    auto endpoint = found.begin()->endpoint();
    auto& acceptor = impl_->acceptor;
    acceptor.open(endpoint.protocol(), error);
    if (!error) acceptor.set_option(tcp::acceptor::reuse_address{true}, error);
    if (!error) acceptor.bind(endpoint, error);
    if (!error) acceptor.listen(net::socket_base::max_listen_connections, error);
    if (error) fail(error);
    impl_->accept();
}

std::uint16_t HttpServer::port() const {
    return impl_->acceptor.local_endpoint().port();
}

void HttpServer::stop(std::function<void()> stopped) {
    impl_->stopping = true;
    impl_->stopped = std::move(stopped);
    error_code ignored;
    impl_->acceptor.close(ignored);
    impl_->retry.cancel();
    for (auto* connection : impl_->connections) connection->stop();
    if (impl_->connections.empty()) impl_->on_connection_gone();
}

std::size_t HttpServer::connections() const noexcept {
    return impl_->connections.size();
}

}  // namespace spoke::bridge
