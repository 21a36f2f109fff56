#include "device-sim/watch/sse_reading.hpp"

#include <fmt/format.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/http/error.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <limits>
#include <utility>

#include "device-sim/watch/reader_socket.hpp"

namespace spoke::sim {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;

constexpr std::chrono::seconds kOpenTimeout{10};

}  // namespace

SseReading::SseReading(net::io_context& context, ReadingOptions const& options, ReadingWish wish,
                       ReadingEvents& events)
    : options_(options), wish_(std::move(wish)), events_(&events), stream_(context) {
    response_.body_limit(std::numeric_limits<std::uint64_t>::max());
}

void SseReading::start() {
    net::ip::tcp::endpoint server{net::ip::make_address(options_.http.address), options_.http.port};
    open_small(stream_);
    stream_.expires_after(kOpenTimeout);
    stream_.async_connect(server, [self = shared_from_this()](Error error) { self->ask(error); });
}

void SseReading::ask(Error error) {
    if (events_ == nullptr) return;
    if (error) return end(error.message());
    request_.version(11);
    request_.method(http::verb::get);
    request_.target(events_target(wish_.filters, wish_.asks_by_header ? "" : wish_.since));
    request_.set(http::field::host,
                 fmt::format("{}:{}", options_.http.address, options_.http.port));
    request_.set(http::field::accept, "text/event-stream");
    if (wish_.asks_by_header) request_.set("Last-Event-ID", wish_.since);
    if (!options_.token.empty()) {
        request_.set(http::field::authorization, "Bearer " + options_.token);
    }
    http::async_write(stream_, request_, [self = shared_from_this()](Error e, std::size_t) {
        if (self->events_ == nullptr) return;
        if (e) return self->end(e.message());
        http::async_read_header(
            self->stream_, self->buffer_, self->response_,
            [self](Error read_error, std::size_t) { self->on_header(read_error); });
    });
}

void SseReading::on_header(Error error) {
    if (events_ == nullptr) return;
    if (error) return end(error.message());
    auto status = response_.get().result_int();
    auto type = response_.get()[http::field::content_type];
    if (status != 200 || !type.starts_with("text/event-stream")) {
        return end(fmt::format("{} {}", status, std::string_view{type}));
    }
    events_->on_connected();
    read();
}

void SseReading::hold(bool holds) {
    is_held_ = holds;
    if (!holds && response_.is_header_done()) read();
}

void SseReading::read() {
    if (events_ == nullptr || is_held_ || is_reading_) return;
    is_reading_ = true;
    response_.get().body().data = chunk_.data();
    response_.get().body().size = chunk_.size();
    stream_.expires_after(options_.silent_for);
    http::async_read_some(
        stream_, buffer_, response_,
        [self = shared_from_this()](Error error, std::size_t) { self->on_read(error); });
}

void SseReading::on_read(Error error) {
    is_reading_ = false;
    if (events_ == nullptr) return;
    if (error == http::error::need_buffer) error = {};
    auto size = chunk_.size() - response_.get().body().size;
    auto is_fine = parser_.feed({chunk_.data(), size}, [this](SseFrame const& f) { take(f); });
    if (events_ == nullptr) return;
    if (!is_fine) return end("a frame is too long");
    if (error) return end(error.message());
    if (response_.is_done()) return end("the stream ended");
    read();
}

void SseReading::take(SseFrame const& frame) {
    if (events_ == nullptr) return;
    if (!frame.event.empty()) return take_named(frame);
    if (frame.has_data) {
        auto event = read_event(frame.data);
        if (!event) return end("not an event: " + frame.data.substr(0, 200));
        if (parser_.last_id() != event->place.text()) {
            return end(fmt::format("the frame's id {:?} is not {}", parser_.last_id(),
                                   event->place.text()));
        }
        events_->on_event(*event);
    } else if (frame.has_id) {
        events_->on_cursor(parser_.last_id());
    }
}

void SseReading::take_named(SseFrame const& frame) {
    if (frame.event == "hello") {
        if (auto note = read_hello(frame.data)) events_->on_hello(*note);
    } else if (frame.event == "reset") {
        auto note = read_reset(frame.data);
        if (!note) return end("a reset without a place to go on");
        events_->on_reset(*note);
    }
}

void SseReading::leave(Leave how) {
    events_ = nullptr;
    leave_socket(stream_, how);
}

void SseReading::end(std::string const& why) {
    leave_socket(stream_, Leave::fin);
    std::exchange(events_, nullptr)->on_over(why, {});
}

}  // namespace spoke::sim
