#include "broker/core/shard_core.hpp"

#include <utility>

#include "broker/core/send.hpp"

namespace spoke::broker {

namespace {

/// What is encoded in one turn before the shard must flush. Fits a second-level cache beside the
/// input.
constexpr std::size_t kArenaSize = 256 * 1024;

}  // namespace

std::uint8_t home_shard(std::string_view client_id, std::uint8_t shard_count) noexcept {
    // FNV-1a: the same on every start, so that what is stored finds its shard again.
    std::uint64_t hash = 14'695'981'039'346'656'037ULL;
    for (char c : client_id) hash = (hash ^ static_cast<unsigned char>(c)) * 1'099'511'628'211ULL;
    return static_cast<std::uint8_t>((hash >> 32) % shard_count);
}

ShardCore::ShardCore(CoreSettings const& settings, Wiring const& wiring, Now start)
    : settings_(settings),
      index_(wiring.index),
      retained_(wiring.retained),
      kept_(wiring.kept),
      store_(wiring.store),
      is_durable_(wiring.store.is_durable()),
      bus_(wiring.bus),
      port_(wiring.port),
      shard_(wiring.shard),
      shard_count_(wiring.shard_count),
      now_(start),
      writer_(wiring.port, segments_, kArenaSize),
      wheel_(start.steady),
      sessions_(wiring.shard),
      random_(wiring.seed),
      batches_(wiring.shard_count) {}

ShardCore::~ShardCore() = default;

void ShardCore::on_accepted(Link& link, LinkSettings const& settings) {
    link.settings = &settings;
    link.mount_size = static_cast<std::uint16_t>(settings.mount_point.size());
    wheel_.arm(link.timer, now_.steady + settings.connect_timeout);
}

void ShardCore::forget(Link& link) noexcept {
    link.timer.cancel();
    if (!link.awaits_verdict) return;
    authenticating_.erase(link.authentication->ticket);
    link.awaits_verdict = false;
}

void ShardCore::on_timers() {
    wheel_.advance(now_.steady, [this](TimerNode& node) {
        switch (node.kind()) {
            case TimerKind::link:
                return on_link_timer(*static_cast<Link*>(node.owner()));
            case TimerKind::session:
                return on_session_timer(*static_cast<Session*>(node.owner()));
            case TimerKind::receipts:
                return on_receipt_timer(*static_cast<Session*>(node.owner()));
        }
    });
    on_replays();
}

void ShardCore::on_packet(Link& link, std::span<std::byte> frame) {
    if (link.state != LinkState::connected) return;  // it closes: what follows is not looked at
    link.last_packet = now_.steady;
    auto type = static_cast<mqtt::PacketType>(static_cast<std::uint8_t>(frame[0]) >> 4);
    if (type == mqtt::PacketType::publish) return handle_publish(link, frame);
    // The acknowledgements of nearly every delivery: four bytes, success.
    if (frame.size() == 4 && frame[1] == std::byte{2} && frame[0] == std::byte{0x40}) {
        mqtt::PacketId id{static_cast<std::uint16_t>((std::to_integer<unsigned>(frame[2]) << 8) |
                                                     std::to_integer<unsigned>(frame[3]))};
        if (id.value != 0) return handle_puback(link, {.id = id});
    }
    // Whatever stands in it: what may be wrong with a CONNECT has reasons that are for CONNACK
    // alone.
    if (type == mqtt::PacketType::connect) {
        return close_link(link, mqtt::ReasonCode::protocol_error, "MQTT-3.1.0-2");
    }
    auto decoded = mqtt::decode(frame, link.version, mqtt::Sender::client);
    if (!decoded) return on_bad_bytes(link, decoded.error());
    std::visit(
        [this, &link]<class Packet>(Packet const& packet) {
            if constexpr (std::is_same_v<Packet, mqtt::PubAck>) {
                handle_puback(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::PubRec>) {
                handle_pubrec(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::PubRel>) {
                handle_pubrel(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::PubComp>) {
                handle_pubcomp(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::Subscribe>) {
                handle_subscribe(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::Unsubscribe>) {
                handle_unsubscribe(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::PingReq>) {
                send(link, mqtt::PingResp{});  // [MQTT-3.12.4-1]
            } else if constexpr (std::is_same_v<Packet, mqtt::Disconnect>) {
                handle_disconnect(link, packet);
            } else if constexpr (std::is_same_v<Packet, mqtt::Auth>) {
                handle_auth(link, packet);
            } else {
                // What goes from server to client only.
                close_link(link, mqtt::ReasonCode::protocol_error, "packet out of place");
            }
        },
        decoded.value());
}

void ShardCore::on_batch(ShardBatch& batch) {
    std::size_t next = 0;
    for (auto& routed : batch.routed) {
        Publication publication(std::move(routed.message));
        for (std::uint32_t i = 0; i < routed.receivers; ++i) {
            Receiver& receiver = batch.receivers[next++];
            Session* session = sessions_.find({receiver.slot, receiver.generation, shard_});
            Grant grant{receiver.qos, receiver.retain, receiver.share, receiver.as};
            if (session == nullptr) {
                pass_on(publication, grant, receiver.session_number);
            } else if (receiver.is_rejected) {
                drop(*session, publication, grant.qos, {}, {.why = why::kQueueFull});
            } else {
                deliver(*session, publication, grant, std::move(receiver.ids));
            }
        }
    }
}

void ShardCore::before_write(Link& link) {
    if (!link.out.has_apart()) return;
    taken_.clear();
    link.out.settle_timed(now_.wall, taken_);
    if (taken_.empty()) return;
    counters_.dropped.expired.add(taken_.size());
    if (link.session == nullptr) return;
    for (OutQueue::Taken const& taken : taken_) {
        if (taken.id.value != 0) {
            give_up(*link.session, taken.id, {.step = ReceiptStep::expired});
        } else if (taken.message) {
            tell(*link.session, *taken.message, mqtt::Qos::at_most_once,
                 {.step = ReceiptStep::expired});
        }
    }
    pump(*link.session);
}

void ShardCore::on_written(Link& link, std::uint64_t size) {
    taken_.clear();
    link.out.consume(segments_, size, &taken_);
    if (taken_.empty() || link.session == nullptr) return;
    for (OutQueue::Taken const& taken : taken_) {
        auto qos = static_cast<mqtt::Qos>(taken.first_byte >> 1 & 3);
        bool dup = (taken.first_byte & 8) != 0;
        tell(*link.session, *taken.message, qos, {.step = ReceiptStep::sent, .dup = dup});
    }
}

void ShardCore::on_drained(Link& link) {
    if (link.session != nullptr) pump(*link.session);
}

}  // namespace spoke::broker
