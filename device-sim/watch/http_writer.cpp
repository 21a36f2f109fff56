#include "device-sim/watch/http_writer.hpp"

#include <fmt/format.h>

#include <utility>

namespace spoke::sim {
namespace {

constexpr unsigned kOk = 200;
constexpr unsigned kCreated = 201;

}  // namespace

HttpWriter::HttpWriter(boost::asio::io_context& context, WriterOptions const& options,
                       WatchJudge& judge, WriterTally& tally, WriterRole role)
    : PacedWriter(context, judge, tally, std::move(role)),
      options_(options),
      client_(context, options.http) {}

std::string HttpWriter::inbox_message() const {
    auto const& [name, topic, data, type, terms] = message();
    std::string more;
    if (!terms.collapse.empty()) more += fmt::format(R"(,"collapse":"{}")", terms.collapse);
    if (terms.ttl) more += fmt::format(R"(,"ttl_ms":{})", terms.ttl->count());
    return fmt::format(R"({{"type":"{}","data":{}{}}})", type, data, more);
}

HttpRequest HttpWriter::request() const {
    HttpRequest request;
    request.method = "POST";
    auto const& ttl = message().terms.ttl;
    if (role_.way == WriteWay::inbox) {
        request.target = fmt::format("/v1/inboxes/{}/messages", message().topic);
        request.body = inbox_message();
    } else {
        request.target = fmt::format("/v1/publish/{}?qos=1", message().topic);
        if (ttl) request.target += fmt::format("&expiry={}", ttl->count() / 1000);
        request.body = message().data;
    }
    request.headers.emplace_back("Idempotency-Key", fmt::format("\"{}\"", message().name));
    request.set_bearer(options_.token);
    return request;
}

void HttpWriter::send() {
    if (client_.is_busy()) return;
    client_.send(request(), [this](auto error, auto const& response) {
        if (!is_stopped()) on_response(error, response);
    });
}

void HttpWriter::on_response(boost::system::error_code error, HttpResponse const& response) {
    if (error) return again_soon();
    if (is_taken(response)) return acknowledged();
    tally_.add_refused(fmt::format("{} {}", response.status, response.body.substr(0, 120)));
    again_soon();
}

bool HttpWriter::is_taken(HttpResponse const& response) const {
    if (role_.way == WriteWay::inbox) {
        return response.status == kCreated || response.status == kOk;
    }
    return response.status == kOk &&
           response.body.find(R"("acknowledged":true)") != std::string::npos;
}

}  // namespace spoke::sim
