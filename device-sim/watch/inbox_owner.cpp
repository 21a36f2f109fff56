#include "device-sim/watch/inbox_owner.hpp"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr Millis kLookEvery{300};
constexpr Millis kAgainMin{50};
constexpr Millis kAgainMax{500};
constexpr unsigned kOk = 200;
constexpr unsigned kNotModified = 304;
constexpr int kWaitSeconds = 5;

}  // namespace

InboxOwner::InboxOwner(boost::asio::io_context& context, HttpClient::Options const& http,
                       std::string const& token, WatchJudge& judge, Role role)
    : token_(token),
      judge_(judge),
      role_(std::move(role)),
      dice_(role_.seed),
      client_(context, http),
      timer_(context) {}

void InboxOwner::start() {
    look();
}

HttpRequest InboxOwner::request(std::string method, std::string target) const {
    HttpRequest request{std::move(method), std::move(target)};
    request.set_bearer(token_);
    return request;
}

void InboxOwner::look() {
    if (is_stopped_ || client_.is_busy()) return;
    auto wanted = request("GET", "/v1/inboxes/" + role_.who);
    // At the end the state is wanted, changed or not.
    if (!is_ending_ && !etag_.empty()) {
        if (role_.waits) wanted.target += fmt::format("?wait={}", kWaitSeconds);
        wanted.headers.emplace_back("If-None-Match", etag_);
    }
    auto is_last = is_ending_;
    auto asked_at = read_clocks().wall;
    client_.send(wanted, [this, is_last, asked_at](auto error, auto const& response) {
        if (is_stopped_) return;
        if (is_last || !is_ending_) return on_look(error, response, asked_at);
        look();  // asked before the end
    });
}

void InboxOwner::on_look(boost::system::error_code error, HttpResponse const& response,
                         WallTime asked_at) {
    if (error) return look_after(dice_.between(kAgainMin, kAgainMax));
    if (response.status == kNotModified) return on_same(asked_at);
    auto document = response.status == kOk ? read_inbox(response.body) : std::nullopt;
    if (!document) return look_after(kAgainMax);
    etag_ = response.header("ETag");
    known_ = *document;
    TimeSpan when{asked_at, read_clocks().wall};
    if (is_ending_) {
        judge_.on_quiet_inbox(role_.who, *document, when);
        if (auto done = std::exchange(done_, {})) done();
        return;
    }
    judge_.on_inbox(role_.who, *document, when);
    if (document->cursor) seen_ = document->cursor;
    if (seen_ && dice_.chance(role_.reads_share)) return mark(*seen_);
    look_after(role_.waits ? Millis{0} : kLookEvery);
}

/// What was told last is told again: after a wait, of its end.
void InboxOwner::on_same(WallTime asked_at) {
    auto now = read_clocks().wall;
    auto waited_to = role_.waits ? asked_at + std::chrono::seconds{kWaitSeconds} : asked_at;
    // A bridge that stops waits no longer.
    judge_.on_inbox(role_.who, known_, {waited_to <= now ? waited_to : asked_at, now});
    look_after(role_.waits ? Millis{0} : kLookEvery);
}

void InboxOwner::mark(Place const& upto) {
    auto wanted = request("POST", fmt::format("/v1/inboxes/{}/read", role_.who));
    wanted.body = fmt::format(R"({{"upto":"{}"}})", upto.text());
    auto asked_at = read_clocks().wall;
    client_.send(wanted, [this, upto, asked_at](auto error, auto const& response) {
        if (!is_stopped_) on_marked(upto, error, response, asked_at);
    });
}

void InboxOwner::on_marked(Place const& upto, boost::system::error_code error,
                           HttpResponse const& response, WallTime asked_at) {
    if (!error && response.status == kOk) {
        judge_.on_marked(role_.who, upto);
        if (auto document = read_inbox(response.body)) {
            judge_.on_inbox(role_.who, *document, {asked_at, read_clocks().wall});
        }
    }
    look_after(kLookEvery);
}

void InboxOwner::look_after(Millis delay) {
    timer_.expires_after(delay);
    timer_.async_wait([this](boost::system::error_code error) {
        if (!error) look();
    });
}

void InboxOwner::look_at_the_end(std::function<void()> done) {
    is_ending_ = true;
    done_ = std::move(done);
    timer_.cancel();
    look();
}

void InboxOwner::stop() {
    is_stopped_ = true;
    done_ = {};
    timer_.cancel();
    client_.close();
}

}  // namespace spoke::sim
