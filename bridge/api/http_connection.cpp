#include "bridge/api/http_connection.hpp"

#include <fmt/format.h>

#include <array>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <boost/beast/websocket/rfc6455.hpp>
#include <optional>
#include <type_traits>
#include <utility>

#include "bridge/api/compression.hpp"
#include "bridge/api/http_stream_peer.hpp"
#include "bridge/api/http_web_socket.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/trace_context.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using boost::system::error_code;
using net::ip::tcp;

/// Bodies up to this size are not counted: the number of connections bounds them well enough.
constexpr std::size_t kSmallBody = 16 * 1024;
constexpr std::size_t kReadSize = 1024;

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

/// What of a request is needed for its response.
struct Asked {
    unsigned version = 11;
    bool is_head = false;
    std::string request_id{};
    std::string trace{};
    std::string accept_encoding{};
    std::string origin{};
};

/// One connection: reads a request, hands it on, writes the response, and again.
template <class Stream>
class Connection final : public HttpPeer, public std::enable_shared_from_this<Connection<Stream>> {
    static constexpr bool kIsTls = std::is_same_v<Stream, TlsStream>;

public:
    template <class... More>
    Connection(std::shared_ptr<HttpServerState> server, std::string address, tcp::socket socket,
               More&... more)
        : server_(std::move(server)),
          seat_(server_, std::move(address), this),
          stream_(std::move(socket), more...) {}
    Connection(Connection const&) = delete;
    Connection& operator=(Connection const&) = delete;
    ~Connection() override {
        server_->leave_idle(idle_);
        server_->leave_transfer(transfer_);
    }

    void start() {
        if constexpr (kIsTls) {
            state_ = State::reading;
            tcp_layer().expires_after(server_->options.header_timeout);
            stream_.async_handshake(ssl::stream_base::server,
                                    [self = this->shared_from_this()](error_code error) {
                                        if (error) return self->close();
                                        self->await(self->server_->options.header_timeout);
                                    });
        } else {
            await(server_->options.header_timeout);
        }
    }

    void turn_away() {
        keep_alive_ = false;
        respond(to_response(
            Problem{ProblemKind::too_many_connections, {}, {}, {{"Retry-After", "10"}}}));
    }

    void stop() override {
        keep_alive_ = false;
        if (state_ == State::idle) close();
    }

    void drop() override {
        ++server_->dropped;
        close();
    }

    [[nodiscard]] bool is_held() const noexcept override { return state_ == State::held; }
    [[nodiscard]] int descriptor() override { return tcp_layer().socket().native_handle(); }

    void on_gone() override {
        // Who has only closed his sending side still gets an answer.
        if (gone_) std::exchange(gone_, {})();
    }

private:
    enum class State { idle, reading, held, writing, closing };

    beast::tcp_stream& tcp_layer() { return beast::get_lowest_layer(stream_); }

    /// Until the first byte of a request, which may have come with the last one.
    void await(std::chrono::milliseconds patience) {
        if (buffer_.size() > 0) return read_header();
        state_ = State::idle;
        server_->enter_idle(this, idle_);
        tcp_layer().expires_after(patience);
        stream_.async_read_some(
            buffer_.prepare(kReadSize),
            [self = this->shared_from_this()](error_code error, std::size_t size) {
                self->server_->leave_idle(self->idle_);
                if (error) return self->close();
                self->buffer_.commit(size);
                self->read_header();
            });
    }

