// Who a client is: user name and password of CONNECT, and enhanced authentication with AUTH (3.15,
// 4.12).
#include <fmt/format.h>

#include <utility>

#include "broker/core/ports/authenticator.hpp"
#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

namespace {

using mqtt::ReasonCode;
using Step = AuthExchange::Step;

/// What a refused client is told; why exactly is for the log alone.
constexpr std::string_view kRefused = "authentication failed";

}  // namespace

std::optional<CheckedConnect> ShardCore::authenticate(Link& link, CheckedConnect connect) {
    if (connect.packet.authentication_method) return begin_exchange(link, std::move(connect));
    connect.user_name = link.identity ? *link.identity : connect.packet.user_name;
    Authenticator* authenticator = link.settings->authenticator;
    if (authenticator == nullptr) return connect;

    AuthTicket ticket{++last_auth_ticket_};
    Credentials credentials{connect.packet.client_id, connect.user_name,
                            std::move(connect.packet.password), link.identity != nullptr};
    connect.packet.password.reset();
    auto verdict =
        authenticator->authenticate(std::move(credentials), port_.when_authenticated(ticket));
    if (verdict) return judge(link, std::move(connect), *verdict);
    // Until then nothing more of this link is read: that bounds what it may send ahead.
    link.state = LinkState::authenticating;
    link.awaits_verdict = true;
    link.authentication = std::make_unique<Authentication>();
    link.authentication->ticket = ticket;
    link.authentication->connect = std::move(connect);
    authenticating_.emplace(ticket, &link);
    touch(link);
    return std::nullopt;
}

std::optional<Admitted> ShardCore::on_authenticated(AuthTicket ticket, AuthVerdict verdict) {
    auto found = authenticating_.find(ticket);
    if (found == authenticating_.end()) return std::nullopt;  // the link is gone
    Link& link = *found->second;
    auto connect = judge(link, *std::exchange(link.authentication->connect, {}), verdict);
    forget(link);
    if (!connect) return std::nullopt;
    link.authentication.reset();
    return Admitted{&link, std::move(*connect)};
}

std::optional<CheckedConnect> ShardCore::judge(Link& link, CheckedConnect connect,
                                               AuthVerdict verdict) {
    if (!mqtt::is_error(verdict)) return connect;
    counters_.authentications_refused.add();
    refuse(link, connect.packet.version, {verdict, kRefused});
    return std::nullopt;
}

std::optional<CheckedConnect> ShardCore::begin_exchange(Link& link, CheckedConnect connect) {
    Authenticator* authenticator = link.settings->authenticator;
    std::string method = *connect.packet.authentication_method;
    auto exchange = authenticator == nullptr ? nullptr : authenticator->begin(method);
    if (!exchange) {
        refuse(link, connect.packet.version,
               {ReasonCode::bad_authentication_method, "MQTT-4.12.0-1"});
        return std::nullopt;
    }
    link.version = connect.packet.version;
    link.state = LinkState::authenticating;
    link.authentication = std::make_unique<Authentication>();
    link.authentication->method = std::move(method);
    link.authentication->exchange = std::move(exchange);
    auto data = std::exchange(connect.packet.authentication_data, {});
    link.authentication->connect = std::move(connect);
    if (data) return go_on_to_connect(link, *data);
    send_auth(link, ReasonCode::continue_authentication, {});  // the client is to begin
    return std::nullopt;
}

