// From a session to its connection: now, later, or not at all (4.3, 4.4, 4.9).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "broker/core/shard_core.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

using mqtt::Qos;

namespace {

/// Retained messages read for one subscription before others have their turn, and how many of them
/// at a time: an out-queue is above its limit by no more than these.
constexpr std::size_t kReplaySlice = 256;
constexpr std::size_t kReplayBatch = 16;

}  // namespace

void ShardCore::deliver(Session& session, Publication& publication, Grant grant,
                        SubscriptionIds ids) {
    if (publication.deadline <= now_.wall.time_since_epoch().count()) {
        counters_.dropped.expired.add();
        return;
    }
    if (!may_have(session, publication.topic)) return;
    if (grant.qos == Qos::at_most_once)
        return deliver_qos0(session, publication, grant.retain, ids);
    bool now = session.link != nullptr && session.queue.empty() &&
               session.window.unsent_count() == 0 && window_is_open(session) &&
               has_room(*session.link);
    Delivery delivery{
        .ids = std::move(ids), .qos = grant.qos, .retain = grant.retain, .share = grant.share};
    if (now) {
        send_new(session, publication, std::move(delivery), Origin::routed);
    } else {
        enqueue(session, publication, std::move(delivery));
    }
}

bool ShardCore::may_have(Session& session, std::string_view topic) {
    auto mount_size = session.settings->mount_point.size();
    bool hidden = mount_size > 0 && topic.size() > mount_size && topic[mount_size] == '$';
    if (!hidden && session.may_receive(topic)) return true;
    counters_.dropped.not_authorized.add();
    return false;
}

void ShardCore::deliver_qos0(Session& session, Publication& publication, bool retain,
                             SubscriptionIds const& ids) {
    if (session.link == nullptr) return counters_.dropped.offline_qos0.add();
    if (!has_room(*session.link)) return counters_.dropped.slow_receiver.add();
    send_qos0(session, publication, retain, ids);
}

void ShardCore::send_qos0(Session& session, Publication& publication, bool retain,
                          SubscriptionIds const& ids) {
    Link& link = *session.link;
    touch(link);
    auto written = writer_.write_publish(link, publication, {.retain = retain}, ids, now_.wall);
    if (written == PacketWriter::Written::too_large)
        return counters_.dropped.packet_too_large.add();
    counters_.deliveries.add();
}

bool ShardCore::has_room(Link& link) {
    if (link.out.bytes() < link.settings->out_queue_bytes_max) return true;
    if (std::exchange(making_room_, true)) return false;  // asked by that very flush: it goes on
    port_.flush_touched();  // it may be this turn alone that filled it
    making_room_ = false;
    return link.out.bytes() < link.settings->out_queue_bytes_max;
}

bool ShardCore::window_is_open(Session const& session) const noexcept {
    return session.window.open_count() - session.window.unsent_count() <
           session.link->receive_maximum;  // [MQTT-3.3.4-9] [MQTT-4.9.0-2]
}

void ShardCore::send_new(Session& session, Publication& publication, Delivery delivery,
                         Origin origin) {
    Link& link = *session.link;
    mqtt::PacketId id = session.window.next_id();
    PacketWriter::PublishShape shape{.qos = delivery.qos, .retain = delivery.retain, .id = id};
    touch(link);
    if (writer_.write_publish(link, publication, shape, delivery.ids, now_.wall) ==
        PacketWriter::Written::too_large) {
        counters_.dropped.packet_too_large.add();  // done with, not in flight [MQTT-3.1.2-25]
        return;
    }
    counters_.deliveries.add();
    if (session.is_kept()) {  // else it is never sent again: its id alone is kept
        delivery.message = publication.share();
        if (origin == Origin::routed) note_ticket(store_.put_delivery(session, delivery));
    } else if (delivery.share != ShareId{} && delivery.qos == Qos::at_least_once) {
        delivery.message = publication.share();  // for another member, if it is not acknowledged
    }
    session.window.open(id, std::move(delivery));
}

void ShardCore::enqueue(Session& session, Publication& publication, Delivery delivery) {
    delivery.message = publication.share();
    std::size_t footprint = delivery.message->footprint();
    bool full = session.queue.size() >= settings_.queue_messages_max ||
                session.queue_bytes + footprint > settings_.queue_bytes_max;
    if (full) {
        counters_.dropped.queue_full.add();
        if (!std::exchange(session.overflow_logged, true) && port_.logs(LogLevel::warning)) {
            port_.log(LogLevel::warning,
                      fmt::format(
                          "queue of '{}' is full ({} messages, {} bytes): new messages are dropped",
                          escaped(session.client_id()), session.queue.size(), session.queue_bytes));
        }
        return;
    }
    if (session.is_kept()) note_ticket(store_.put_delivery(session, delivery));
    counters_.queued_bytes.add(footprint);
    session.enqueue(std::move(delivery));
}

