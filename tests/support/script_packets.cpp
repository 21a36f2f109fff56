#include "tests/support/script_packets.hpp"

#include <fmt/format.h>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::test {

namespace {

std::string shortened(Bytes bytes) {
    std::string text;
    for (std::byte byte : bytes.first(std::min<std::size_t>(bytes.size(), 40))) {
        auto c = std::to_integer<unsigned char>(byte);
        text += c >= 0x20 && c < 0x7F ? std::string(1, static_cast<char>(c))
                                      : fmt::format("\\x{:02x}", c);
    }
    return bytes.size() > 40 ? fmt::format("{}... ({} bytes)", text, bytes.size()) : text;
}

std::string text_of(mqtt::ReasonCode reason) {
    return fmt::format("0x{:02X} {}", static_cast<unsigned>(reason), mqtt::name_of(reason));
}

std::string text_of(std::vector<mqtt::ReasonCode> const& reasons) {
    std::string text;
    for (auto reason : reasons) text += fmt::format(" {:02X}", static_cast<unsigned>(reason));
    return text;
}

struct Describe {
    std::string operator()(mqtt::Connect const& packet) const {
        return fmt::format("CONNECT '{}'", packet.client_id);
    }
    std::string operator()(mqtt::ConnAck const& packet) const {
        return fmt::format("CONNACK {} session present {}", text_of(packet.reason),
                           packet.session_present);
    }
    std::string operator()(mqtt::Publish const& packet) const {
        auto text = fmt::format("PUBLISH '{}' '{}' QoS {}", packet.topic, shortened(packet.payload),
                                static_cast<int>(packet.qos));
        if (packet.id.value != 0) text += fmt::format(" id {}", packet.id.value);
        if (packet.dup) text += " DUP";
        if (packet.retain) text += " RETAIN";
        if (packet.topic_alias) text += fmt::format(" alias {}", *packet.topic_alias);
        for (auto id : packet.subscription_identifiers) text += fmt::format(" sub id {}", id);
        auto const& properties = packet.properties;
        if (properties.message_expiry_interval) {
            text += fmt::format(" expiry {}", *properties.message_expiry_interval);
        }
        if (properties.payload_format_indicator) {
            text += fmt::format(" format {}", *properties.payload_format_indicator);
        }
        if (properties.content_type) text += fmt::format(" type '{}'", *properties.content_type);
        if (properties.response_topic) {
            text += fmt::format(" response topic '{}'", *properties.response_topic);
        }
        if (properties.correlation_data) {
            text += fmt::format(" correlation '{}'", shortened(*properties.correlation_data));
        }
        for (auto const& [name, value] : properties.user_properties) {
            text += fmt::format(" {}={}", name, value);
        }
        return text;
    }
    template <class Ack>
    std::string ack(std::string_view name, Ack const& packet) const {
        return fmt::format("{} id {} {}", name, packet.id.value, text_of(packet.reason));
    }
    std::string operator()(mqtt::PubAck const& packet) const { return ack("PUBACK", packet); }
    std::string operator()(mqtt::PubRec const& packet) const { return ack("PUBREC", packet); }
    std::string operator()(mqtt::PubRel const& packet) const { return ack("PUBREL", packet); }
    std::string operator()(mqtt::PubComp const& packet) const { return ack("PUBCOMP", packet); }
    std::string operator()(mqtt::Subscribe const& packet) const {
        return fmt::format("SUBSCRIBE id {}", packet.id.value);
    }
    std::string operator()(mqtt::SubAck const& packet) const {
        return fmt::format("SUBACK id {}{}", packet.id.value, text_of(packet.reasons));
    }
    std::string operator()(mqtt::Unsubscribe const& packet) const {
        return fmt::format("UNSUBSCRIBE id {}", packet.id.value);
    }
    std::string operator()(mqtt::UnsubAck const& packet) const {
        return fmt::format("UNSUBACK id {}{}", packet.id.value, text_of(packet.reasons));
    }
    std::string operator()(mqtt::PingReq) const { return "PINGREQ"; }
    std::string operator()(mqtt::PingResp) const { return "PINGRESP"; }
    std::string operator()(mqtt::Disconnect const& packet) const {
        return fmt::format("DISCONNECT {}", text_of(packet.reason));
    }
    std::string operator()(mqtt::Auth const& packet) const {
        return fmt::format("AUTH {}", text_of(packet.reason));
    }
};

/// The same packet without what explains it to people.
mqtt::Packet without_reason_string(mqtt::Packet packet) {
    std::visit(
        [](auto& value) {
            if constexpr (requires { value.reason_string; }) value.reason_string.reset();
        },
        packet);
    return packet;
}

bool any_is_error(std::vector<mqtt::ReasonCode> const& reasons) {
    for (auto reason : reasons) {
        if (mqtt::is_error(reason)) return true;
    }
    return false;
}

}  // namespace

