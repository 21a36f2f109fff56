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

HttpRequest HttpWriter::request() const {
    HttpRequest request;
    request.method = "POST";
    if (role_.way == WriteWay::inbox) {
        request.target = fmt::format("/v1/inboxes/{}/messages", message().topic);
        request.body = fmt::format(R"({{"type":"{}","data":{}}})", message().type, message().data);
    } else {
        request.target = fmt::format("/v1/publish/{}?qos=1", message().topic);
        request.body = message().data;
    }
    request.headers.emplace_back("Idempotency-Key", fmt::format("\"{}\"", message().name));
    if (!options_.token.empty()) {
        request.headers.emplace_back("Authorization", "Bearer " + options_.token);
    }
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
