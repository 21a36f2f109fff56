#include "protocol/client/wire.hpp"

#include "protocol/base/assert.hpp"

namespace spoke::mqtt {

ServerLimits ServerLimits::of(ConnAck const& packet) noexcept {
    ServerLimits limits;
    limits.packet_size_max = packet.maximum_packet_size.value_or(limits.packet_size_max);
    limits.receive_maximum = packet.receive_maximum.value_or(limits.receive_maximum);
    limits.topic_alias_maximum = packet.topic_alias_maximum.value_or(0);
    limits.maximum_qos = packet.maximum_qos.value_or(Qos::exactly_once);
    limits.retain_available = packet.retain_available.value_or(true);
    limits.wildcard_subscription_available = packet.wildcard_subscription_available.value_or(true);
    limits.subscription_identifiers_available =
        packet.subscription_identifiers_available.value_or(true);
    limits.shared_subscription_available = packet.shared_subscription_available.value_or(true);
    return limits;
}

PacketId PacketIds::take(Outgoing* owner) {
    MQ_ASSERT(used_.size() < 65'535);
    do {
        last_ = last_ == 65'535 ? std::uint16_t{1} : static_cast<std::uint16_t>(last_ + 1);
    } while (!used_.try_emplace(last_, owner).second);
    return PacketId{last_};
}

Outgoing* PacketIds::find(PacketId id) const noexcept {
    auto found = used_.find(id.value);
    return found == used_.end() ? nullptr : found->second;
}

}  // namespace spoke::mqtt
