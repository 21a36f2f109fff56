#include "device-sim/watch/poll_reading.hpp"

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr unsigned kOk = 200;
constexpr unsigned kNotModified = 304;
constexpr unsigned kConflict = 409;
constexpr std::size_t kLimit = 200;

Millis retry_after(HttpResponse const& response) {
    auto text = response.header("Retry-After");
    std::uint32_t seconds = 0;
    std::from_chars(text.data(), text.data() + text.size(), seconds);
    return std::chrono::seconds{seconds};
}

}  // namespace

PollReading::PollReading(Kind kind, boost::asio::io_context& context, ReadingOptions const& options,
                         ReadingWish wish, ReadingEvents& events)
    : kind_(kind),
      options_(options),
      wish_(std::move(wish)),
      events_(&events),
      client_(context, options.http),
      timer_(context) {}

void PollReading::start() {
    ask_after(Millis{0});
}

void PollReading::hold(bool holds) {
    is_held_ = holds;
    if (!holds && std::exchange(is_due_, false)) ask();
}

void PollReading::leave(Leave how) {
    events_ = nullptr;
    timer_.cancel();
    if (how != Leave::silent) client_.close();
}

void PollReading::ask() {
    if (events_ == nullptr) return;
    if (is_held_) {
        is_due_ = true;
        return;
    }
    HttpRequest request{"GET", events_target(wish_.filters, wish_.since)};
    request.target += fmt::format("&limit={}", kLimit);
    if (kind_ == Kind::held) request.target += fmt::format("&wait={}", options_.wait.count());
    request.set_bearer(options_.token);
    if (!etag_.empty()) request.headers.emplace_back("If-None-Match", etag_);
    // Not a pointer that keeps it: the client, which it owns, keeps this.
    client_.send(request, [weak = weak_from_this()](auto error, auto const& response) {
        if (auto self = weak.lock()) self->on_response(error, response);
    });
}

void PollReading::on_response(boost::system::error_code error, HttpResponse const& response) {
    if (events_ == nullptr) return;
    if (error) return end(error.message());
    if (std::exchange(is_first_, false)) events_->on_connected();
    switch (response.status) {
        case kOk:
            return take_page(response);
        case kNotModified:
            if (auto cursor = response.header("Event-Cursor"); !cursor.empty()) {
                go_on(std::string{cursor});
            }
            return ask_after(kind_ == Kind::held ? Millis{0} : options_.poll_every);
        case kConflict:
            return take_reset(response);
        default:
            return end(fmt::format("{} {}", response.status, response.body.substr(0, 200)),
                       retry_after(response));
    }
}

void PollReading::take_page(HttpResponse const& response) {
    auto page = read_page(response.body);
    if (!page) return end("not a page of events: " + response.body.substr(0, 200));
    etag_ = response.header("ETag");
    for (auto const& event : page->events) {
        events_->on_event(event);
        if (events_ == nullptr) return;
    }
    go_on(page->next);
    if (events_ == nullptr) return;
    bool is_full = page->events.size() >= kLimit;
    ask_after(is_full || kind_ == Kind::held ? Millis{0} : options_.poll_every);
}

void PollReading::take_reset(HttpResponse const& response) {
    auto note = read_reset(response.body);
    if (!note) return end("409 without a place to go on: " + response.body.substr(0, 200));
    etag_.clear();
    events_->on_reset(*note);
    if (events_ == nullptr) return;
    go_on(note->cursor);
    ask_after(options_.poll_every);
}

void PollReading::go_on(std::string const& cursor) {
    wish_.since = cursor;
    events_->on_cursor(cursor);
}

void PollReading::ask_after(Millis delay) {
    if (events_ == nullptr) return;
    timer_.expires_after(delay);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
        if (!error) self->ask();
    });
}

void PollReading::end(std::string const& why, Millis wait) {
    client_.close();
    std::exchange(events_, nullptr)->on_over(why, wait);
}

}  // namespace spoke::sim
