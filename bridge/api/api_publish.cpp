#include <boost/json.hpp>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/publish_request.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::bridge {
namespace {

/// A token that is for some devices alone does not reach the topics of others either.
std::optional<std::string> other_device(Identity const& who, std::string_view topic) {
    mqtt::Levels levels{topic};
    if (!who.devices || levels.next() != "d") return std::nullopt;
    auto device = levels.next();
    if (!device || who.may_see(*device)) return std::nullopt;
    return std::string{*device};
}

/// What a scope must cover besides the topic in the path.
std::optional<Problem> check_topic(Identity const& who, std::string const& topic) {
    if (!who.scopes.may_publish(topic)) return scope_problem("publish:" + topic);
    if (auto device = other_device(who, topic)) return other_device_problem(std::move(*device));
    return std::nullopt;
}

/// The log would take the two for one.
bool is_same_message(EventDraft const& draft, Event const& earlier) {
    return draft.data == earlier.data && draft.encoding == earlier.encoding;
}

HttpResponse to_response(mqtt::PublishOutcome const& outcome, std::string const& topic,
                         mqtt::Qos qos) {
    using mqtt::PublishStatus;
    if (outcome.status == PublishStatus::not_sent) {
        return to_response(refused_message(outcome.cause));
    }
    if (outcome.status == PublishStatus::refused) {
        return to_response(refused_message(outcome.reason));
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

/// A content type of a device as a header can hold it.
std::string content_type_of(mqtt::Publish const& answer) {
    auto const& type = answer.properties.content_type;
    auto is_fine = [](char c) { return c >= 0x20 && c < 0x7F; };
    if (type && !type->empty() && type->size() <= 256 && std::ranges::all_of(*type, is_fine)) {
        return std::string{*type};
    }
    if (answer.properties.payload_format_indicator == 1) return "text/plain; charset=utf-8";
    return "application/octet-stream";
}

HttpResponse answer_of(mqtt::Publish const& answer) {
    HttpResponse response;
    response.content_type = content_type_of(answer);
    response.body = std::string{as_text(answer.payload)};
    // It is a device's word, not ours: a browser must not take it for a page.
    response.headers.emplace_back("X-Content-Type-Options", "nosniff");
    response.headers.emplace_back("Content-Security-Policy", "sandbox");
    return response;
}

HttpResponse to_response(RequestOutcome const& outcome) {
    using Status = RequestOutcome::Status;
    switch (outcome.status) {
        case Status::answered:
            return answer_of(*outcome.answer);
        case Status::sent: {
            HttpResponse response;
            response.status = 202;
            response.body = R"({"sent":true,"answered":false})";
            return response;
        }
        case Status::nobody:
            return to_response(
                Problem{ProblemKind::nobody_listens, "the broker has no subscriber for the topic"});
        case Status::refused:
            if (outcome.cause != mqtt::NotSent::none) {
                return to_response(refused_message(outcome.cause));
            }
            return to_response(refused_message(outcome.reason));
        case Status::not_sent:
            return to_response(refused_message(outcome.cause));
        case Status::invalid:
            return to_response(RequestError{outcome.why});
    }
    return to_response(Problem{ProblemKind::internal});
}

std::optional<RequestError> parse_request(Target const& target, RequestWish& out) {
    if (auto text = target.parameter("reply")) {
        if (!mqtt::is_valid_topic_name(*text)) {
            return RequestError{"\"reply\" must be a topic name", "reply"};
        }
        out.reply_topic = *text;
    }
    auto match = target.parameter("match");
    if (!match) return std::nullopt;
    if (out.reply_topic.empty()) {
        return RequestError{"\"match\" needs \"reply\": an MQTT 5 answer has correlation data",
                            "match"};
    }
    if (!match->starts_with('/')) {
        return RequestError{"\"match\" must be a JSON pointer such as /id", "match"};
    }
    out.match = *match;
    return std::nullopt;
}

}  // namespace

void Api::publish(Call call) {
    mqtt::Publish message;
    auto error = check_parameters(call.target, {"qos", "retain", "expiry"});
    if (!error) error = parse_message(call.request, call.target, call.parts[0], message);
    std::string key;
    if (!error) error = parse_idempotency_key(call.request.header("Idempotency-Key"), key);
    if (error) return call.respond(to_response(*error));
    auto problem = check_topic(call.who, message.topic);
    if (!problem) problem = check_key(message, key);
    if (!problem) problem = not_sending(service_);
    if (problem) return call.refuse(*problem);
    // Under one key a message is recorded once, however often it is published.
    if (!key.empty()) message.properties.user_properties.push_back({"key", key});
    auto topic = message.topic;
    auto qos = message.qos;
    auto done = [this, respond = call.respond, topic, qos,
                 key](mqtt::PublishOutcome const& outcome) {
        using mqtt::PublishStatus;
        auto has_gone =
            outcome.status != PublishStatus::not_sent && outcome.status != PublishStatus::refused;
        if (!has_gone) publish_keys_.forget(topic, key);
        respond(to_response(outcome, topic, qos));
    };
    if (!key.empty()) publish_keys_.remember(topic, key, as_text(message.payload));
    auto cause = service_.publish(message, call.caller(), done);
    if (cause == mqtt::NotSent::none) return;
    publish_keys_.forget(topic, key);
    call.refuse(refused_message(cause));
}

/// Subscribers would get another message under the key, and the log would not.
std::optional<Problem> Api::check_key(mqtt::Publish const& message, std::string const& key) const {
    if (key.empty()) return std::nullopt;
    auto payload = as_text(message.payload);
    auto is_other = publish_keys_.is_other(message.topic, key, payload);
    if (auto earlier = service_.log().find(message.topic, key); earlier && !is_other) {
        is_other = !is_same_message(make_draft(message.topic, payload), *earlier);
    }
    if (!is_other) return std::nullopt;
    return Problem{ProblemKind::key_reused,
                   "a message of this topic has the same key and is another one"};
}

/// MQTT itself, over a WebSocket: whom the broker lets in is let in.
void Api::open_mqtt(Call call) {
    if (auto error = check_parameters(call.target, {})) return call.respond(to_response(*error));
    if (!settings_.mqtt_relay) {
        return call.refuse({ProblemKind::no_such_path, "http.mqtt is false"});
    }
    if (service_.is_draining()) {
        return call.refuse({ProblemKind::draining, {}, {}, {{"Retry-After", "5"}}});
    }
    settings_.mqtt_relay(call.request, call.respond);
}

void Api::request(Call call) {
    RequestWish wish;
    WaitWish wait;
    wait.wait = std::chrono::seconds{5};
    auto error = check_parameters(call.target, {"wait", "qos", "expiry", "reply", "match"});
    if (!error) error = parse_wait(call.request, call.target, wait);
    wish.message.qos = mqtt::Qos::at_least_once;  // its PUBACK tells whether somebody listens
    if (!error) error = parse_message(call.request, call.target, call.parts[0], wish.message);
    if (!error) error = parse_request(call.target, wish);
    if (!error && wait.wait.count() == 0) {
        error = RequestError{"\"wait\" must be a number of seconds from 1", "wait"};
    }
    if (error) return call.respond(to_response(*error));
    auto problem = check_topic(call.who, wish.message.topic);
    if (!problem && !wish.reply_topic.empty()) problem = check_topic(call.who, wish.reply_topic);
    if (!problem) problem = not_sending(service_);
    if (problem) return call.refuse(*problem);
    wish.wait = wait.wait;
    auto done = [respond = call.respond, wait](RequestOutcome const& outcome) {
        auto response = to_response(outcome);
        wait.note_in(response);
        respond(std::move(response));
    };
    service_.request(std::move(wish), call.caller(), done);
}

}  // namespace spoke::bridge