std::string describe(mqtt::Packet const& packet) {
    return std::visit(Describe{}, packet);
}

Expected ConnAckBuilder::expected() const {
    mqtt::ConnAck wanted;
    wanted.reason = reason_;
    wanted.session_present = present_;
    return {describe(mqtt::Packet{wanted}), [wanted](mqtt::Packet const& packet) {
                auto* connack = std::get_if<mqtt::ConnAck>(&packet);
                return connack && connack->reason == wanted.reason &&
                       connack->session_present == wanted.session_present;
            }};
}

PublishBuilder publish(std::string topic, std::string_view payload, mqtt::Qos qos,
                       std::uint16_t id) {
    mqtt::Publish packet;
    packet.topic = std::move(topic);
    packet.payload = to_buffer(payload);
    packet.qos = qos;
    if (qos != qos0) packet.id = mqtt::PacketId{id};
    return PublishBuilder{std::move(packet)};
}

Expected PublishBuilder::expected() const {
    return {describe(mqtt::Packet{packet_}), [wanted = packet_](mqtt::Packet const& packet) {
                auto* publish = std::get_if<mqtt::Publish>(&packet);
                return publish && *publish == wanted;
            }};
}

mqtt::Will will(std::string topic, std::string_view payload, mqtt::Qos qos) {
    mqtt::Will value;
    value.topic = std::move(topic);
    value.payload = to_buffer(payload);
    value.qos = qos;
    return value;
}

template <class Ack>
Expected AckBuilder<Ack>::expected() const {
    auto text = describe(packet());
    if (!reason_) text += " (or another that is no error)";
    return {text, [id = id_, reason = reason_](mqtt::Packet const& packet) {
                auto* ack = std::get_if<Ack>(&packet);
                if (ack == nullptr || ack->id != id) return false;
                return reason ? ack->reason == *reason : !mqtt::is_error(ack->reason);
            }};
}
template class AckBuilder<mqtt::PubAck>;
template class AckBuilder<mqtt::PubRec>;
template class AckBuilder<mqtt::PubRel>;
template class AckBuilder<mqtt::PubComp>;

template <class Ack>
Expected ReasonsBuilder<Ack>::expected() const {
    auto text = describe(mqtt::Packet{Ack{id_, reasons_, std::nullopt, {}}});
    if (reasons_.empty()) text += " without errors";
    return {text, [id = id_, reasons = reasons_](mqtt::Packet const& packet) {
                auto* ack = std::get_if<Ack>(&packet);
                if (ack == nullptr || ack->id != id) return false;
                return reasons.empty() ? !any_is_error(ack->reasons) : ack->reasons == reasons;
            }};
}
template class ReasonsBuilder<mqtt::SubAck>;
template class ReasonsBuilder<mqtt::UnsubAck>;

Expected PacketBuilder::expected() const {
    return {describe(packet_), [wanted = packet_](mqtt::Packet const& packet) {
                return without_reason_string(packet) == without_reason_string(wanted);
            }};
}

}  // namespace spoke::test
