// How packets that are not PUBLISH leave, and how acknowledgements wait for the disk.
#include <algorithm>

#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::send_ack(Link& link, mqtt::PacketType type, mqtt::PacketId id,
                         mqtt::ReasonCode reason, StoreTicket ticket, std::string_view why) {
    bool waits = link.waiting > 0 || ticket > durable_;
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

/// `packet_` leaves when `ticket` is durable.
void ShardCore::defer(Link& link, StoreTicket ticket, Waiting kind) {
    ++link.waiting;
    if (kind == Waiting::last_answer || kind == Waiting::completion) ++link.last_answers_waiting;
    // One that waits for others of its link alone takes the place behind all that wait now.
    if (!deferred_.empty()) ticket = std::max(ticket, deferred_.back().ticket);
    deferred_.push_back({ticket, &link, packet_, kind});
}

void ShardCore::release_answers() {
    while (!deferred_.empty() && deferred_.front().ticket <= durable_) {
        DeferredAck ack = std::move(deferred_.front());
        deferred_.pop_front();
        if (ack.link == nullptr) continue;  // its connection is gone
        Link& link = *ack.link;
        --link.waiting;
        if (ack.kind == Waiting::last_answer || ack.kind == Waiting::completion)
            --link.last_answers_waiting;
        touch(link);
        writer_.write(link, ack.packet);
        if (ack.kind == Waiting::connack) {
            link.awaits_disk = false;
            readable_again_.push_back(&link);
        } else if (ack.kind == Waiting::suback && link.session != nullptr) {
            pump(*link.session);  // with the retained messages
        }
    }
}

void ShardCore::drop_deferred(Link& link) noexcept {
    std::erase(readable_again_, &link);
    if (link.waiting == 0) return;
    for (DeferredAck& ack : deferred_) {
        if (ack.link == &link) ack.link = nullptr;
    }
    link.waiting = 0;
}

}  // namespace spoke::broker
