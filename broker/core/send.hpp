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

/// Queues a packet that is not PUBLISH. Where the client's maximum packet size or its request for
/// no problem information forbids it, the reason string is left out [MQTT-3.1.2-29] [MQTT-3.4.2-2];
/// a packet that is too large even so closes the link. With a ticket it waits until that is
/// durable, and whatever follows waits behind it, so that acknowledgements keep their order.
template <class Packet>
bool ShardCore::send(Link& link, Packet packet, StoreTicket ticket) {
    constexpr bool kHasReasonString = requires {
        packet.reason_string;
    };
    constexpr bool kTellsAlways =
        std::is_same_v<Packet, mqtt::Disconnect> || std::is_same_v<Packet, mqtt::ConnAck>;
    if constexpr (kHasReasonString && !kTellsAlways) {
        if (!link.request_problem_information) packet.reason_string.reset();
    }
    packet_.clear();
    mqtt::encode(packet, link.version, packet_);
    if constexpr (kHasReasonString) {
        if (packet_.size() > link.maximum_packet_size && packet.reason_string) {
            packet.reason_string.reset();
            packet_.clear();
            mqtt::encode(packet, link.version, packet_);
        }
    }
    if (packet_.size() > link.maximum_packet_size) {
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
