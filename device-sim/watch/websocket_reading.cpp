#include "device-sim/watch/websocket_reading.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/json.hpp>
#include <utility>

#include "device-sim/watch/reader_socket.hpp"

namespace spoke::sim {
namespace {

namespace net = boost::asio;
namespace beast = boost::beast;
namespace websocket = boost::beast::websocket;
namespace json = boost::json;

constexpr std::chrono::seconds kOpenTimeout{10};

}  // namespace

WebSocketReading::WebSocketReading(net::io_context& context, ReadingOptions const& options,
                                   ReadingWish wish, ReadingEvents& events)
    : options_(options), wish_(std::move(wish)), events_(&events), socket_(context) {}

void WebSocketReading::start() {
    net::ip::tcp::endpoint server{net::ip::make_address(options_.http.address), options_.http.port};
    auto& stream = beast::get_lowest_layer(socket_);
    open_small(stream);
    stream.expires_after(kOpenTimeout);
    stream.async_connect(server,
                         [self = shared_from_this()](Error error) { self->shake_hands(error); });
}

void WebSocketReading::shake_hands(Error error) {
    if (events_ == nullptr) return;
    if (error) return end(error.message());
    beast::get_lowest_layer(socket_).expires_never();
    websocket::stream_base::timeout timeouts{};
    timeouts.handshake_timeout = kOpenTimeout;
    timeouts.idle_timeout = options_.silent_for;
    socket_.set_option(timeouts);
    socket_.set_option(
        websocket::stream_base::decorator([token = options_.token](websocket::request_type& head) {
            if (!token.empty()) head.set(beast::http::field::authorization, "Bearer " + token);
        }));
    auto host = fmt::format("{}:{}", options_.http.address, options_.http.port);
    socket_.async_handshake(response_, host, events_target(wish_.filters, wish_.since),
                            [self = shared_from_this()](Error e) { self->on_open(e); });
}

void WebSocketReading::on_open(Error error) {
    if (events_ == nullptr) return;
    if (error) {
        auto status = response_.result_int();
        return end(status == 0 || status == 101 ? error.message()
                                                : fmt::format("{} {}", status, error.message()));
    }
    is_open_ = true;
    events_->on_connected();
    read();
}

void WebSocketReading::hold(bool holds) {
    is_held_ = holds;
    if (!holds && is_open_) read();
}

void WebSocketReading::read() {
    if (events_ == nullptr || is_held_ || is_reading_) return;
    is_reading_ = true;
    socket_.async_read(
        buffer_, [self = shared_from_this()](Error error, std::size_t) { self->on_read(error); });
}

void WebSocketReading::on_read(Error error) {
    is_reading_ = false;
    if (events_ == nullptr) return;
    if (error) return end(why_it_ended(error));
    auto text = beast::buffers_to_string(buffer_.data());
    buffer_.consume(buffer_.size());
    take(text);
    read();
}

void WebSocketReading::take(std::string_view text) {
    if (auto event = read_event(text)) return events_->on_event(*event);
    json::error_code error;
    auto value = json::parse({text.data(), text.size()}, error);
    auto const* object = error.failed() ? nullptr : value.if_object();
    auto const* op = object == nullptr ? nullptr : object->if_contains("op");
    if (op == nullptr || !op->is_string()) {
        return end(fmt::format("neither an event nor an op: {}", text.substr(0, 200)));
    }
    if (op->get_string() == "hello") {
        auto const* resumed = object->if_contains("resumed");
        auto const* lost = object->if_contains("lost");
        auto count = lost != nullptr && lost->is_int64() ? lost->get_int64() : 0;
        events_->on_hello(resumed != nullptr && resumed->is_bool() && resumed->get_bool(),
                          static_cast<std::uint64_t>(count));
    } else if (op->get_string() == "reset") {
        auto note = read_reset(text);
        if (!note) return end("a reset without a place to go on");
        events_->on_reset(*note);
    } else if (op->get_string() == "cursor") {
        auto const* id = object->if_contains("id");
        if (id != nullptr && id->is_string()) {
            events_->on_cursor(std::string{id->get_string().data(), id->get_string().size()});
        }
    }
}

std::string WebSocketReading::why_it_ended(Error error) const {
    if (error != websocket::error::closed) return error.message();
    auto const& reason = socket_.reason();
    return fmt::format("closed {} {}", static_cast<unsigned>(reason.code),
                       std::string_view{reason.reason.data(), reason.reason.size()});
}

void WebSocketReading::leave(Leave how) {
    events_ = nullptr;
    leave_socket(beast::get_lowest_layer(socket_), how);
}

void WebSocketReading::end(std::string const& why) {
    leave_socket(beast::get_lowest_layer(socket_), Leave::fin);
    std::exchange(events_, nullptr)->on_over(why, {});
}

}  // namespace spoke::sim
