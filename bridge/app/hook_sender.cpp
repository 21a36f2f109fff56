#include "bridge/app/hook_sender.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include "bridge/hook/hook_url.hpp"

namespace spoke::bridge {
namespace {

namespace net = boost::asio;
namespace ssl = boost::asio::ssl;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;

constexpr std::uint32_t kHeaderBytesMax = 16 * 1024;
constexpr std::uint64_t kBodyBytesMax = 64 * 1024;
constexpr int kInterimMax = 4;  // 1xx before the response

bool is_allowed(net::ip::address const& address, bool allow_private) {
    if (allow_private) return true;
    if (address.is_v4()) return is_public_address(address.to_v4().to_bytes());
    return is_public_address(address.to_v6().to_bytes());
}

http::request<http::string_body> make_request(HookRequest from, HookUrl const& url) {
    constexpr unsigned kHttp11 = 11;
    http::request<http::string_body> out{http::verb::post, url.target, kHttp11};
    out.set(http::field::host, url.authority());
    out.set(http::field::user_agent, "spoke-bridge");
    out.set(http::field::connection, "close");
    for (auto const& [name, value] : from.headers) out.set(name, value);
    out.body() = std::move(from.body);
    out.prepare_payload();
    return out;
}

}  // namespace

/// One request. Lives until its last handler has run.
class HookSender::Attempt : public std::enable_shared_from_this<Attempt> {
public:
    Attempt(net::io_context& context, ssl::context& tls, Options const& options, HookUrl url,
            HookRequest request, Done done)
        : tls_context_(tls),
          allow_private_(options.allow_private),
          url_(std::move(url)),
          request_(make_request(std::move(request), url_)),
          done_(std::move(done)),
          resolver_(context),
          socket_(context),
          deadline_(context, options.timeout) {}

    void start() {
        deadline_.async_wait([self = shared_from_this()](error_code error) {
            if (!error) self->fail("timeout");
        });
        error_code error;
        auto address = net::ip::make_address(url_.host, error);
        if (!error) return connect({tcp::endpoint{address, url_.port}});
        resolver_.async_resolve(
            url_.host, std::to_string(url_.port), tcp::resolver::numeric_service,
            [self = shared_from_this()](error_code failed, tcp::resolver::results_type results) {
                if (failed) return self->fail("resolve: " + failed.message());
                self->connect({results.begin(), results.end()});
            });
    }

    /// Ends without telling anybody.
    void abandon() {
        done_ = {};
        close();
    }

private:
    void connect(std::vector<tcp::endpoint> endpoints) {
        std::erase_if(endpoints, [this](tcp::endpoint const& endpoint) {
            return !is_allowed(endpoint.address(), allow_private_);
        });
        if (endpoints.empty()) return fail("the address is not public (hooks.allow_private)");
        endpoints_ = std::move(endpoints);
        connect_next(0);
    }

    void connect_next(std::size_t i) {
        error_code ignored;
        socket_.close(ignored);
        socket_.async_connect(endpoints_[i], [self = shared_from_this(), i](error_code error) {
            if (self->is_over()) return;
            if (!error) return self->on_connected();
            if (i + 1 < self->endpoints_.size()) return self->connect_next(i + 1);
            self->fail("connect: " + error.message());
        });
    }

    void on_connected() {
        if (!url_.is_tls) return write();
        tls_.emplace(socket_, tls_context_);
        tls_->set_verify_mode(ssl::verify_peer);
        tls_->set_verify_callback(ssl::host_name_verification{url_.host});
        // An address is no server name (RFC 6066, 3).
        error_code not_an_address;
        static_cast<void>(net::ip::make_address(url_.host, not_an_address));
        if (not_an_address) SSL_set_tlsext_host_name(tls_->native_handle(), url_.host.c_str());
        tls_->async_handshake(ssl::stream_base::client,
                              [self = shared_from_this()](error_code error) {
                                  if (error) return self->fail("TLS: " + error.message());
                                  self->write();
                              });
    }

    template <class Use>
    void with_stream(Use const& use) {
        if (tls_) return use(*tls_);
        use(socket_);
    }

