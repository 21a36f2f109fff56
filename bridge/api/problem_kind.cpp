#include "bridge/api/problem_kind.hpp"

#include <array>
#include <cstddef>

namespace spoke::bridge {
namespace {

// In the order of the enumerators.
constexpr std::array kTypes{
    ProblemType{
        ProblemKind::invalid, "invalid", 400, "The request is not valid",
        "The request cannot be read: a member, parameter or header is unknown, missing or "
        "out of its range, or the body is not JSON. \"detail\" says what, \"member\" where, "
        "and \"nearest\" which known name is most like the unknown one.",
        "Change the request. /v1/openapi.json describes every field with its limits."},
    ProblemType{ProblemKind::key_required, "key-required", 400, "This order needs a key",
                "The order moves something, so a retry must be known as a retry and not taken for "
                "a second order.",
                "Send an Idempotency-Key header, a new one for each order and the same one for its "
                "retries, or give \"ref\"."},
    ProblemType{ProblemKind::unauthorized, "unauthorized", 401, "Who is asking is not known",
                "The request has no credentials, or they are wrong, expired, or not valid yet. "
                "WWW-Authenticate and \"detail\" say which.",
                "Send \"Authorization: Bearer\" with a JSON Web Token or an API key. For a trial, "
                "spoke-bridge token makes a token and spoke-bridge key new an API key."},
    ProblemType{ProblemKind::scope, "scope", 403, "The token does not allow this",
                "The credentials are good, but do not cover this request: \"needs\" names the "
                "scope, or they are for other devices.",
                "Ask whoever issues the tokens for that scope, or use other credentials."},
    ProblemType{ProblemKind::origin, "origin", 403, "Pages of this site may not connect",
                "A web page of another site asks for a WebSocket. It could use what the browser of "
                "its visitor reaches.",
                "Add the origin of the page to the option http.cors_origins."},
    ProblemType{ProblemKind::denied, "denied", 403, "The device takes no such order",
                "The record of the device has this verb, or \"*\", in its list \"deny\".",
                "If that is not wanted any more, change the record: PATCH /v1/devices/{id} with "
                "another \"deny\"."},
    ProblemType{ProblemKind::no_such_path, "no-such-path", 404, "There is nothing at this path",
                "The path is not one of the API, or a part of it is empty.",
                "See /v1/openapi.json for all paths. A '/' inside an id is written %2F."},
    ProblemType{ProblemKind::no_such_device, "no-such-device", 404, "There is no such device",
                "No birth or state of the device has been seen, and no record of it was made.",
                "Check the id. A device appears as soon as it connects and publishes d/{id}/up or "
                "d/{id}/state; PUT /v1/devices/{id} makes a record before that."},
    ProblemType{ProblemKind::no_such_command, "no-such-command", 404, "There is no such command",
                "It never was, or it was settled too long ago to be kept (store.keep).",
                "Check the id; it is the one in the answer to the POST."},
    ProblemType{ProblemKind::no_such_hook, "no-such-hook", 404, "There is no such webhook",
                "It never was, or it was removed.",
                "GET /v1/hooks lists those there are; PUT /v1/hooks/{name} makes one."},
    ProblemType{ProblemKind::no_such_delivery, "no-such-delivery", 404, "There is no such delivery",
                "It is not in the hook's queue, and the log has no event of this id in the hook's "
                "topics, or the hook has not come to it yet.",
                "GET /v1/hooks/{name}/deliveries lists the last ones."},
    ProblemType{ProblemKind::method, "method", 405, "This path does not take this method",
                "The path is right, the method is not. The header Allow lists those there are.",
                "Use one of them."},
    ProblemType{
        ProblemKind::device_offline, "device-offline", 409, "Device is not connected",
        "The device cannot be reached now, and the order was to be done now or not at all "
        "(\"if_offline\": \"fail\", the default of verbs that move something). "
        "\"presence\", \"last_seen\" and \"next_wake\" tell what is known.",
        "Tell the person, or try again later. \"if_offline\": \"wait\" keeps an order until "
        "its deadline instead."},
    ProblemType{ProblemKind::nobody_listens, "nobody-listens", 409, "Nobody listens to the topic",
                "The broker took the request and has no subscriber for its topic, so it went "
                "nowhere.",
                "Check the topic, and whether the device is connected and subscribed."},
    ProblemType{ProblemKind::cursor, "cursor", 409, "Nobody can go on from this cursor",
                "It has another form than a cursor, or is of a log that is gone, or of an event "
                "that is not there yet, or events behind it were removed as too old: \"reason\" "
                "says malformed, epoch, future or too-old. Events may have been missed.",
                "Read the state at \"snapshot\", then go on from \"cursor\"."},
    ProblemType{ProblemKind::lane_busy, "lane-busy", 409, "Another order of this lane is open",
                "The order said \"if_busy\": \"fail\", and an earlier order in its lane has not "
                "ended.",
                "Wait for that order (GET /v1/devices/{id}/commands?open=1), or leave \"if_busy\" "
                "away to stand in line."},
    ProblemType{ProblemKind::too_late, "too-late", 409, "The order has ended",
                "It cannot be cancelled: it has been settled, and what is settled never changes. "
                "\"state\" says how it ended.",
                "Read the command. Where its effect is not wanted, give the opposite order."},
    ProblemType{ProblemKind::precondition, "precondition", 412,
                "The last state of the device contradicts \"if\"",
                "The order was to be done only if the device is in a certain state, and the last "
                "state known is another: \"state\" shows it, \"state_age_ms\" its age.",
                "Decide again by that state."},
    ProblemType{ProblemKind::record_changed, "record-changed", 412, "The record is another one now",
                "If-Match (or If-None-Match: *) does not fit the record there is: somebody has "
                "changed, made or deleted it since it was read.",
                "Read it again, repeat the change on what is there now, and send its ETag."},
    ProblemType{ProblemKind::too_large, "too-large", 413, "The body is too large",
                "The body is longer than http.body_bytes_max allows.",
                "Send less. The limit is an option of the bridge."},
    ProblemType{ProblemKind::media_type, "media-type", 415, "The body must be JSON",
                "The Content-Type is not application/json, and the path takes nothing else.",
                "Send Content-Type: application/json."},
    ProblemType{ProblemKind::key_reused, "key-reused", 422, "The key belongs to another order",
                "An earlier request with this Idempotency-Key, or this \"ref\", had another body. "
                "That order stands; this one was not made.",
                "Use a new key for a new order. A retry must repeat the body."},
    ProblemType{
        ProblemKind::rate, "rate", 429, "Too many requests",
        "More requests than the rate of this caller allows, or more orders wait in the lane "
        "than it holds. This request has sent nothing; an order that was accepted earlier "
        "stands.",
        "Wait as long as Retry-After says. RateLimit and RateLimit-Policy tell what is "
        "left."},
    ProblemType{ProblemKind::header_too_large, "header-too-large", 431, "The header is too large",
                "Request line and header are longer than http.header_bytes_max allows.",
                "Send less: a shorter token, or fewer headers."},
    ProblemType{ProblemKind::internal, "internal", 500, "The bridge has made a mistake",
                "Something happened that must not happen. Nothing was sent.",
                "Report it, with the Request-Id."},
    ProblemType{
        ProblemKind::publish_refused, "publish-refused", 502, "The message was not published",
        "The broker, or the bridge's connection to it, refused the message; \"detail\" says "
        "why. It went to nobody. The status tells more: 400 the message cannot be sent, 403 "
        "the broker does not allow it, 413 it is too large, 429 there is no room now, 502 "
        "the broker refused it, 503 the connection was not there.",
        "For 429 and 503 try again; for the others change the message or the rights of the "
        "bridge at the broker."},
    ProblemType{ProblemKind::broker_down, "broker-down", 503, "The broker cannot be reached",
                "The bridge has no connection to the MQTT broker now; \"detail\" says why.",
                "Try again after Retry-After. The bridge connects again by itself."},
    ProblemType{ProblemKind::draining, "draining", 503, "The bridge is stopping",
                "The bridge takes no new orders, as it is about to stop.",
                "Try again after Retry-After, perhaps at another bridge."},
    ProblemType{ProblemKind::log_full, "log-full", 503, "The order could not be recorded",
                "The bridge keeps as many records as it may, or its store takes none now. An order "
                "without a record is not sent.",
                "Try again after Retry-After. If it stays, look at the disk and the options "
                "commands.open_max, store.bytes_max and store.keep."},
    ProblemType{ProblemKind::not_ready, "not-ready", 503, "The bridge cannot take orders",
                "/readyz says so when the broker or the store cannot be used, or the bridge is "
                "stopping.",
                "Send traffic elsewhere until it is ready."},
    ProblemType{ProblemKind::too_many_connections, "too-many-connections", 503,
                "Too many connections from this address",
                "The address has http.connections_per_address_max connections open.",
                "Close some, or keep connections alive and use them again."},
    ProblemType{ProblemKind::too_many_readers, "too-many-readers", 503,
                "Too many readers wait for events",
                "As many streams as events.streams_max allows, or as many long polls as "
                "events.polls_max, are open.",
                "Try again after Retry-After, perhaps with short polls."},
};

}  // namespace

ProblemType const& type_of(ProblemKind kind) noexcept {
    return kTypes[static_cast<std::size_t>(kind)];
}

std::span<ProblemType const> problem_types() noexcept {
    return kTypes;
}

}  // namespace spoke::bridge
