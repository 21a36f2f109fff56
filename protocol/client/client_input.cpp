// What the server sends: framing, dispatch, and each packet's handling.
#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <variant>

#include "protocol/base/assert.hpp"
#include "protocol/client/client_machine.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/framing.hpp"

namespace spoke::mqtt {

void ClientMachine::on_bytes(Bytes bytes, Now now) {
    if (is_closed() || bytes.empty()) return;
    MQ_ASSERT(!consuming_);
    keep_alive_.on_received(now.steady);
    consuming_ = true;
    if (!partial_.empty()) bytes = bytes.subspan(complete_partial(bytes, now));
    consume(bytes, now);
    consuming_ = false;
    if (is_closed()) partial_ = Buffer{};
}

// Adds to the partial packet what it lacks and no more, so that the rest is read in place.
std::size_t ClientMachine::complete_partial(Bytes bytes, Now now) {
    std::size_t used = 0;
    while (used < bytes.size()) {
        auto header = read_fixed_header(partial_, packet_size_max_);
        if (!header) {
            break_off(header.error().reason, header.error().rule);
            return used;
        }
        auto missing = *header ? (*header)->packet_size() - partial_.size() : std::size_t{1};
        auto part = bytes.subspan(used, std::min(missing, bytes.size() - used));
        partial_.insert(partial_.end(), part.begin(), part.end());
        used += part.size();
        if (!*header || part.size() < missing) continue;
        break;
    }
    auto header = read_fixed_header(partial_, packet_size_max_);
    if (!header) {
        break_off(header.error().reason, header.error().rule);
    } else if (*header && (*header)->packet_size() == partial_.size()) {
        handle_frame(partial_, now);
        partial_ = Buffer{};
    }
    return used;
}

void ClientMachine::consume(Bytes bytes, Now now) {
    while (!bytes.empty() && !is_closed()) {
        auto header = read_fixed_header(bytes, packet_size_max_);
        if (!header) return break_off(header.error().reason, header.error().rule);
        if (!*header || (*header)->packet_size() > bytes.size()) {
            partial_.assign(bytes.begin(), bytes.end());
            return;
        }
        auto size = (*header)->packet_size();
        handle_frame(bytes.first(size), now);
        bytes = bytes.subspan(size);
    }
}

void ClientMachine::handle_frame(Bytes frame, Now now) {
    auto type = static_cast<PacketType>(static_cast<std::uint8_t>(frame[0]) >> 4);
    if (type == PacketType::publish) return handle_publish(frame, now);
    auto packet = decode(frame, wire_.version, Sender::server);
    if (!packet) return break_off(packet.error().reason, packet.error().rule);
    bool may_come_early = type == PacketType::connack || type == PacketType::auth;
    if (!is_connected() && !may_come_early) {
        return break_off(ReasonCode::protocol_error, "a packet before CONNACK");  // [MQTT-3.2.0-1]
    }
    std::visit([&](auto const& value) { handle(value, now); }, *packet);
}

// CONNECT, PUBLISH (handled above), SUBSCRIBE, UNSUBSCRIBE, PINGREQ: no server sends them.
template <class Other>
void ClientMachine::handle(Other const&, Now) {
    break_off(ReasonCode::protocol_error, "a packet that only clients send");
}

// ---- connection ----

void ClientMachine::handle(ConnAck const& packet, Now now) {
    if (is_connected()) return break_off(ReasonCode::protocol_error, "a second CONNACK");
    if (is_error(packet.reason)) return refuse(packet);
    if (!has_right_method(packet.authentication_method)) {
        return break_off(ReasonCode::protocol_error, "CONNACK with another authentication method");
    }
    if (!is_session_plausible(packet)) {
        return break_off(ReasonCode::protocol_error, "session present, but there is none here");
    }
    auto session = packet.session_present ? Outbound::SessionIs::resumed
                   : has_session_         ? Outbound::SessionIs::lost
                                          : Outbound::SessionIs::begun;
    state_ = State::connected;
    has_session_ = true;
    wire_.connected = true;
    wire_.server = wire_.version == Version::v5 ? ServerLimits::of(packet) : ServerLimits{};
    keep_alive_.begin(std::chrono::seconds{packet.server_keep_alive.value_or(keep_alive_wanted_)},
                      now.steady);  // [MQTT-3.2.2-21]
    remember_assigned_id(packet);
    if (session != Outbound::SessionIs::resumed) inbound_.on_session_lost();  // [MQTT-3.2.2-5]
    outbound_.on_connected(session);
    if (is_connected()) events_.on_connected(packet);
}

void ClientMachine::refuse(ConnAck const& packet) {
    auto text = fmt::format("server refused the connection: {}", name_of(packet.reason));
    if (wire_.version == Version::v5) {
        text += fmt::format(" (0x{:02X})", static_cast<unsigned>(packet.reason));
    }
    if (packet.reason_string) text += ": " + *packet.reason_string;
    close({.cause = CloseCause::refused,
           .reason = packet.reason,
           .text = std::move(text),
           .server_reference = packet.server_reference.value_or("")},
          LastBytes::drop);
}

bool ClientMachine::is_session_plausible(ConnAck const& packet) const noexcept {
    if (!packet.session_present) return true;
    return !clean_start_ && (has_session_ || options_.may_inherit_session);  // [MQTT-3.2.2-4]
}

bool ClientMachine::has_right_method(std::optional<std::string> const& method) const noexcept {
    auto wanted = text_ ? std::string_view{text_->authentication_method} : std::string_view{};
    return wanted == std::string_view{method ? *method : ""};  // [MQTT-4.12.0-5] [MQTT-4.12.0-6]
}

void ClientMachine::remember_assigned_id(ConnAck const& packet) {
    if (!packet.assigned_client_identifier) return;
    if (!text_) text_ = std::make_unique<Text>();
    text_->assigned_client_id = *packet.assigned_client_identifier;
}

void ClientMachine::handle(Disconnect const& packet, Now) {
    auto text = fmt::format("server closed the connection: {} (0x{:02X})", name_of(packet.reason),
                            static_cast<unsigned>(packet.reason));
    if (packet.reason_string) text += ": " + *packet.reason_string;
    close({.cause = CloseCause::server_disconnect,
           .reason = packet.reason,
           .text = std::move(text),
           .server_reference = packet.server_reference.value_or("")},
          LastBytes::drop);
}

void ClientMachine::handle(Auth const& packet, Now) {
    bool has_method = text_ && !text_->authentication_method.empty();
    if (!has_method || !has_right_method(packet.authentication_method)) {
        return break_off(ReasonCode::protocol_error, "AUTH without the method of CONNECT");
    }
    events_.on_auth(packet);
}

void ClientMachine::handle(PingResp, Now) {
    keep_alive_.on_pong();
}

// ---- answers to publishes ----

void ClientMachine::handle(PubAck const& packet, Now) {
    if (!outbound_.on_puback(packet)) {
        break_off(ReasonCode::protocol_error, "PUBACK for a QoS 2 message");
    }
}

void ClientMachine::handle(PubRec const& packet, Now) {
    if (!outbound_.on_pubrec(packet)) {
        break_off(ReasonCode::protocol_error, "PUBREC for a QoS 1 message");
    }
}

void ClientMachine::handle(PubComp const& packet, Now) {
    if (!outbound_.on_pubcomp(packet)) {
        break_off(ReasonCode::protocol_error, "PUBCOMP for a message that was not released");
    }
}

// ---- messages ----

void ClientMachine::handle_publish(Bytes frame, Now) {
    auto publish = decode_publish(frame, wire_.version, Sender::server);
    if (!publish) return break_off(publish.error().reason, publish.error().rule);
    if (!is_connected()) return break_off(ReasonCode::protocol_error, "a packet before CONNACK");
    auto reason = ReasonCode::success;
    auto topic = resolve_alias(*publish, reason);
    if (!topic) return break_off(reason, "topic alias");
    ReceivedMessage message{*publish, frame, wire_.version, {}};
    message.publish.topic = *topic;
    if (publish->qos == Qos::at_most_once) {
        static_cast<void>(events_.on_message(message));
        return;
    }
    auto arrival = inbound_.on_publish(publish->id, publish->qos);
    message.token = arrival.token;
    switch (arrival.verdict) {
        case Inbound::Verdict::deliver:
            return deliver(message);
        case Inbound::Verdict::repetition:
            return inbound_.send_acks(wire_);
        case Inbound::Verdict::too_many:
            return break_off(ReasonCode::receive_maximum_exceeded, "too many unanswered messages");
    }
}

std::optional<std::string_view> ClientMachine::resolve_alias(PublishView const& publish,
                                                             ReasonCode& reason) {
    if (!publish.topic_alias) return publish.topic;
    auto alias = *publish.topic_alias;
    if (!aliases_.is_allowed(alias)) {
        reason = ReasonCode::topic_alias_invalid;
        return std::nullopt;
    }
    if (!publish.topic.empty()) {
        aliases_.set(alias, publish.topic);
        return publish.topic;
    }
    auto topic = aliases_.find(alias);
    reason = ReasonCode::protocol_error;
    return topic.empty() ? std::nullopt : std::optional{topic};
}

void ClientMachine::deliver(ReceivedMessage const& message) {
    if (events_.on_message(message) == Acknowledge::now) {
        inbound_.acknowledge(message.token, ReasonCode::success);
    }
    if (is_connected()) inbound_.send_acks(wire_);
}

void ClientMachine::handle(PubRel const& packet, Now) {
    if (!inbound_.on_pubrel(packet.id, wire_)) {
        break_off(ReasonCode::protocol_error, "PUBREL before PUBREC");
    }
}

}  // namespace spoke::mqtt
