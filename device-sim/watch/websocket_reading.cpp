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

using Millis = std::chrono::milliseconds;

constexpr std::chrono::seconds kOpenTimeout{10};
constexpr std::size_t kKeptMax = 100'000;

std::string text_of(json::object const& object, std::string_view name) {
    auto const* value = object.if_contains(name);
    if (value == nullptr || !value->is_string()) return {};
    return {value->get_string().data(), value->get_string().size()};
}

}  // namespace

WebSocketReading::WebSocketReading(net::io_context& context, ReadingOptions const& options,
                                   ReadingWish wish, ReadingEvents& events)
    : options_(options),
      wish_(std::move(wish)),
      events_(&events),
      socket_(context),
      dice_(wish_.seed),
      timer_(context),
      by_url_(wish_.filters),
      place_(wish_.since) {
    if (!wish_.subscribes) return;
    auto index = dice_.next() % by_url_.size();
    topic_ = by_url_[index];
    by_url_.erase(by_url_.begin() + static_cast<std::ptrdiff_t>(index));
}

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
    auto since = by_url_.empty() ? std::string{} : wish_.since;
    socket_.async_handshake(response_, host, events_target(by_url_, since),
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
    if (events_ == nullptr) return;
    if (!topic_.empty()) {
        catch_up_.begin();
        ask("sub", wish_.since);
    }
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
    if (auto event = read_event(text)) return take_event(std::move(*event));
    json::error_code error;
    auto value = json::parse({text.data(), text.size()}, error);
    auto const* object = error.failed() ? nullptr : value.if_object();
    if (object != nullptr && object->contains("q")) return take_answer(*object, text);
    auto op = object == nullptr ? std::string{} : text_of(*object, "op");
    if (op.empty()) {
        return end(fmt::format("neither an event nor an op: {}", text.substr(0, 200)));
    }
    take_op(op, *object, text);
}

void WebSocketReading::take_event(SeenEvent event) {
    if (catch_up_.kept() >= kKeptMax) return end("what a topic has to catch up with is too much");
    tell(catch_up_.take(std::move(event)));
}

void WebSocketReading::tell(std::vector<SeenEvent> const& list) {
    for (auto const& event : list) {
        if (events_ == nullptr) return;
        place_ = event.place.text();
        events_->on_event(event);
    }
}

void WebSocketReading::take_op(std::string_view op, json::object const& object,
                               std::string_view text) {
    if (op == "hello") {
        auto note = read_hello(text);
        // Without a topic there is nothing to resume.
        if (note && !by_url_.empty()) events_->on_hello(*note);
    } else if (op == "reset") {
        take_reset(text);
    } else if (op == "cursor") {
        take_cursor(text_of(object, "id"));
    }
}

void WebSocketReading::take_cursor(std::string const& cursor) {
    // It says nothing of a topic that is not read.
    if (cursor.empty() || catch_up_.is_missing()) return;
    tell(catch_up_.take_rest());
    if (events_ == nullptr) return;
    place_ = cursor;
    events_->on_cursor(cursor);
}

void WebSocketReading::take_reset(std::string_view text) {
    auto note = read_reset(text);
    if (!note) return end("a reset without a place to go on");
    place_ = note->cursor;
    events_->on_reset(*note);
}

// ---- operations ----

void WebSocketReading::ask(std::string_view op, std::string_view since) {
    json::object object{{"op", op}, {"topic", topic_}, {"q", ++asked_}};
    if (!since.empty()) object["since"] = since;
    operation_ = json::serialize(object);
    socket_.text(true);
    // An error is one of the reading as well.
    socket_.async_write(net::buffer(operation_),
                        [self = shared_from_this()](Error, std::size_t) {});
}

void WebSocketReading::take_answer(json::object const& object, std::string_view text) {
    auto const* ok = object.if_contains("ok");
    auto const* number = object.if_contains("q");
    auto is_ours = number->is_int64() && static_cast<std::uint64_t>(number->get_int64()) == asked_;
    if (!is_ours || ok == nullptr || !ok->is_bool() || !ok->get_bool()) {
        return end(fmt::format("an operation was refused: {}", text.substr(0, 200)));
    }
    if (std::exchange(is_leaving_, false)) {
        catch_up_.begin();
        return come_back_later(place_);
    }
    auto note = read_hello(text).value_or(HelloNote{});
    note.topic = topic_;
    events_->on_hello(note);
    if (events_ == nullptr) return;
    catch_up_.resume();
    leave_a_topic_later();
}

void WebSocketReading::leave_a_topic_later() {
    timer_.expires_after(dice_.between(options_.leave_every / 2, options_.leave_every * 3 / 2));
    timer_.async_wait([self = shared_from_this()](Error error) {
        if (!error && self->events_ != nullptr) self->leave_a_topic();
    });
}

void WebSocketReading::leave_a_topic() {
    if (!catch_up_.is_whole()) return leave_a_topic_later();
    is_leaving_ = true;
    topic_ = wish_.filters[dice_.next() % wish_.filters.size()];
    ask("unsub", {});
}

void WebSocketReading::come_back_later(std::string since) {
    timer_.expires_after(dice_.between(Millis{0}, options_.leave_every / 2));
    timer_.async_wait([self = shared_from_this(), since = std::move(since)](Error error) {
        if (!error && self->events_ != nullptr) self->ask("sub", since);
    });
}

std::string WebSocketReading::why_it_ended(Error error) const {
    if (error != websocket::error::closed) return error.message();
    auto const& reason = socket_.reason();
    return fmt::format("closed {} {}", static_cast<unsigned>(reason.code),
                       std::string_view{reason.reason.data(), reason.reason.size()});
}

void WebSocketReading::leave(Leave how) {
    events_ = nullptr;
    timer_.cancel();
    leave_socket(beast::get_lowest_layer(socket_), how);
}

void WebSocketReading::end(std::string const& why) {
    timer_.cancel();
    leave_socket(beast::get_lowest_layer(socket_), Leave::fin);
    std::exchange(events_, nullptr)->on_over(why, {});
}

}  // namespace spoke::sim
