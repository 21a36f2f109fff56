#include "device-sim/http/http_client.hpp"

#include <fmt/format.h>

#include <boost/asio/error.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/error.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>

#include "protocol/base/assert.hpp"

namespace spoke::sim {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using net::ip::tcp;

HttpResponse to_response(http::response<http::string_body>& message) {
    HttpResponse out;
    out.status = message.result_int();
    for (auto const& field : message) {
        out.headers.emplace_back(std::string_view{field.name_string()},
                                 std::string_view{field.value()});
    }
    out.body = std::move(message.body());
    return out;
}

}  // namespace

std::string_view HttpResponse::header(std::string_view name) const noexcept {
    for (auto const& [known, value] : headers) {
        if (beast::iequals(known, name)) return value;
    }
    return {};
}

/// A connection from its opening to its end. Owned by the client and by the operation under way.
struct HttpClient::Connection : std::enable_shared_from_this<Connection> {
    Connection(net::io_context& context, Options const& o) : stream(context), options(o) {}

    void start(HttpRequest const& wanted, Done on_done) {
        done = std::move(on_done);
        response_to_head = wanted.method == "HEAD";
        request = {};
        request.version(11);
        request.method_string(wanted.method);
        request.target(wanted.target);
        request.set(http::field::host, host);
        if (!wanted.body.empty()) request.set(http::field::content_type, "application/json");
        for (auto const& [name, value] : wanted.headers) request.set(name, value);
        request.body() = wanted.body;
        request.prepare_payload();
        stream.expires_after(options.timeout);
        if (is_open) return write();
        error_code error;
        auto address = net::ip::make_address(options.address, error);
        if (error) {
            net::post(stream.get_executor(),
                      [self = shared_from_this(), error] { self->finish(error); });
            return;
        }
        stream.async_connect(tcp::endpoint{address, options.port},
                             [self = shared_from_this()](error_code e) { self->on_connect(e); });
    }

    void on_connect(error_code error) {
        if (error) return finish(error);
        error_code ignored;
        stream.socket().set_option(tcp::no_delay{true}, ignored);
        is_open = true;
        write();
    }

    void write() {
        http::async_write(stream, request,
                          [self = shared_from_this()](error_code error, std::size_t) {
                              self->on_written(error);
                          });
    }

    void on_written(error_code error) {
        if (error) return finish(error);
        parser.emplace();
        parser->body_limit(options.body_bytes_max);
        parser->skip(response_to_head);
        http::async_read(
            stream, buffer, *parser,
            [self = shared_from_this()](error_code e, std::size_t) { self->finish(e); });
    }

    void finish(error_code error) {
        HttpResponse response;
        if (!error) {
            auto keep = parser->get().keep_alive();
            response = to_response(parser->get());
            if (!keep) close();
        } else {
            close();
        }
        auto told = std::exchange(done, {});
        if (told) told(error, response);
    }

    void close() {
        is_open = false;
        is_over = true;
        error_code ignored;
        stream.socket().close(ignored);
    }

    beast::tcp_stream stream;
    Options options;
    std::string host = fmt::format("{}:{}", options.address, options.port);
    beast::flat_buffer buffer{};
    http::request<http::string_body> request{};
    std::optional<http::response_parser<http::string_body>> parser{};
    Done done{};
    bool response_to_head = false;
    bool is_open = false;
    bool is_over = false;
};

HttpClient::HttpClient(net::io_context& context, Options options)
    : context_(context), options_(std::move(options)) {}

HttpClient::~HttpClient() {
    if (!connection_) return;
    connection_->done = {};
    connection_->close();
}

void HttpClient::send(HttpRequest const& request, Done done) {
    MQ_ASSERT(!is_busy());
    if (!connection_ || connection_->is_over) {
        connection_ = std::make_shared<Connection>(context_, options_);
    }
    connection_->start(request, std::move(done));
}

void HttpClient::close() {
    if (connection_) connection_->close();
}

bool HttpClient::is_busy() const noexcept {
    return connection_ && connection_->done;
}

}  // namespace spoke::sim
