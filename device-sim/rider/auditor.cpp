#include "device-sim/rider/auditor.hpp"

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <chrono>
#include <utility>

#include "protocol/base/time.hpp"

namespace spoke::sim {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kNotFound = 404;
constexpr std::chrono::milliseconds kRetryAfter{500};

}  // namespace

Auditor::Auditor(boost::asio::io_context& context, HttpClient::Options const& http,
                 std::string const& token, Judge& judge)
    : context_(context), token_(token), judge_(judge) {
    for (std::size_t i = 0; i < kConnections; ++i) {
        clerks_.push_back(std::make_unique<Clerk>(context, http));
    }
}

void Auditor::read(std::vector<std::string> commands, std::function<void()> done) {
    commands_ = std::move(commands);
    done_ = std::move(done);
    busy_ = clerks_.size();
    boost::asio::post(context_, [this] {
        for (auto const& clerk : clerks_) take_next(*clerk);
    });
}

void Auditor::take_next(Clerk& clerk) {
    if (commands_.empty()) {
        if (--busy_ == 0) std::exchange(done_, {})();
        return;
    }
    clerk.command = std::move(commands_.back());
    commands_.pop_back();
    ask(clerk);
}

void Auditor::ask(Clerk& clerk) {
    HttpRequest request{"GET", "/v1/commands/" + clerk.command};
    request.set_bearer(token_);
    clerk.client.send(request,
                      [this, &clerk](boost::system::error_code error, auto const& response) {
                          on_response(clerk, error, response);
                      });
}

void Auditor::on_response(Clerk& clerk, boost::system::error_code error,
                          HttpResponse const& response) {
    auto now = read_clocks().wall;
    if (!error && response.status == kOk) {
        if (auto note = read_command_note(response.body)) judge_.on_shown(*note, now);
        return take_next(clerk);
    }
    if (!error && response.status == kNotFound) {
        judge_.on_missing(clerk.command, now);
        return take_next(clerk);
    }
    clerk.timer.expires_after(kRetryAfter);
    clerk.timer.async_wait([this, &clerk](boost::system::error_code cancelled) {
        if (!cancelled) ask(clerk);
    });
}

}  // namespace spoke::sim
