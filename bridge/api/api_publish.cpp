#include <fmt/format.h>

#include <boost/json.hpp>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/problem.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

std::optional<RequestError> read_flag(Target const& target, std::string_view name, bool& out) {
    auto text = target.parameter(name);
    if (!text) return std::nullopt;
    if (*text != "true" && *text != "false" && *text != "1" && *text != "0") {
        return RequestError{fmt::format("\"{}\" must be true or false", name), std::string{name}};
    }
    out = *text == "true" || *text == "1";
    return std::nullopt;
}

std::optional<RequestError> parse_publish(HttpRequest const& request, Target const& target,
                                          std::string const& topic, mqtt::Publish& out) {
    if (auto error = check_parameters(target, {"qos", "retain", "expiry"})) return error;
    if (!mqtt::is_valid_topic_name(topic)) {
        return RequestError{"the path does not end in a topic name", "topic"};
    }
    out.topic = topic;
    if (auto text = target.parameter("qos")) {
        auto qos = parse_number(*text, 0, 2);
        if (!qos) return RequestError{"\"qos\" must be 0, 1 or 2", "qos"};
        out.qos = static_cast<mqtt::Qos>(*qos);
    }
    if (auto error = read_flag(target, "retain", out.retain)) return error;
    if (auto text = target.parameter("expiry")) {
        auto seconds = parse_number(*text, 1, UINT32_MAX);
        if (!seconds) return RequestError{"\"expiry\" must be a number of seconds", "expiry"};
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

/// A refusal of the broker or of our own client: in each case nothing went on to anybody.
Problem refused(unsigned status, std::string_view why) {
    return {status, "publish-refused", "The message was not published", std::string{why}};
}

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

HttpResponse to_response(mqtt::PublishOutcome const& outcome, std::string const& topic,
                         mqtt::Qos qos) {
    using mqtt::PublishStatus;
    if (outcome.status == PublishStatus::not_sent) {
        return to_response(refused(status_of(outcome.cause), mqtt::name_of(outcome.cause)));
    }
    if (outcome.status == PublishStatus::refused) {
        return to_response(refused(status_of(outcome.reason), mqtt::name_of(outcome.reason)));
    }
    boost::json::object body{{"topic", topic}, {"qos", static_cast<int>(qos)}, {"sent", true}};
    auto acknowledged = outcome.status == PublishStatus::acknowledged;
    body["acknowledged"] = acknowledged;
    if (acknowledged) body["reason"] = mqtt::name_of(outcome.reason);
    HttpResponse response;
    // Written, and the connection ended before the broker's word: it may have gone on or not.
    response.status = outcome.status == PublishStatus::unknown ? 202 : 200;
    response.body = boost::json::serialize(body);
    return response;
}

}  // namespace

void Api::publish(Call call) {
    mqtt::Publish message;
    if (auto error = parse_publish(call.request, call.target, call.parts[0], message)) {
        return call.respond(to_response(*error));
    }
    if (service_.is_draining() || !service_.broker_is_ready()) {
        Problem problem{503, "broker-down", "The broker cannot be reached",
                        service_.broker_problem()};
        if (service_.is_draining()) {
            problem = {503, "draining", "The bridge is stopping"};
        }
        problem.headers.emplace_back("Retry-After", "2");
        return call.respond(to_response(problem));
    }
    auto topic = message.topic;
    auto qos = message.qos;
    auto done = [respond = call.respond, topic, qos](mqtt::PublishOutcome const& outcome) {
        respond(to_response(outcome, topic, qos));
    };
    auto cause = service_.publish(message, Caller{"anonymous", {}}, done);
    if (cause == mqtt::NotSent::none) return;
    call.respond(to_response(refused(status_of(cause), mqtt::name_of(cause))));
}

}  // namespace spoke::bridge
