#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/packet/packet.hpp"

// Packets as tests write them: `publish("a/b", "on", qos1, 7).retain()` is something to send and
// something to expect.
namespace spoke::test {

inline constexpr auto qos0 = mqtt::Qos::at_most_once;
inline constexpr auto qos1 = mqtt::Qos::at_least_once;
inline constexpr auto qos2 = mqtt::Qos::exactly_once;

/// What a test waits for.
struct Expected {
    std::string text;
    std::function<bool(mqtt::Packet const&)> matches;
};

/// A packet in one line: what differs from an empty one of its kind.
[[nodiscard]] std::string describe(mqtt::Packet const& packet);

/// CONNECT.
class ConnectBuilder {
public:
    explicit ConnectBuilder(mqtt::Version version) { packet_.version = version; }

    /// A session that outlives the connection: clean start 0, and an hour unless expiry() says
    /// otherwise.
    ConnectBuilder& resume() {
        packet_.clean_start = false;
        if (packet_.version == mqtt::Version::v5 && !packet_.session_expiry_interval) {
            packet_.session_expiry_interval = 3600;
        }
        return *this;
    }
    ConnectBuilder& clean(bool clean_start) {
        packet_.clean_start = clean_start;
        return *this;
    }
    ConnectBuilder& id(std::string client_id) {
        packet_.client_id = std::move(client_id);
        id_given_ = true;
        return *this;
    }
    ConnectBuilder& expiry(std::uint32_t seconds) {
        packet_.session_expiry_interval = seconds;
        return *this;
    }
    ConnectBuilder& keep_alive(std::uint16_t seconds) {
        packet_.keep_alive = seconds;
        return *this;
    }
    ConnectBuilder& receive_maximum(std::uint16_t maximum) {
        packet_.receive_maximum = maximum;
        return *this;
    }
    ConnectBuilder& maximum_packet_size(std::uint32_t bytes) {
        packet_.maximum_packet_size = bytes;
        return *this;
    }
    ConnectBuilder& topic_alias_maximum(std::uint16_t maximum) {
        packet_.topic_alias_maximum = maximum;
        return *this;
    }
    ConnectBuilder& no_problem_information() {
        packet_.request_problem_information = false;
        return *this;
    }
    ConnectBuilder& will(mqtt::Will will) {
        packet_.will = std::move(will);
        return *this;
    }
    /// Whatever has no function of its own.
    ConnectBuilder& with(std::function<void(mqtt::Connect&)> const& change) {
        change(packet_);
        return *this;
    }
    [[nodiscard]] mqtt::Connect const& packet() const noexcept { return packet_; }
    [[nodiscard]] bool id_given() const noexcept { return id_given_; }

private:
    mqtt::Connect packet_;
    bool id_given_ = false;
};

[[nodiscard]] inline ConnectBuilder connect(mqtt::Version version) {
    return ConnectBuilder{version};
}

/// CONNACK, as something to expect: success without a session, unless told otherwise. What the
/// server announces in it is not looked at.
class ConnAckBuilder {
public:
    explicit ConnAckBuilder(mqtt::ReasonCode reason) : reason_(reason) {}
    ConnAckBuilder& session_present(bool present = true) {
        present_ = present;
        return *this;
    }
    [[nodiscard]] Expected expected() const;

private:
    mqtt::ReasonCode reason_;
    bool present_ = false;
};

[[nodiscard]] inline ConnAckBuilder connack(mqtt::ReasonCode reason = mqtt::ReasonCode::success) {
    return ConnAckBuilder{reason};
}

/// PUBLISH; expected as it stands here in every field.
class PublishBuilder {
public:
    explicit PublishBuilder(mqtt::Publish packet) : packet_(std::move(packet)) {}
    PublishBuilder& dup(bool on = true) {
        packet_.dup = on;
        return *this;
    }
    PublishBuilder& retain(bool on = true) {
        packet_.retain = on;
        return *this;
    }
    PublishBuilder& id(std::uint16_t id) {
        packet_.id = mqtt::PacketId{id};
        return *this;
    }
    PublishBuilder& alias(std::uint16_t alias) {
        packet_.topic_alias = alias;
        return *this;
    }
    PublishBuilder& expiry(std::uint32_t seconds) {
        packet_.properties.message_expiry_interval = seconds;
        return *this;
    }
    PublishBuilder& ids(std::vector<std::uint32_t> identifiers) {
        packet_.subscription_identifiers = std::move(identifiers);
        return *this;
    }
    PublishBuilder& properties(mqtt::MessageProperties properties) {
        packet_.properties = std::move(properties);
        return *this;
    }
    [[nodiscard]] mqtt::Packet packet() const { return packet_; }
    [[nodiscard]] mqtt::Publish const& value() const noexcept { return packet_; }
    [[nodiscard]] Expected expected() const;

private:
    mqtt::Publish packet_;
};

/// `id` counts for QoS 1 and 2 only.
[[nodiscard]] PublishBuilder publish(std::string topic, std::string_view payload,
                                     mqtt::Qos qos = qos0, std::uint16_t id = 1);

/// A will as a value; delay, retain and properties are its fields.
[[nodiscard]] mqtt::Will will(std::string topic, std::string_view payload, mqtt::Qos qos = qos0);

/// PUBACK, PUBREC, PUBREL, PUBCOMP. Expected without a reason, any that is no error will do; reason
/// strings and user properties are not looked at.
template <class Ack>
class AckBuilder {
public:
    AckBuilder(std::uint16_t id, std::optional<mqtt::ReasonCode> reason)
        : id_(id), reason_(reason) {}
    [[nodiscard]] mqtt::Packet packet() const {
        return Ack{id_, reason_.value_or(mqtt::ReasonCode::success), std::nullopt, {}};
    }
    [[nodiscard]] Expected expected() const;

private:
    mqtt::PacketId id_;
    std::optional<mqtt::ReasonCode> reason_;
};

using Reason = std::optional<mqtt::ReasonCode>;
[[nodiscard]] inline auto puback(std::uint16_t id, Reason reason = std::nullopt) {
    return AckBuilder<mqtt::PubAck>{id, reason};
}
[[nodiscard]] inline auto pubrec(std::uint16_t id, Reason reason = std::nullopt) {
    return AckBuilder<mqtt::PubRec>{id, reason};
}
[[nodiscard]] inline auto pubrel(std::uint16_t id, Reason reason = std::nullopt) {
    return AckBuilder<mqtt::PubRel>{id, reason};
}
[[nodiscard]] inline auto pubcomp(std::uint16_t id, Reason reason = std::nullopt) {
    return AckBuilder<mqtt::PubComp>{id, reason};
}

class SubscribeBuilder {
public:
    explicit SubscribeBuilder(std::uint16_t id) { packet_.id = mqtt::PacketId{id}; }
    SubscribeBuilder& also(std::string filter, mqtt::Qos qos = qos0) {
        packet_.subscriptions.push_back({std::move(filter), {.qos = qos}});
        return *this;
    }
    SubscribeBuilder& identifier(std::uint32_t identifier) {
        packet_.subscription_identifier = identifier;
        return *this;
    }
    // These are about the filter named last.
    SubscribeBuilder& no_local() {
        packet_.subscriptions.back().options.no_local = true;
        return *this;
    }
    SubscribeBuilder& retain_as_published() {
        packet_.subscriptions.back().options.retain_as_published = true;
        return *this;
    }
    SubscribeBuilder& retain_handling(mqtt::RetainHandling handling) {
        packet_.subscriptions.back().options.retain_handling = handling;
        return *this;
    }
    [[nodiscard]] mqtt::Packet packet() const { return packet_; }

private:
    mqtt::Subscribe packet_;
};

[[nodiscard]] inline SubscribeBuilder subscribe(std::uint16_t id, std::string filter,
                                                mqtt::Qos qos = qos0) {
    return SubscribeBuilder{id}.also(std::move(filter), qos);
}

/// SUBACK and UNSUBACK, as something to expect. Without reasons, all must be no errors.
template <class Ack>
class ReasonsBuilder {
public:
    ReasonsBuilder(std::uint16_t id, std::vector<mqtt::ReasonCode> reasons)
        : id_(id), reasons_(std::move(reasons)) {}
    [[nodiscard]] Expected expected() const;

private:
    mqtt::PacketId id_;
    std::vector<mqtt::ReasonCode> reasons_;
};

[[nodiscard]] inline auto suback(std::uint16_t id, std::vector<mqtt::ReasonCode> reasons = {}) {
    return ReasonsBuilder<mqtt::SubAck>{id, std::move(reasons)};
}
[[nodiscard]] inline auto unsuback(std::uint16_t id, std::vector<mqtt::ReasonCode> reasons = {}) {
    return ReasonsBuilder<mqtt::UnsubAck>{id, std::move(reasons)};
}

/// Any other packet; expected as it stands, reason strings apart.
class PacketBuilder {
public:
    explicit PacketBuilder(mqtt::Packet packet) : packet_(std::move(packet)) {}
    [[nodiscard]] mqtt::Packet const& packet() const noexcept { return packet_; }
    [[nodiscard]] Expected expected() const;

private:
    mqtt::Packet packet_;
};

[[nodiscard]] inline PacketBuilder unsubscribe(std::uint16_t id, std::vector<std::string> filters) {
    return PacketBuilder{mqtt::Unsubscribe{mqtt::PacketId{id}, std::move(filters), {}}};
}
[[nodiscard]] inline PacketBuilder pingreq() {
    return PacketBuilder{mqtt::PingReq{}};
}
[[nodiscard]] inline PacketBuilder pingresp() {
    return PacketBuilder{mqtt::PingResp{}};
}
[[nodiscard]] inline PacketBuilder disconnect(
    mqtt::ReasonCode reason = mqtt::ReasonCode::normal_disconnection,
    std::optional<std::uint32_t> expiry = std::nullopt) {
    mqtt::Disconnect packet;
    packet.reason = reason;
    packet.session_expiry_interval = expiry;
    return PacketBuilder{packet};
}

}  // namespace spoke::test
