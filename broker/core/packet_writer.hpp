#pragma once

#include <cstdint>

#include "broker/core/arena.hpp"
#include "broker/core/link.hpp"
#include "broker/core/out_queue.hpp"
#include "broker/core/ports/shard_port.hpp"
#include "broker/core/publication.hpp"
#include "broker/core/stored_as.hpp"
#include "broker/core/subscription_ids.hpp"

namespace spoke::broker {

/// The arena of one shard that packets are encoded into, and how they get from there into
/// out-queues.
class PacketWriter {
public:
    PacketWriter(ShardPort& port, SegmentPool& pool, std::size_t arena_size)
        : port_(port), pool_(pool), arena_(arena_size) {}

    struct PublishShape {
        mqtt::Qos qos = mqtt::Qos::at_most_once;
        bool dup = false;
        bool retain = false;
        mqtt::PacketId id{};
        DeliveryNumber delivery{};  // told where the client may know it
    };
    enum class Written : std::uint8_t { written, too_large };

    /// Queues a PUBLISH on the link, which must be connected. Too large for the client's maximum
    /// packet size: nothing is queued and no alias set [MQTT-3.1.2-24].
    Written write_publish(Link& link, Publication& publication, PublishShape const& shape,
                          SubscriptionIds const& ids, WallTime now);

    /// Makes room, so that the next write_publish() will not have to. That would flush, and with it
    /// send packets which belong behind this one.
    void prepare();
    /// Queues bytes of another packet, copied.
    void write(Link& link, Bytes packet);
    /// Queues PUBACK, PUBREC, PUBREL or PUBCOMP in the two-byte form; `first` is its first byte.
    void write_short_ack(Link& link, std::uint8_t first, mqtt::PacketId id);

    [[nodiscard]] Arena& arena() noexcept { return arena_; }

private:
    struct Layout;
    void write_encoded(Link& link, Publication& publication, Layout const& layout,
                       SubscriptionIds const& ids, WallTime now);
    /// What is larger gets memory of its own.
    [[nodiscard]] std::size_t in_arena_max() const noexcept { return arena_.size() / 4; }
    void make_room(std::size_t size);
    [[nodiscard]] std::byte* reserve(std::size_t size);

    ShardPort& port_;
    SegmentPool& pool_;
    Arena arena_;
};

}  // namespace spoke::broker