void ShardCore::note_ticket(StoreTicket ticket) noexcept {
    if (route_ticket_ != nullptr) *route_ticket_ = std::max(*route_ticket_, ticket);
}

void ShardCore::pump(Session& session) {
    auto may_send = [this, &session] {
        return session.link != nullptr && window_is_open(session) &&
               (session.window.unsent_count() > 0 || !session.queue.empty());
    };
    while (may_send()) {
        if (!has_room(*session.link)) return;
        writer_.prepare();
        // Both may have flushed, and a link that is flushed empty is pumped from there.
        if (!may_send()) break;
        if (Outbound* again = session.window.next_unsent()) {
            if (again->unwritten && again->delivery.message->has_expired(now_.wall)) {
                counters_.dropped.expired.add();
                session.window.forget(again->id);
            } else if (again->unwritten && !may_have(session, again->delivery.message->topic())) {
                session.window.forget(again->id);
            } else {
                send_again(session, *again);
            }
        } else {
            std::uint64_t before = session.queue_bytes;
            Delivery delivery = session.dequeue();
            counters_.queued_bytes.subtract(before - session.queue_bytes);
            Publication publication(delivery.message);
            delivery.message = nullptr;
            if (publication.deadline <= now_.wall.time_since_epoch().count()) {
                counters_.dropped.expired.add();  // [MQTT-3.3.2-5]
                continue;
            }
            if (!may_have(session, publication.topic)) continue;
            send_new(session, publication, std::move(delivery), Origin::queued);
        }
    }
    if (session.queue.empty()) session.overflow_logged = false;
    if (session.link != nullptr && !session.replays.empty() && !session.replaying) {
        session.replaying = true;
        replaying_.push_back(&session);
    }
}

void ShardCore::send_again(Session& session, Outbound& outbound) {
    Link& link = *session.link;
    Publication publication(outbound.delivery.message);
    PacketWriter::PublishShape shape{.qos = outbound.delivery.qos,
                                     .dup = !outbound.unwritten,  // [MQTT-3.3.1-1]
                                     .retain = outbound.delivery.retain,
                                     .id = outbound.id};
    touch(link);
    if (writer_.write_publish(link, publication, shape, outbound.delivery.ids, now_.wall) ==
        PacketWriter::Written::too_large) {
        counters_.dropped.packet_too_large.add();
        session.window.forget(outbound.id);
        return;
    }
    counters_.deliveries.add();
    session.window.mark_sent(outbound);
}

void ShardCore::start_replay(Session& session, RetainedReplay replay) {
    // Most are over with their first slice and need not be remembered.
    session.replays.push_back(std::move(replay));
    if (session.replaying || session.replays.size() > 1) return;
    if (!replay_slice(session) || session.replaying) return;
    session.replaying = true;
    replaying_.push_back(&session);
}

void ShardCore::on_replays() {
    auto sessions = std::exchange(replaying_, {});
    for (Session* session : sessions) session->replaying = false;
    for (Session* session : sessions) {
        if (session->link == nullptr || !replay_slice(*session) || session->replaying) continue;
        session->replaying = true;
        replaying_.push_back(session);
    }
}

bool ShardCore::replay_slice(Session& session) {
    for (std::size_t read = 0; read < kReplaySlice; read += kReplayBatch) {
        if (!may_replay(session)) return false;     // pump() takes it up again
        if (session.replays.empty()) return false;  // UNSUBSCRIBE took it back
        replay_batch(session);
    }
    return !session.replays.empty();
}

bool ShardCore::may_replay(Session const& session) {
    // What does not fit waits in the store, where it costs nothing, and not in the queue.
    bool window_matters =
        !session.replays.empty() && session.replays.front().qos != Qos::at_most_once;
    return session.queue.empty() && (!window_matters || window_is_open(session)) &&
           has_room(*session.link);
}

void ShardCore::replay_batch(Session& session) {
    RetainedReplay& replay = session.replays.front();
    std::size_t count_max = kReplayBatch;
    if (replay.qos != Qos::at_most_once) {
        auto sent = session.window.open_count() - session.window.unsent_count();
        count_max = std::min<std::size_t>(count_max, session.link->receive_maximum - sent);
    }
    slice_.clear();
    retained_.match(replay.filter, now_.wall, count_max, replay.cursor, slice_);
    bool is_last = replay.cursor.empty();
    for (MessagePtr& message : slice_) {
        Qos qos = std::min(message->qos(), replay.qos);
        Publication publication(std::move(message));
        SubscriptionIds ids{replay.identifier};
        if (qos == Qos::at_most_once) {
            if (!may_have(session, publication.topic)) continue;
            send_qos0(session, publication, true, ids);  // [MQTT-3.3.1-8]
        } else {
            deliver(session, publication, {qos, true}, std::move(ids));
        }
    }
    slice_.clear();
    if (is_last) session.replays.erase(session.replays.begin());
}

}  // namespace spoke::broker
