#include "device-sim/watch/forgotten_topic.hpp"

#include <fmt/format.h>

#include <utility>

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kConflict = 409;
constexpr auto kWriteEvery = 10ms;
constexpr auto kLookEvery = 250ms;
constexpr std::uint64_t kStepsPerLook = 20;

}  // namespace

ForgottenTopic::ForgottenTopic(boost::asio::io_context& context, ReadingOptions const& options,
                               std::string topic)
    : options_(options),
      topic_(std::move(topic)),
      client_(context, options.http),
      timer_(context) {}

void ForgottenTopic::start(Place const& start) {
    since_ = start.text();
    if (!topic_.empty()) write();
}

void ForgottenTopic::stop() {
    timer_.cancel();
    client_.close();
}

HttpRequest ForgottenTopic::request(std::string method, std::string target) const {
    HttpRequest request{std::move(method), std::move(target)};
    request.set_bearer(options_.token);
    return request;
}

void ForgottenTopic::write() {
    auto wanted = request("POST", "/v1/publish/" + topic_ + "?qos=1");
    wanted.body = fmt::format(R"({{"step":{}}})", steps_);
    client_.send(wanted, [this](auto error, HttpResponse const&) {
        if (error == boost::asio::error::operation_aborted) return;
        go_on_after(error ? kLookEvery : kWriteEvery);
    });
}

void ForgottenTopic::look() {
    auto target = events_target({topic_}, since_) + "&limit=1";
    client_.send(request("GET", target), [this](auto error, HttpResponse const& response) {
        if (error == boost::asio::error::operation_aborted) return;
        auto note =
            !error && response.status == kConflict ? read_reset(response.body) : std::nullopt;
        is_old_ = note && note->reason == "too-old";
        if (!is_old_) go_on_after(kLookEvery);
    });
}

void ForgottenTopic::go_on_after(std::chrono::milliseconds delay) {
    timer_.expires_after(delay);
    timer_.async_wait([this](boost::system::error_code error) {
        if (error) return;
        ++steps_ % kStepsPerLook == 0 ? look() : write();
    });
}

}  // namespace spoke::sim
