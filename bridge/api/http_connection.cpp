#include "bridge/api/http_connection.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <boost/asio/post.hpp>
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
constexpr std::size_t kBodyReadSize = 16 * 1024;
constexpr std::size_t kHeadSize = 512;  // of a response, as a rule

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
            expect_within(server_->options.header_timeout);
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

    void on_tick(SteadyTime now) override {
        if (now >= deadline_) close();
    }

    void on_gone() override {
        // Who has only closed his sending side still gets an answer.
        if (gone_) std::exchange(gone_, {})();
    }

private:
    enum class State { idle, reading, held, writing, closing };

    beast::tcp_stream& tcp_layer() { return beast::get_lowest_layer(stream_); }

    /// What is under way ends by then, or the connection does.
    void expect_within(std::chrono::milliseconds patience) {
        deadline_ = std::chrono::steady_clock::now() + patience;
    }
    void expect_nothing() { deadline_ = SteadyTime::max(); }

    /// Until the first byte of a request, which may have come with the last one.
    void await(std::chrono::milliseconds patience) {
        if (buffer_.size() > 0) {
            // Not at once: each request of many would be a call deeper.
            state_ = State::reading;
            return net::post(stream_.get_executor(), [self = this->shared_from_this()] {
                if (self->state_ == State::reading) self->begin_request();
            });
        }
        state_ = State::idle;
        server_->enter_idle(this, idle_);
        expect_within(patience);
        read_more();
    }

    void read_more() {
        auto room = parser_ && parser_->is_header_done() ? kBodyReadSize : kReadSize;
        auto bytes = buffer_.prepare(room);
        if constexpr (kIsTls) {
            stream_.async_read_some(
                bytes, [self = this->shared_from_this()](error_code error, std::size_t size) {
                    self->on_bytes(error, size);
                });
        } else {
            // A read would be tried at once, and as a rule there is nothing yet.
            stream_.socket().async_wait(tcp::socket::wait_read, [self = this->shared_from_this(),
                                                                 bytes](error_code error) {
                if (error) return self->on_bytes(error, 0);
                auto size = ::recv(self->descriptor(), bytes.data(), bytes.size(), MSG_DONTWAIT);
                if (size > 0) return self->on_bytes({}, static_cast<std::size_t>(size));
                if (size < 0 && (errno == EAGAIN || errno == EINTR)) return self->read_more();
                self->on_bytes(net::error::eof, 0);
            });
        }
    }

    void on_bytes(error_code error, std::size_t size) {
        if (error || state_ == State::closing) return close();
        buffer_.commit(size);
        if (state_ != State::idle) return go_on();
        server_->leave_idle(idle_);
        begin_request();
    }

    void begin_request() {
        state_ = State::reading;
        asked_ = {};
        parser_.emplace();
        parser_->header_limit(static_cast<std::uint32_t>(server_->options.header_bytes_max));
        parser_->body_limit(server_->options.body_bytes_max);
        expect_within(server_->options.header_timeout);
        go_on();
    }

    /// Reads as far as the bytes go that are there.
    void go_on() {
        if (!parser_->is_header_done()) {
            if (!parse()) return;
            if (!parser_->is_header_done()) return read_more();
            if (!on_header()) return;
        }
        go_on_with_body();
    }

    void go_on_with_body() {
        parser_->eager(true);
        while (!parser_->is_done()) {
            auto before = buffer_.size();
            if (before == 0) return read_more();
            if (!parse()) return;
            if (!parser_->is_done() && buffer_.size() == before) return read_more();
        }
        on_body();
    }

    /// Out: whether it can go on; if not, the request has ended.
    bool parse() {
        error_code error;
        buffer_.consume(parser_->put(buffer_.data(), error));
        if (!error || error == http::error::need_more) return true;
        note_header();
        fail(error);
        return false;
    }

    /// Out: whether the body can be read now.
    bool on_header() {
        note_header();
        auto const& message = parser_->get();
        auto length = parser_->content_length();
        auto bytes = length ? *length : server_->options.body_bytes_max;
        if (!parser_->is_done() && bytes > kSmallBody) {
            server_->enter_transfer(this, bytes, transfer_);
            if (state_ == State::closing) return false;
        }
        expect_within(server_->options.body_timeout);
        if (!beast::iequals(message[http::field::expect], "100-continue")) return true;
        static constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
        net::async_write(stream_, net::buffer(kContinue),
                         [self = this->shared_from_this()](error_code e, std::size_t) {
                             if (e || self->state_ == State::closing) return self->close();
                             self->go_on_with_body();
                         });
        return false;
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

    void on_body() {
        server_->leave_transfer(transfer_);
        state_ = State::held;
        expect_nothing();
        auto& message = parser_->get();
        keep_alive_ = message.keep_alive() && !server_->stopping;
        if (asked_.version >= 11 && message.find(http::field::host) == message.end()) {
            keep_alive_ = false;
            return respond(
                to_response(Problem{ProblemKind::invalid, "the request has no Host header"}));
        }
        if (is_from_elsewhere(message)) return respond(to_response(foreign_page()));
        if (beast::websocket::is_upgrade(message)) {
            upgrade_ = std::make_unique<UpgradeRequest>(message.base());
        }
        auto request = to_request(message);
        request.address = seat_.address();
        if (asked_.trace.empty()) asked_.trace = make_traceparent(server_->random);
        request.trace = asked_.trace;
        request.when_gone = [this](std::function<void()> told) { gone_ = std::move(told); };
        parser_.reset();
        server_->handler(request, [self = this->shared_from_this()](HttpResponse response) {
            self->respond(std::move(response));
        });
        if (state_ != State::held) return;
        // A request that waits keeps no buffer.
        if (buffer_.size() == 0) buffer_.shrink_to_fit();
        server_->watch_held();
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
        head_ = head_of(response, response.body.size());
        body_ = asked_.is_head || has_no_body(response) ? std::string{} : std::move(response.body);
        if (body_.size() > kSmallBody) {
            server_->enter_transfer(this, body_.size(), transfer_);
            if (state_ == State::closing) return;
        }
        expect_within(server_->options.write_timeout);
        write();
    }

    [[nodiscard]] static bool has_no_body(HttpResponse const& response) {
        return response.status == 101 || response.status == 204 || response.status == 304;
    }

    void write() {
        std::array<net::const_buffer, 2> parts{net::buffer(head_), net::buffer(body_)};
        if constexpr (!kIsTls) {
            std::array<iovec, 2> vectors{iovec{head_.data(), head_.size()},
                                         iovec{body_.data(), body_.size()}};
            msghdr message{};
            message.msg_iov = vectors.data();
            message.msg_iovlen = body_.empty() ? 1 : 2;
            auto sent = ::sendmsg(descriptor(), &message, MSG_NOSIGNAL | MSG_DONTWAIT);
            auto size = sent > 0 ? static_cast<std::size_t>(sent) : 0;
            if (size == head_.size() + body_.size()) return on_written({});
            parts[0] += size;
            parts[1] += size - std::min(size, head_.size());
        }
        net::async_write(stream_, parts,
                         [self = this->shared_from_this()](error_code error, std::size_t) {
                             self->on_written(error);
                         });
    }

    /// The connection belongs to the stream from here on.
    void open_stream(HttpResponse response) {
        auto offer = std::move(response.stream);
        if (asked_.is_head) offer.body = {};
        keep_alive_ = false;
        auto head = head_of(response, std::nullopt);
        if (!asked_.is_head) head += response.body;
        buffer_.clear();
        state_ = State::closing;
        expect_nothing();
        serve_stream(std::move(seat_), release(), std::move(head), std::move(offer));
    }

    void open_web_socket(HttpResponse response) {
        auto problem = check_upgrade();
        if (problem) {
            state_ = State::held;
            return respond(to_response(*problem));
        }
        auto offer = std::move(response.web_socket);
        UpgradeHead head;
        for (auto const& [name, value] : common_fields()) head.set(name, value);
        for (auto const& [name, value] : response.headers) head.insert(name, value);
        buffer_.clear();
        state_ = State::closing;
        expect_nothing();
        serve_web_socket(std::move(seat_), release(), std::move(*upgrade_), std::move(head),
                         std::move(offer));
    }

    /// A page of another site could use what its visitor's browser reaches: no key may be wanted.
    std::optional<Problem> check_upgrade() {
        if (!upgrade_ || buffer_.size() > 0) {
            return Problem{ProblemKind::invalid,
                           "the request is no upgrade to WebSocket (RFC 6455, 4.1)"};
        }
        if (is_known_page((*upgrade_)[http::field::host])) return std::nullopt;
        return foreign_page();
    }

    /// Whether it comes from no page, or from one of this host or of an allowed origin.
    [[nodiscard]] bool is_known_page(std::string_view host) const {
        auto origin = std::string_view{asked_.origin};
        if (origin.empty() || server_->cors.allows(origin)) return true;
        auto from = origin.find("://");
        return from != std::string_view::npos && origin.substr(from + 3) == host;
    }

    /// Where no key is wanted, a page of another site could order by a request for which the
    /// browser does not ask first (a POST of a form, or of plain text).
    [[nodiscard]] bool is_from_elsewhere(http::request<http::string_body> const& message) const {
        auto is_safe = message.method() == http::verb::get ||
                       message.method() == http::verb::head ||
                       message.method() == http::verb::options;
        return server_->options.loopback_only && !is_safe &&
               !is_known_page(message[http::field::host]);
    }

    [[nodiscard]] Problem foreign_page() const {
        return {ProblemKind::origin,
                "add it to http.cors_origins if it is yours",
                {{"origin", asked_.origin}}};
    }

    auto release() {
        if constexpr (kIsTls) {
            return std::move(stream_);
        } else {
            return stream_.release_socket();
        }
    }

    using Fields = std::array<std::pair<std::string_view, std::string_view>, 4>;

    /// Valid until the next request.
    Fields common_fields() {
        if (asked_.request_id.empty()) {
            asked_.request_id = fmt::format("r_{:016x}", server_->random());
        }
        if (asked_.trace.empty()) asked_.trace = make_traceparent(server_->random);
        return {{{"Server", "spoke-bridge"},
                 {"Date", server_->date()},
                 {"Request-Id", asked_.request_id},
                 {"traceparent", asked_.trace}}};
    }

    /// Status line and fields. In: `length` of the body; nullopt: it lasts until the connection
    /// ends.
    std::string head_of(HttpResponse const& response, std::optional<std::size_t> length) {
        goes_on_ = keep_alive_ && !server_->stopping;
        std::string out;
        out.reserve(kHeadSize);
        auto add = [&out](std::string_view name, std::string_view value) {
            out.append(name).append(": ").append(value).append("\r\n");
        };
        auto reason = http::obsolete_reason(http::int_to_status(response.status));
        out.append(asked_.version < 11 ? "HTTP/1.0 " : "HTTP/1.1 ");
        out.append(fmt::format_int(response.status).c_str()).append(" ");
        out.append(reason.data(), reason.size()).append("\r\n");
        for (auto const& [name, value] : common_fields()) add(name, value);
        for (auto const& [name, value] : response.headers) add(name, value);
        if (goes_on_ && asked_.version < 11) add("Connection", "keep-alive");
        if (!goes_on_ && asked_.version >= 11) add("Connection", "close");
        if (!has_no_body(response)) {
            add("Content-Type", response.content_type);
            if (length) add("Content-Length", fmt::format_int(*length).c_str());
        }
        return out.append("\r\n");
    }

    void on_written(error_code error) {
        server_->leave_transfer(transfer_);
        if (error || state_ == State::closing) return close();
        body_ = {};
        if (goes_on_ && !server_->stopping) return await(server_->options.idle_timeout);
        state_ = State::closing;
        expect_within(std::chrono::seconds{2});
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
        expect_nothing();
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
    std::string head_{};  // of the response
    std::string body_{};
    SteadyTime deadline_ = SteadyTime::max();
    Asked asked_{};
    std::unique_ptr<UpgradeRequest> upgrade_{};  // null: the request asks for none
    std::function<void()> gone_{};
    std::array<char, 256> drained_{};
    std::size_t drained_bytes_ = 0;
    State state_ = State::idle;
    bool keep_alive_ = false;
    bool goes_on_ = false;  // after this response
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