    void write() {
        with_stream([this](auto& stream) {
            http::async_write(stream, request_,
                              [self = shared_from_this()](error_code error, std::size_t) {
                                  // A receiver may answer before it has read all of it.
                                  if (error == net::error::operation_aborted) return;
                                  self->read_header(0);
                              });
        });
    }

    void read_header(int interim) {
        if (is_over()) return;
        parser_.emplace();
        parser_->header_limit(kHeaderBytesMax);
        parser_->body_limit(kBodyBytesMax);
        with_stream([this, interim](auto& stream) {
            http::async_read_header(
                stream, buffer_, *parser_,
                [self = shared_from_this(), interim](error_code error, std::size_t) {
                    if (error) return self->fail("response: " + error.message());
                    self->on_header(interim);
                });
        });
    }

    void on_header(int interim) {
        auto status = parser_->get().result_int();
        if (status / 100 == 1 && interim < kInterimMax) return read_header(interim + 1);
        outcome_.status = status;
        outcome_.retry_after = std::string{parser_->get()[http::field::retry_after]};
        // The rest is of no use, but some receivers take it ill when nobody reads it.
        with_stream([this](auto& stream) {
            http::async_read(
                stream, buffer_, *parser_,
                [self = shared_from_this()](error_code, std::size_t) { self->finish(); });
        });
    }

    void fail(std::string problem) {
        if (outcome_.status == 0) outcome_.problem = std::move(problem);
        finish();
    }

    void finish() {
        if (is_over()) return;
        auto done = std::exchange(done_, {});
        close();
        done(std::move(outcome_));
    }

    [[nodiscard]] bool is_over() const noexcept { return !done_; }

    void close() {
        error_code ignored;
        deadline_.cancel();
        resolver_.cancel();
        socket_.close(ignored);
    }

    ssl::context& tls_context_;  // outlives this
    bool allow_private_;
    HookUrl url_;
    http::request<http::string_body> request_;
    Done done_;  // empty: it is over
    tcp::resolver resolver_;
    std::vector<tcp::endpoint> endpoints_;  // checked
    tcp::socket socket_;
    std::optional<ssl::stream<tcp::socket&>> tls_;
    net::steady_timer deadline_;
    boost::beast::flat_buffer buffer_{kHeaderBytesMax + kBodyBytesMax};
    std::optional<http::response_parser<http::string_body>> parser_;
    HookOutcome outcome_;
};

HookSender::HookSender(net::io_context& context, Options options)
    : context_(context), options_(std::move(options)), tls_(ssl::context::tls_client) {
    SSL_CTX_set_min_proto_version(tls_.native_handle(), TLS1_2_VERSION);
    error_code error;
    if (options_.ca_file.empty()) {
        tls_.set_default_verify_paths(error);
    } else {
        tls_.load_verify_file(options_.ca_file, error);
    }
    if (!error) return;
    throw std::runtime_error{
        fmt::format("hooks.ca_file: {}: {}", options_.ca_file, error.message())};
}

HookSender::~HookSender() {
    stop();
}

void HookSender::send(HookRequest request, Done done) {
    auto url = parse_hook_url(request.url);
    auto refuse = [&](std::string problem) {
        net::post(context_, [done = std::move(done), problem = std::move(problem)] {
            done({0, problem, {}});
        });
    };
    if (!url) return refuse("the URL cannot be read");
    if (!url->is_tls && !options_.allow_http) return refuse("http (hooks.allow_http)");
    auto number = ++last_attempt_;
    auto attempt =
        std::make_shared<Attempt>(context_, tls_, options_, std::move(*url), std::move(request),
                                  [this, number, done = std::move(done)](HookOutcome outcome) {
                                      attempts_.erase(number);
                                      done(std::move(outcome));
                                  });
    attempts_.emplace(number, attempt);
    // Not at once: it might end before this returns.
    net::post(context_, [attempt] { attempt->start(); });
}

void HookSender::stop() {
    for (auto const& [number, weak] : std::exchange(attempts_, {})) {
        if (auto attempt = weak.lock()) attempt->abandon();
    }
}

}  // namespace spoke::bridge
