#include "bridge/api/publish_request.hpp"

#include "bridge/api/parameters.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

unsigned status_of(mqtt::NotSent cause) {
    switch (cause) {
        case mqtt::NotSent::queue_full:
            return 429;
        case mqtt::NotSent::too_large:
            return 413;
        case mqtt::NotSent::qos_not_supported:
        case mqtt::NotSent::retain_not_supported:
        case mqtt::NotSent::topic_invalid:
        case mqtt::NotSent::property_invalid:
            return 400;
        case mqtt::NotSent::none:
        case mqtt::NotSent::not_connected:
        case mqtt::NotSent::expired:
        case mqtt::NotSent::connection_lost:
        case mqtt::NotSent::session_lost:
        case mqtt::NotSent::abandoned:
            return 503;
    }
    return 503;
}

unsigned status_of(mqtt::ReasonCode reason) {
    if (reason == mqtt::ReasonCode::not_authorized) return 403;
    if (reason == mqtt::ReasonCode::quota_exceeded) return 429;
    if (reason == mqtt::ReasonCode::topic_name_invalid) return 400;
    if (reason == mqtt::ReasonCode::payload_format_invalid) return 400;
    return 502;
}

Problem refused(unsigned status, std::string_view why) {
    Problem problem{ProblemKind::publish_refused, std::string{why}};
    problem.status = status;
    if (status == 429 || status == 503) problem.headers.emplace_back("Retry-After", "2");
    return problem;
}

}  // namespace

std::optional<RequestError> parse_message(HttpRequest const& request, Target const& target,
                                          std::string const& topic, mqtt::Publish& out) {
    if (!mqtt::is_valid_topic_name(topic)) {
        return RequestError{"the path does not end in a topic name", "topic"};
    }
    out.topic = topic;
    if (auto text = target.parameter("qos")) {
        auto qos = parse_number(*text, 0, 2);
        if (!qos) return RequestError{"\"qos\" must be 0, 1 or 2", "qos"};
        out.qos = static_cast<mqtt::Qos>(*qos);
    }
    if (auto error = parse_flag(target, "retain", out.retain)) return error;
    if (auto text = target.parameter("expiry")) {
        auto seconds = parse_number(*text, 1, UINT32_MAX);
        if (!seconds) {
            return RequestError{"\"expiry\" must be a number of seconds from 1", "expiry"};
        }
        out.properties.message_expiry_interval = static_cast<std::uint32_t>(*seconds);
    }
    // What curl -d says of every body tells the receiver nothing.
    auto type = request.header("Content-Type");
    if (!type.empty() && type != "application/x-www-form-urlencoded") {
        out.properties.content_type = std::string{type};
    }
    out.payload = to_buffer(request.body);
    return std::nullopt;
}

Problem refused_message(mqtt::NotSent cause) {
    return refused(status_of(cause), mqtt::name_of(cause));
}

Problem refused_message(mqtt::ReasonCode reason) {
    return refused(status_of(reason), mqtt::name_of(reason));
}

}  // namespace spoke::bridge
