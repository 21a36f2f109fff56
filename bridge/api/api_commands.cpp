#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bridge/api/api.hpp"
#include "bridge/api/command_request.hpp"
#include "bridge/api/documents.hpp"
#include "bridge/api/problem.hpp"

namespace spoke::bridge {
namespace {

/// The end as far as a caller waits for it: `unknown` may last for a day.
bool is_told(Command const& command) {
    return is_settled(command.state) || command.state == CommandState::unknown;
}

std::string etag_of(Command const& command) {
    return fmt::format("\"{}\"", command.version);
}

HttpResponse show(Command const& command) {
    HttpResponse response;
    response.body = command_document(command);
    response.headers.emplace_back("ETag", etag_of(command));
    response.headers.emplace_back("Cache-Control", "no-cache");
    return response;
}

/// The answer to a POST: 200 once there is an end to show, 202 before.
HttpResponse show_order(Command const& command) {
    auto response = show(command);
    if (is_told(command)) return response;
    response.status = 202;
    response.headers.emplace_back("Location", "/v1/commands/" + command.id.text());
    response.headers.emplace_back("Retry-After", "1");
    return response;
}

Problem store_failed() {
    return {503,
            "log-full",
            "The order could not be recorded",
            "the store of the bridge takes no records; nothing was sent",
            {},
            {{"Retry-After", "10"}}};
}

/// application/json, with or without parameters, or +json; nothing at all is taken for JSON.
bool is_json(std::string_view content_type) {
    auto type = content_type.substr(0, content_type.find(';'));
    while (type.ends_with(' ')) type.remove_suffix(1);
    return type.empty() || type == "application/json" || type.ends_with("+json");
}

bool is_traceparent(std::string_view text) {
    auto is_fine = [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
    };
    return text.size() == 55 && std::ranges::all_of(text, is_fine);
}

}  // namespace

void Api::post_command(Call call) {
    auto const& request = call.request;
    if (!is_json(request.header("Content-Type"))) {
        return call.respond(to_response(Problem{415, "media-type", "The body must be JSON",
                                                "send Content-Type: application/json"}));
    }
    CommandRequest order;
    std::string key;
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(request, call.target, wish);
    if (!error) error = parse_idempotency_key(request.header("Idempotency-Key"), key);
    if (!error) error = parse_command_request(request.body, call.parts[0], order);
    if (error) return call.respond(to_response(*error));
    if (key.empty() && order.ref.empty() && verb_of(order.verb).needs_key) {
        return call.respond(to_response(Problem{
            400, "key-required", "This order needs a key",
            "give \"ref\" or the header Idempotency-Key, so that a retry is not a second order"}));
    }
    if (service_.is_draining()) {
        return call.respond(to_response(
            Problem{503, "draining", "The bridge is stopping", {}, {}, {{"Retry-After", "5"}}}));
    }
    Caller caller{"anonymous", {}};
    auto trace = request.header("traceparent");
    if (is_traceparent(trace)) caller.trace = trace;

    auto result = service_.submit(order, std::move(caller), std::move(key));
    if (auto const* refusal = std::get_if<Refusal>(&result)) {
        return call.respond(refuse(*refusal, order));
    }
    hold_order(call, std::get<CommandTracker::Accepted>(result), wish.wait, wish.from_preference);
}

/// Answers when the record is stored and, with a wait, when there is an end or the time is up.
void Api::hold_order(Call const& call, CommandTracker::Accepted accepted, std::chrono::seconds wait,
                     bool preferred) {
    auto is_enough = [wait](Command const& command) {
        return wait.count() == 0 || is_told(command);
    };
    auto done = [respond = call.respond, wait, preferred, accepted](Command const* command) {
        if (command == nullptr) return respond(to_response(store_failed()));
        auto response = show_order(*command);
        if (preferred) {
            response.headers.emplace_back("Preference-Applied",
                                          fmt::format("wait={}", wait.count()));
        }
        if (accepted.replayed) response.headers.emplace_back("Idempotent-Replayed", "true");
        respond(std::move(response));
    };
    service_.hold({accepted.id, is_enough, service_.now().steady + wait, done});
}

void Api::show_command(Call call) {
    WaitWish wish;
    auto error = check_parameters(call.target, {"wait"});
    if (!error) error = parse_wait(call.request, call.target, wish);
    if (error) return call.respond(to_response(*error));
    auto id = CommandId::parse(call.parts[0]);
    auto command = id ? service_.find_command(*id) : std::nullopt;
    if (!command) {
        return call.respond(
            to_response(Problem{404, "no-such-command", "There is no such command",
                                "it never was, or it was settled too long ago to be kept"}));
    }
    // With a known version: until there is another. Without: until there is more of an end than
    // now.
    std::string known{call.request.header("If-None-Match")};
    auto was_told = is_told(*command);
    auto is_enough = [known, was_told](Command const& now) {
        if (!known.empty()) return etag_of(now) != known;
        return is_settled(now.state) || (!was_told && is_told(now));
    };
    auto done = [respond = call.respond, known, wish](Command const* now) {
        if (now == nullptr) return respond(to_response(store_failed()));
        auto response = show(*now);
        if (etag_of(*now) == known) {
            response.status = 304;
            response.body.clear();
        }
        if (wish.from_preference) {
            response.headers.emplace_back("Preference-Applied",
                                          fmt::format("wait={}", wish.wait.count()));
        }
        respond(std::move(response));
    };
    if (wish.wait.count() == 0) return done(&*command);
    service_.hold({*id, is_enough, service_.now().steady + wish.wait, done});
}

HttpResponse Api::refuse(Refusal refusal, CommandRequest const& request) const {
    auto retry = [](Problem problem, std::string_view seconds) {
        problem.headers.emplace_back("Retry-After", seconds);
        return to_response(problem);
    };
    switch (refusal) {
        case Refusal::no_such_device:
            return to_response(Problem{404,
                                       "no-such-device",
                                       "There is no such device",
                                       "no birth or state of it has been seen",
                                       {{"device", request.device}}});
        case Refusal::denied:
            return to_response(Problem{403,
                                       "denied",
                                       "The device takes no such order",
                                       "its record forbids the verb",
                                       {{"device", request.device}, {"do", request.verb}}});
        case Refusal::device_offline:
            return refuse_offline(request.device);
        case Refusal::precondition:
            return refuse_precondition(request.device);
        case Refusal::key_reused:
            return to_response(Problem{422, "key-reused", "The key belongs to another order",
                                       "an earlier request with this key or ref had another body"});
        case Refusal::lane_busy:
            return to_response(Problem{409,
                                       "lane-busy",
                                       "Another order of this lane is open",
                                       "\"if_busy\" is \"fail\"",
                                       {{"device", request.device}, {"lane", request.lane}}});
        case Refusal::lane_full:
            return retry({429,
                          "rate",
                          "Too many orders wait in this lane",
                          {},
                          {{"device", request.device}, {"lane", request.lane}}},
                         "5");
        case Refusal::too_many_keys:
            return retry({429, "rate", "Too many keys lead to this order"}, "5");
        case Refusal::store_full:
            return retry({503, "log-full", "The bridge keeps as many records as it may"}, "60");
        case Refusal::broker_down:
            return retry(
                {503, "broker-down", "The broker cannot be reached", service_.broker_problem()},
                "2");
    }
    return to_response(Problem{500, "internal", "The bridge has made a mistake"});
}

HttpResponse Api::refuse_offline(std::string const& id) const {
    Problem problem{409, "device-offline", "Device is not connected", {}, {{"device", id}}};
    if (auto const* device = service_.devices().find(id)) {
        auto presence = service_.devices().presence(*device, service_.now().steady);
        problem.members.emplace_back("presence", name_of(presence));
        if (device->last_seen)
            problem.members.emplace_back("last_seen", rfc3339(*device->last_seen));
        if (device->wake) problem.members.emplace_back("next_wake", rfc3339(*device->wake));
    }
    return to_response(problem);
}

HttpResponse Api::refuse_precondition(std::string const& id) const {
    Problem problem{412,
                    "precondition",
                    "The last state of the device contradicts \"if\"",
                    {},
                    {{"device", id}}};
    if (auto const* device = service_.devices().find(id)) {
        if (!device->state.empty()) problem.json_members.emplace_back("state", device->state);
        if (device->state_at) {
            auto age = service_.now().wall - *device->state_at;
            problem.json_members.emplace_back("state_age_ms", std::to_string(age.count()));
        }
    }
    return to_response(problem);
}

}  // namespace spoke::bridge
