#include "device-sim/watch/log_audit.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spoke::sim {
namespace {

using boost::system::error_code;

constexpr std::chrono::milliseconds kPageEvery{250};
constexpr unsigned kOk = 200;
constexpr unsigned kConflict = 409;
constexpr std::size_t kPageLimit = 1000;

}  // namespace

LogAudit::LogAudit(boost::asio::io_context& context, ReadingOptions const& options,
                   WatchJudge& judge, std::function<void()> on_end)
    : options_(options),
      judge_(judge),
      on_end_(std::move(on_end)),
      client_(context, options.http),
      timer_(context) {}

HttpRequest LogAudit::request(std::string target) const {
    HttpRequest request{"GET", std::move(target)};
    request.set_bearer(options_.token);
    return request;
}

void LogAudit::find_end(std::vector<std::string> filters, std::function<void(Place const&)> done) {
    if (client_.is_busy()) return;
    filters_ = std::move(filters);
    client_.send(request(events_target(filters_, "")),
                 [this, done = std::move(done)](auto error, auto const& answer) {
                     if (is_stopped_ || error || answer.status != kOk) return;
                     auto page = read_page(answer.body);
                     auto place = page ? Place::parse(page->next) : std::nullopt;
                     if (place) done(*place);
                 });
}

void LogAudit::start(Place const& from) {
    cursor_ = from.text();
    note_news();
    read();
}

void LogAudit::stop() {
    is_stopped_ = true;
    timer_.cancel();
    client_.close();
}

std::chrono::milliseconds LogAudit::quiet_for() const {
    auto quiet = read_clocks().steady - news_at_;
    return std::chrono::duration_cast<std::chrono::milliseconds>(quiet);
}

void LogAudit::read() {
    if (is_stopped_ || client_.is_busy()) return;
    auto target = fmt::format("{}&limit={}", events_target(filters_, cursor_), kPageLimit);
    client_.send(request(std::move(target)),
                 [this](auto error, auto const& response) { on_page(error, response); });
}

void LogAudit::on_page(error_code error, HttpResponse const& response) {
    if (is_stopped_) return;
    bool is_more = false;
    if (!error && response.status == kConflict) {
        cursor_ = "oldest";
        is_oldest_ = true;
    } else if (!error && response.status == kOk) {
        if (auto page = read_page(response.body)) {
            take_page(*page);
            is_more = page->events.size() == kPageLimit;
        }
    }
    if (is_more) return read();
    on_end_();
    if (is_stopped_) return;
    timer_.expires_after(kPageEvery);
    timer_.async_wait([this](error_code cancelled) {
        if (!cancelled) read();
    });
}

void LogAudit::take_page(EventPage const& page) {
    auto is_news = [](SeenEvent const& event) { return event.type != "expired"; };
    if (std::any_of(page.events.begin(), page.events.end(), is_news)) note_news();
    if (!page.events.empty() && std::exchange(is_oldest_, false)) {
        auto first = page.events.front().place;
        --first.offset;
        judge_.on_log_begins_behind(first);
    }
    for (auto const& event : page.events) judge_.on_log(event);
    cursor_ = page.next;
}

}  // namespace spoke::sim
