#include "device-sim/rider/errand.hpp"

#include <fmt/format.h>

#include <boost/beast/core/error.hpp>
#include <utility>

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr int kOk = 200;
constexpr int kNotModified = 304;
constexpr int kNotFound = 404;
constexpr int kFirstError = 400;
constexpr int kTooMany = 429;
constexpr int kUnavailable = 503;
constexpr std::chrono::seconds kFollowWait{10};

SteadyTime steady_now() {
    return read_clocks().steady;
}

WallTime wall_now() {
    return read_clocks().wall;
}

}  // namespace

Errand::Errand(boost::asio::io_context& context, ErrandOptions const& options, Judge& judge,
               Tally& tally, Dice& dice)
    : options_(options),
      judge_(judge),
      tally_(tally),
      dice_(dice),
      client_(context, options.http),
      timer_(context),
      tap_timer_(context) {}

void Errand::run(ErrandPlan plan, Done done) {
    plan_ = std::move(plan);
    done_ = std::move(done);
    began_ = steady_now();
    told_at_.reset();
    command_.clear();
    etag_.clear();
    state_.clear();
    posts_ = unanswered_ = 0;
    settled_ = giving_up_ = false;
    ++tally_.wishes;
    post();
}

HttpRequest Errand::request(std::string method, std::string target) const {
    HttpRequest request;
    request.method = std::move(method);
    request.target = std::move(target);
    request.set_bearer(options_.token);
    return request;
}

// ---- asking ----

void Errand::post() {
    auto wanted = request("POST", fmt::format("/v1/devices/{}/commands", plan_.wish.bike));
    wanted.headers.emplace_back("Idempotency-Key", fmt::format("\"{}\"", plan_.wish.key));
    if (plan_.wait.count() > 0) {
        wanted.headers.emplace_back("Prefer", fmt::format("wait={}", plan_.wait.count()));
    }
    wanted.body = plan_.body;
    ++tally_.requests;
    ++tally_.posts;
    if (posts_++ != 0) ++tally_.retries;
    judge_.on_asked(plan_.wish, wall_now());
    if (auto after = std::exchange(plan_.taps_again, std::nullopt)) {
        tap_timer_.expires_after(*after);
        tap_timer_.async_wait([this](Error error) {
            if (error || !client_.is_busy()) return;
            giving_up_ = true;
            client_.close();
        });
    }
    client_.send(wanted, [this](Error error, Response const& response) {
        tap_timer_.cancel();
        on_posted(error, response);
    });
}

void Errand::on_posted(Error error, Response const& response) {
    if (error) {
        bool gave_up = std::exchange(giving_up_, false) || error == boost::beast::error::timeout;
        ++(gave_up ? tally_.given_up : tally_.lost);
        ++unanswered_;
        judge_.on_lost(plan_.wish.key, gave_up);
        return retry(&Errand::post);
    }
    giving_up_ = false;
    if (static_cast<int>(response.status) >= kFirstError) return on_error_status(response);
    auto note = read_command_note(response.body);
    if (!note) {
        ++tally_.unreadable;
        return finish(Fate::nobody);
    }
    if (!response.header("Idempotent-Replayed").empty()) ++tally_.replayed;
    take(std::move(*note), response, true);
}

void Errand::on_error_status(Response const& response) {
    auto status = static_cast<int>(response.status);
    tally_.add_error("POST", response.status, response.body);
    judge_.on_refused(plan_.wish.key, status, wall_now());
    // This request was turned away; an earlier one may have been taken.
    bool is_for_now = status == kTooMany || status == kUnavailable;
    if (is_for_now && unanswered_ != 0) return retry(&Errand::post);
    finish(Fate::refused);
}

void Errand::take(CommandNote note, Response const& response, bool posted) {
    if (!told_at_) told_at_ = steady_now();
    command_ = note.id;
    etag_ = response.header("ETag");
    state_ = note.state;
    bool ends_now = note.settled && !settled_;
    settled_ = note.settled;
    if (posted) {
        judge_.on_told(plan_.wish.key, note, wall_now());
    } else {
        judge_.on_shown(note, wall_now());
    }
    if (ends_now && note.state == "succeeded" && plan_.wish.opens && !note.late) {
        tally_.add(Stage::whole, steady_now() - began_);
        tally_.add(read_spent_times(response.body));
    }
    go_on();
}

// ---- following ----

void Errand::go_on() {
    if (settled_) return finish(Fate::settled, state_);
    if (steady_now() - *told_at_ > options_.patience) return finish(Fate::unsettled, state_);
    if (std::exchange(plan_.cancels, false)) return cancel();
    follow();
}

void Errand::follow() {
    auto wanted =
        request("GET", fmt::format("/v1/commands/{}?wait={}", command_, kFollowWait.count()));
    if (!etag_.empty()) wanted.headers.emplace_back("If-None-Match", etag_);
    ++tally_.requests;
    client_.send(wanted,
                 [this](Error error, Response const& response) { on_shown(error, response); });
}

void Errand::cancel() {
    ++tally_.requests;
    client_.send(request("DELETE", "/v1/commands/" + command_),
                 [this](Error error, Response const& response) {
                     // Whatever the answer is, the command itself says what became of it.
                     if (error) return retry(&Errand::follow);
                     if (static_cast<int>(response.status) >= kFirstError) {
                         tally_.add_error("DELETE", response.status, response.body);
                     }
                     follow();
                 });
}

void Errand::on_shown(Error error, Response const& response) {
    if (error) {
        ++tally_.lost;
        return retry(&Errand::follow);
    }
    auto status = static_cast<int>(response.status);
    if (status == kNotModified) return go_on();
    if (status == kNotFound) {
        judge_.on_missing(command_, wall_now());
        return finish(Fate::nobody);
    }
    if (status != kOk) {
        tally_.add_error("GET", response.status, response.body);
        return retry(&Errand::follow);
    }
    auto note = read_command_note(response.body);
    if (!note) {
        ++tally_.unreadable;
        return finish(Fate::nobody);
    }
    take(std::move(*note), response, false);
}

// ---- time ----

void Errand::after(Millis delay, void (Errand::*next)()) {
    timer_.expires_after(delay);
    timer_.async_wait([this, next](Error error) {
        if (!error) (this->*next)();
    });
}

void Errand::retry(void (Errand::*next)()) {
    auto since = steady_now() - told_at_.value_or(began_);
    if (since > options_.retry_for)
        return finish(told_at_ ? Fate::unsettled : Fate::nobody, state_);
    after(dice_.between(options_.retry_min, options_.retry_max), next);
}

void Errand::finish(Fate fate, std::string state) {
    auto done = std::exchange(done_, {});
    if (done) done({fate, std::move(state)});
}

}  // namespace spoke::sim
