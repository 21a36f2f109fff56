// How packets that are not PUBLISH leave, and how acknowledgements wait for the disk.
#include <algorithm>

#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::send_ack(Link& link, mqtt::PacketType type, mqtt::PacketId id,
                         mqtt::ReasonCode reason, StoreTicket ticket, std::string_view why) {
    bool waits = !deferred_.empty() || ticket > durable_;
    bool bare = reason == mqtt::ReasonCode::success || !link.is_v5();
    if (bare && !waits) {
        auto flags = type == mqtt::PacketType::pubrel ? 2U : 0U;
        touch(link);
        writer_.write_short_ack(
            link, static_cast<std::uint8_t>((static_cast<unsigned>(type) << 4) | flags), id);
        return;
    }
    std::optional<std::string> reason_string;
    if (!why.empty()) reason_string = std::string{why};
    switch (type) {
        case mqtt::PacketType::puback:
            send(link, mqtt::PubAck{id, reason, reason_string, {}}, ticket);
            return;
        case mqtt::PacketType::pubrec:
            send(link, mqtt::PubRec{id, reason, reason_string, {}}, ticket);
            return;
        case mqtt::PacketType::pubrel:
            send(link, mqtt::PubRel{id, reason, reason_string, {}}, ticket);
            return;
        case mqtt::PacketType::pubcomp:
            send(link, mqtt::PubComp{id, reason, reason_string, {}}, ticket);
            return;
        default:
            MQ_ASSERT(!"an acknowledgement of PUBLISH");
    }
}

void ShardCore::on_durable(StoreTicket ticket) {
    durable_ = std::max(durable_, ticket);
    std::size_t released = 0;
    for (; released < deferred_.size() && deferred_[released].ticket <= durable_; ++released) {
        DeferredAck& ack = deferred_[released];
        if (ack.link == nullptr) continue;  // its connection is gone
        if (ack.ends_publish) --ack.link->last_answers_waiting;
        touch(*ack.link);
        writer_.write(*ack.link, ack.packet);
    }
    deferred_.erase(deferred_.begin(), deferred_.begin() + static_cast<std::ptrdiff_t>(released));
}

}  // namespace spoke::broker
