#pragma once

#include <optional>
#include <string>
#include <utility>

#include "broker/core/shard_core.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::broker {

/// Encodes the packet into `out`; where it is larger than `size_max`, without its reason string
/// [MQTT-3.4.2-2], then without its user properties [MQTT-3.4.2-3], then without response
/// information. False if it is too large even so.
template <class Packet>
[[nodiscard]] bool encode_fitting(Packet& packet, mqtt::Version version, std::uint32_t size_max,
                                  Buffer& out) {
    auto fits = [&] {
        out.clear();
        mqtt::encode(packet, version, out);
        return out.size() <= size_max;
    };
    if (fits()) return true;
    if constexpr (requires { packet.reason_string; }) {
        packet.reason_string.reset();
        if (fits()) return true;
    }
    if constexpr (requires { packet.user_properties; }) {
        packet.user_properties.clear();
        if (fits()) return true;
    }
    if constexpr (requires { packet.response_information; }) {
        packet.response_information.reset();
        if (fits()) return true;
    }
    return false;
}

template <class Packet>
ShardCore::Waiting ShardCore::waiting_as(Packet const& packet) noexcept {
    if constexpr (std::is_same_v<Packet, mqtt::ConnAck>) return Waiting::connack;
    if constexpr (std::is_same_v<Packet, mqtt::SubAck>) return Waiting::suback;
    if constexpr (std::is_same_v<Packet, mqtt::PubRel>) return Waiting::release;
    if constexpr (std::is_same_v<Packet, mqtt::PubComp>) return Waiting::completion;
    if constexpr (std::is_same_v<Packet, mqtt::PubAck>) return Waiting::last_answer;
    if constexpr (std::is_same_v<Packet, mqtt::PubRec>)
        return mqtt::is_error(packet.reason) ? Waiting::last_answer : Waiting::answer;
    return Waiting::answer;
}

/// Queues a packet that is not PUBLISH. What explains it is left out where the client wants no
/// problem information [MQTT-3.1.2-29] or its maximum packet size has no room for it; a packet that
/// is too large even so closes the link. With a ticket it waits until that is
/// durable, and what answers the client later waits behind it, so that acknowledgements keep their
/// order.
template <class Packet>
bool ShardCore::send(Link& link, Packet packet, StoreTicket ticket) {
    constexpr bool kHasReasonString = requires {
        packet.reason_string;
    };
    constexpr bool kTellsAlways =
        std::is_same_v<Packet, mqtt::Disconnect> || std::is_same_v<Packet, mqtt::ConnAck>;
    if constexpr (kHasReasonString && !kTellsAlways) {
        if (!link.request_problem_information) {
            packet.reason_string.reset();
            packet.user_properties.clear();
        }
    }
    if (!encode_fitting(packet, link.version, link.maximum_packet_size, packet_)) {
        if constexpr (!kTellsAlways) {
            close_link(link, mqtt::ReasonCode::packet_too_large,
                       "answer above maximum packet size");
        }
        return false;
    }
    constexpr bool kNeverWaits = std::is_same_v<Packet, mqtt::Disconnect> ||
                                 std::is_same_v<Packet, mqtt::PingResp> ||
                                 std::is_same_v<Packet, mqtt::Auth>;
    if (!kNeverWaits && (link.waiting > 0 || ticket > durable_)) {
        defer(link, ticket, waiting_as(packet));
        return true;
    }
    touch(link);
    writer_.write(link, packet_);
    return true;
}

}  // namespace spoke::broker