    void read_header() {
        state_ = State::reading;
        asked_ = {};
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(server_->options.header_bytes_max));
        parser_->body_limit(server_->options.body_bytes_max);
        tcp_layer().expires_after(server_->options.header_timeout);
        http::async_read_header(stream_, buffer_, *parser_,
                                [self = this->shared_from_this()](error_code error, std::size_t) {
                                    self->on_header(error);
                                });
    }

    void on_header(error_code error) {
        note_header();
        if (error) return fail(error);
        auto const& message = parser_->get();
        auto length = parser_->content_length();
        auto bytes = length ? *length : server_->options.body_bytes_max;
        if (!parser_->is_done() && bytes > kSmallBody) {
            server_->enter_transfer(this, bytes, transfer_);
            if (state_ == State::closing) return;
        }
        tcp_layer().expires_after(server_->options.body_timeout);
        if (!beast::iequals(message[http::field::expect], "100-continue")) return read_body();
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        net::async_write(stream_, net::buffer(kContinue),
                         [self = this->shared_from_this()](error_code e, std::size_t) {
                             if (e) return self->close();
                             self->read_body();
                         });
    }

    void note_header() {
        auto const& message = parser_->get();
        asked_.version = message.version();
        asked_.is_head = message.method() == http::verb::head;
        asked_.accept_encoding = std::string_view{message[http::field::accept_encoding]};
        asked_.origin = std::string_view{message[http::field::origin]};
        std::string_view id{message["Request-Id"]};
        if (is_request_id(id)) asked_.request_id = id;
        std::string_view trace{message["traceparent"]};
        if (is_traceparent(trace)) asked_.trace = trace;
    }

    void read_body() {
        http::async_read(stream_, buffer_, *parser_,
                         [self = this->shared_from_this()](error_code error, std::size_t) {
                             self->on_body(error);
                         });
    }

    void on_body(error_code error) {
        server_->leave_transfer(transfer_);
        if (error) return fail(error);
        state_ = State::held;
        tcp_layer().expires_never();
        auto& message = parser_->get();
        keep_alive_ = message.keep_alive() && !server_->stopping;
        if (asked_.version >= 11 && message.find(http::field::host) == message.end()) {
            keep_alive_ = false;
            return respond(
                to_response(Problem{ProblemKind::invalid, "the request has no Host header"}));
        }
        if (beast::websocket::is_upgrade(message)) {
            upgrade_ = std::make_unique<UpgradeRequest>(message.base());
        }
        auto request = to_request(message);
        request.address = seat_.address();
        if (asked_.trace.empty()) asked_.trace = make_traceparent(server_->random);
        request.trace = asked_.trace;
        request.when_gone = [this](std::function<void()> told) { gone_ = std::move(told); };
        // A request that waits keeps neither its body nor a buffer.
        parser_.reset();
        if (buffer_.size() == 0) buffer_.shrink_to_fit();
        server_->watch_held();
        server_->handler(request, [self = this->shared_from_this()](HttpResponse response) {
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
        gone_ = {};
        if (response.web_socket.end) return open_web_socket(std::move(response));
        upgrade_.reset();
        server_->cors.add_headers(asked_.origin, response);
        if (response.stream.body) return open_stream(std::move(response));
        compress(response, asked_.accept_encoding, server_->options.gzip_bytes_min);
        auto bytes = response.body.size();
        fill(std::move(response));
        if (bytes > kSmallBody) {
            server_->enter_transfer(this, bytes, transfer_);
            if (state_ == State::closing) return;
        }
        tcp_layer().expires_after(server_->options.write_timeout);
        http::async_write(stream_, response_,
                          [self = this->shared_from_this()](error_code error, std::size_t) {
                              self->on_written(error);
                          });
    }

    /// The connection belongs to the stream from here on.
    void open_stream(HttpResponse response) {
        auto offer = std::move(response.stream);
        if (asked_.is_head) offer.body = {};
        keep_alive_ = false;
        auto first = std::move(response.body);
        auto content_type = std::move(response.content_type);
        response.body = {};
        fill(std::move(response));
        response_.set(http::field::content_type, content_type);
        response_.erase(http::field::content_length);
        auto head = fmt::format("HTTP/1.1 {} {}\r\n", response_.result_int(),
                                std::string_view{response_.reason()});
        for (auto const& field : response_) {
            head += fmt::format("{}: {}\r\n", std::string_view{field.name_string()},
                                std::string_view{field.value()});
        }
        head += "\r\n" + first;
        response_ = {};
        buffer_.clear();
        state_ = State::closing;
        tcp_layer().expires_never();
        serve_stream(std::move(seat_), release(), std::move(head), std::move(offer));
    }

    void open_web_socket(HttpResponse response) {
        auto problem = check_upgrade();
        if (problem) {
            state_ = State::held;
            return respond(to_response(*problem));
        }
        auto offer = std::move(response.web_socket);
        response.status = 101;
        fill(std::move(response));
        auto head = std::move(response_.base());
        response_ = {};
        buffer_.clear();
        state_ = State::closing;
        tcp_layer().expires_never();
        serve_web_socket(std::move(seat_), release(), std::move(*upgrade_), std::move(head),
                         std::move(offer));
    }

    /// A page of another site could use what its visitor's browser reaches: no key may be wanted.
    std::optional<Problem> check_upgrade() {
        if (!upgrade_ || buffer_.size() > 0) {
            return Problem{ProblemKind::invalid,
                           "the request is no upgrade to WebSocket (RFC 6455, 4.1)"};
        }
        auto host = std::string_view{(*upgrade_)[http::field::host]};
        auto origin = std::string_view{asked_.origin};
        if (origin.empty() || server_->cors.allows(origin)) return std::nullopt;
        auto from = origin.find("://");
        if (from != std::string_view::npos && origin.substr(from + 3) == host) return std::nullopt;
        return Problem{ProblemKind::origin,
                       "add it to http.cors_origins if it is yours",
                       {{"origin", std::string{origin}}}};
    }

    auto release() {
        if constexpr (kIsTls) {
            return std::move(stream_);
        } else {
            return stream_.release_socket();
        }
    }

    void fill(HttpResponse response) {
        response_ = {};
        response_.version(asked_.version);
        response_.result(response.status);
        response_.set(http::field::server, "spoke-bridge");
        response_.set(http::field::date, server_->date());
        if (asked_.request_id.empty()) {
            asked_.request_id = fmt::format("r_{:016x}", server_->random());
        }
        response_.set("Request-Id", asked_.request_id);
        if (!asked_.trace.empty()) response_.set("traceparent", asked_.trace);
        for (auto const& [name, value] : response.headers) response_.insert(name, value);
        response_.keep_alive(keep_alive_ && !server_->stopping);
        if (response.status == 101 || response.status == 204 || response.status == 304) return;
        response_.set(http::field::content_type, response.content_type);
        response_.content_length(response.body.size());
        if (!asked_.is_head) response_.body() = std::move(response.body);
    }

    void on_written(error_code error) {
        server_->leave_transfer(transfer_);
        if (error || state_ == State::closing) return close();
        auto goes_on = response_.keep_alive() && !server_->stopping;
        response_ = {};
        if (goes_on) return await(server_->options.idle_timeout);
        state_ = State::closing;
        tcp_layer().expires_after(std::chrono::seconds{2});
        if constexpr (kIsTls) {
            stream_.async_shutdown(
                [self = this->shared_from_this()](error_code) { self->close(); });
        } else {
            error_code ignored;
            tcp_layer().socket().shutdown(tcp::socket::shutdown_send, ignored);
            drain();
        }
    }

    /// Reads away what the peer still sends: closing at once would reset the connection and could
    /// take the response from it.
    void drain() {
        stream_.async_read_some(net::buffer(drained_), [self = this->shared_from_this()](
                                                           error_code error, std::size_t size) {
            self->drained_bytes_ += size;
            constexpr std::size_t kDrainMax = 1 << 20;
            if (error || self->drained_bytes_ > kDrainMax) return self->close();
            self->drain();
        });
    }

    void close() {
        state_ = State::closing;
        server_->leave_idle(idle_);
        server_->leave_transfer(transfer_);
        on_gone();
        error_code ignored;
        tcp_layer().socket().close(ignored);
    }

    std::shared_ptr<HttpServerState> server_;
    HttpSeat seat_;
    PeerPlace idle_{};
    PeerPlace transfer_{};
    Stream stream_;
    beast::flat_buffer buffer_{};
    std::optional<http::request_parser<http::string_body>> parser_{};
    http::response<http::string_body> response_{};
    Asked asked_{};
    std::unique_ptr<UpgradeRequest> upgrade_{};  // null: the request asks for none
    std::function<void()> gone_{};
    std::array<char, 256> drained_{};
    std::size_t drained_bytes_ = 0;
    State state_ = State::idle;
    bool keep_alive_ = false;
};

}  // namespace

void serve(std::shared_ptr<HttpServerState> server, tcp::socket socket, std::string address) {
    if (!server->tls) {
        std::make_shared<Connection<beast::tcp_stream>>(std::move(server), std::move(address),
                                                        std::move(socket))
            ->start();
        return;
    }
    // An SSL object holds what it needs of the context, which may be replaced meanwhile.
    auto tls = server->tls;
    std::make_shared<Connection<TlsStream>>(std::move(server), std::move(address),
                                            std::move(socket), *tls)
        ->start();
}

void turn_away(std::shared_ptr<HttpServerState> server, tcp::socket socket, std::string address) {
    if (server->tls) return server->on_connection_gone(address);
    std::make_shared<Connection<beast::tcp_stream>>(std::move(server), std::move(address),
                                                    std::move(socket))
        ->turn_away();
}

}  // namespace spoke::bridge