std::optional<CheckedConnect> ShardCore::on_auth_before_connack(Link& link, Bytes frame) {
    auto refused = [&](ReasonCode reason, std::string_view why) {
        refuse(link, link.version, {reason, why});
        return std::nullopt;
    };
    auto decoded = mqtt::decode(frame, link.version, mqtt::Sender::client);
    if (!decoded) return refused(decoded.error().reason, decoded.error().rule);
    if (std::holds_alternative<mqtt::Disconnect>(*decoded)) {
        log_end(link, "disconnected while authenticating");
        link.state = LinkState::closing;
        link.timer.cancel();
        touch(link);
        return std::nullopt;
    }
    auto const* packet = std::get_if<mqtt::Auth>(&*decoded);
    if (packet == nullptr) return refused(ReasonCode::protocol_error, "MQTT-3.1.2-30");
    if (packet->reason != ReasonCode::continue_authentication)
        return refused(ReasonCode::protocol_error, "MQTT-4.12.0-3");
    if (packet->authentication_method != link.authentication->method)
        return refused(ReasonCode::protocol_error, "MQTT-4.12.0-5");
    return go_on_to_connect(link, packet->authentication_data.value_or(Buffer{}));
}

std::optional<CheckedConnect> ShardCore::go_on_to_connect(Link& link, Bytes data) {
    Authentication& authentication = *link.authentication;
    Step step = authentication.exchange->step(data);
    switch (step.kind) {
        case Step::Kind::go_on:
            send_auth(link, ReasonCode::continue_authentication, std::move(step.data));
            return std::nullopt;
        case Step::Kind::refused:
            log_end(link, fmt::format("{} failed: {}", authentication.method, step.why));
            return judge(link, *std::exchange(authentication.connect, {}),
                         ReasonCode::not_authorized);  // [MQTT-4.12.0-4]
        case Step::Kind::accepted:
            break;
    }
    auto connect = *std::exchange(authentication.connect, {});
    authentication.user_name = authentication.exchange->user_name();
    authentication.exchange.reset();
    connect.user_name = authentication.user_name;
    if (!step.data.empty()) connect.authentication_data = std::move(step.data);
    return connect;
}

void ShardCore::handle_auth(Link& link, mqtt::Auth const& packet) {
    if (!link.authentication) {
        return close_link(link, ReasonCode::protocol_error, "MQTT-4.12.0-7");
    }
    Authentication& authentication = *link.authentication;
    if (packet.authentication_method != authentication.method) {
        return close_link(link, ReasonCode::protocol_error, "MQTT-4.12.1-1");
    }
    bool begins = packet.reason == ReasonCode::re_authenticate;
    bool goes_on = packet.reason == ReasonCode::continue_authentication;
    bool runs = authentication.exchange != nullptr;
    if ((!begins && !goes_on) || begins == runs) {
        return close_link(link, ReasonCode::protocol_error, "AUTH out of turn");
    }
    if (begins) {
        authentication.exchange = link.settings->authenticator->begin(authentication.method);
        if (!authentication.exchange) {
            return close_link(link, ReasonCode::not_authorized, "method is no longer offered");
        }
        if (!packet.authentication_data) {
            return send_auth(link, ReasonCode::continue_authentication, {});
        }
    }
    Step step = authentication.exchange->step(packet.authentication_data.value_or(Buffer{}));
    if (step.kind == Step::Kind::go_on) {
        return send_auth(link, ReasonCode::continue_authentication, std::move(step.data));
    }
    bool same_user = step.kind == Step::Kind::accepted &&
                     authentication.exchange->user_name() == authentication.user_name;
    authentication.exchange.reset();
    if (same_user) return send_auth(link, ReasonCode::success, std::move(step.data));
    counters_.authentications_refused.add();
    log_end(link, fmt::format("{} failed: {}", authentication.method,
                              step.why.empty() ? "another user" : step.why));
    close_link(link, ReasonCode::not_authorized, kRefused);  // [MQTT-4.12.1-2]
}

void ShardCore::send_auth(Link& link, ReasonCode reason, Buffer data) {
    mqtt::Auth auth;
    auth.reason = reason;
    auth.authentication_method = link.authentication->method;  // [MQTT-4.12.0-5]
    if (!data.empty()) auth.authentication_data = std::move(data);
    send(link, std::move(auth));
}

}  // namespace spoke::broker
