#pragma once

#include <optional>
#include <string>
#include <utility>

#include "broker/core/shard_core.hpp"
#include "protocol/codec/encode.hpp"

namespace spoke::broker {

/// Whether it is the last answer to a PUBLISH, behind which the next one may come.
template <class Packet>
[[nodiscard]] bool ends_exchange(Packet const& packet) noexcept {
    if constexpr (std::is_same_v<Packet, mqtt::PubRec>) return mqtt::is_error(packet.reason);
    return std::is_same_v<Packet, mqtt::PubAck> || std::is_same_v<Packet, mqtt::PubComp>;
}

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

/// Queues a packet that is not PUBLISH. What explains it is left out where the client wants no
/// problem information [MQTT-3.1.2-29] or its maximum packet size has no room for it; a packet that
/// is too large even so closes the link. With a ticket it waits until that is
/// durable, and whatever follows waits behind it, so that acknowledgements keep their order.
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
    if (!kTellsAlways && (!deferred_.empty() || ticket > durable_)) {
        bool ends_publish = ends_exchange(packet);
        if (ends_publish) ++link.last_answers_waiting;
        deferred_.push_back({std::max(ticket, deferred_.empty() ? ticket : deferred_.back().ticket),
                             &link, packet_, ends_publish});
        return true;
    }
    touch(link);
    writer_.write(link, packet_);
    return true;
}

}  // namespace spoke::broker
