// From a session to its connection: now, later, or not at all (4.3, 4.4, 4.9).
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
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
        return drop(session, publication, grant.qos, grant.as, {.step = ReceiptStep::expired});
    }
    if (!may_have(session, publication.topic)) {
        return drop(session, publication, grant.qos, grant.as, {.why = why::kNotAuthorized});
    }
    if (publication.wants_receipt) watch_receipt(session, publication.deadline);
    if (grant.qos == Qos::at_most_once)
        return deliver_qos0(session, publication, grant.retain, ids);
    Delivery delivery{.ids = std::move(ids),
                      .share = grant.share,
                      .number = grant.as.number,
                      .message_back = grant.as.message_back,
                      .qos = grant.qos,
                      .retain = grant.retain,
                      .wants_receipt = publication.wants_receipt};
    bool is_next = session.link != nullptr && session.queue.empty() &&
                   session.window.unsent_count() == 0 && window_is_open(session);
    if (is_next && is_held_first(delivery)) {
        hold(session, publication.share(), std::move(delivery));
        if (session.window.unsent_count() > 0) pump(session);
    } else if (is_next && has_room(*session.link)) {
        send_new(session, publication, std::move(delivery));
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
    if (session.link == nullptr) {
        counters_.dropped.offline_qos0.add();
        return drop(session, publication, Qos::at_most_once, {}, {.why = why::kOffline});
    }
    if (!has_room(*session.link)) {
        counters_.dropped.slow_receiver.add();
        return drop(session, publication, Qos::at_most_once, {}, {.why = why::kSlowReceiver});
    }
    send_qos0(session, publication, retain, ids);
}

void ShardCore::send_qos0(Session& session, Publication& publication, bool retain,
                          SubscriptionIds const& ids) {
    Link& link = *session.link;
    touch(link);
    auto written = writer_.write_publish(link, publication, {.retain = retain}, ids, now_.wall);
    if (written == PacketWriter::Written::too_large) {
        counters_.dropped.packet_too_large.add();
        return drop(session, publication, Qos::at_most_once, {}, {.why = why::kTooLarge});
    }
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

void ShardCore::send_new(Session& session, Publication& publication, Delivery delivery) {
    Link& link = *session.link;
    mqtt::PacketId id = session.window.next_id();
    PacketWriter::PublishShape shape{
        .qos = delivery.qos, .retain = delivery.retain, .id = id, .delivery = delivery.number};
    touch(link);
    if (writer_.write_publish(link, publication, shape, delivery.ids, now_.wall) ==
        PacketWriter::Written::too_large) {
        counters_.dropped.packet_too_large.add();  // done with, not in flight [MQTT-3.1.2-25]
        return drop(session, publication, delivery.qos, delivery.as(), {.why = why::kTooLarge});
    }
    counters_.deliveries.add();
    // Kept to be sent again, for another member if it is not acknowledged, or to be told of; else
    // its id is enough.
    bool for_others = delivery.share != ShareId{} && delivery.qos == Qos::at_least_once;
    if (session.is_kept() || delivery.is_stored() || for_others || delivery.wants_receipt) {
        delivery.message = publication.share();
        delivery.size = static_cast<std::uint32_t>(delivery.message->footprint());
    }
    store_progress(session, session.window.open(id, std::move(delivery)));
}

void ShardCore::hold(Session& session, MessagePtr message, Delivery delivery) {
    delivery.size = static_cast<std::uint32_t>(message->footprint());
    delivery.message = std::move(message);
    mqtt::PacketId id = session.window.next_id();
    Outbound const& outbound = session.window.open_held(id, std::move(delivery));
    StoreTicket ticket = store_progress(session, outbound);
    if (ticket > durable_) {
        held_.push_back({ticket, session.ref(), id, outbound.send_number});
    } else {
        session.window.release(id, outbound.send_number);
    }
}

void ShardCore::enqueue(Session& session, Publication& publication, Delivery delivery) {
    if (!make_queue_room(session)) {
        counters_.dropped.queue_full.add();
        return drop(session, publication, delivery.qos, delivery.as(), {.why = why::kQueueFull});
    }
    delivery.message = publication.share();
    delivery.size = static_cast<std::uint32_t>(delivery.message->footprint());
    counters_.queued_bytes.add(delivery.size);
    session.enqueue(std::move(delivery));
    note_queue(session);
    evict_later(session);
}

bool ShardCore::is_queue_full(Session const& session) const noexcept {
    return session.queue.size() >= settings_.queue_messages_max ||
           session.queue_bytes >= settings_.queue_bytes_max;
}

bool ShardCore::make_queue_room(Session& session) {
    // A publisher was told before, or routed its message before this shard could say that the queue
    // is full: those few are taken.
    if (settings_.queue_full == QueueFull::reject && session.is_stored()) return true;
    while (is_queue_full(session)) {
        if (!std::exchange(session.overflow_logged, true)) log_queue_full(session);
        if (settings_.queue_full != QueueFull::drop_oldest || session.queue.empty()) return false;
        Delivery oldest = take_queued(session);
        if (oldest.is_over) continue;
        counters_.dropped.queue_full.add();
        drop(session, oldest, {.why = why::kEvicted});
    }
    return true;
}

/// Has the other shards know whether the queue is full, where their publishers are to be told.
void ShardCore::note_queue(Session& session) {
    if (settings_.queue_full != QueueFull::reject || !session.is_stored()) return;
    bool is_full = is_queue_full(session);
    if (is_full == session.queue_full) return;
    session.queue_full = is_full;
    kept_[shard_].put(session.ref(), session.number, is_full);
    if (is_full && !std::exchange(session.overflow_logged, true)) log_queue_full(session);
}

void ShardCore::log_queue_full(Session const& session) {
    if (!port_.logs(LogLevel::warning)) return;
    std::string_view what;
    switch (settings_.queue_full) {
        case QueueFull::reject:
            what = session.is_stored() ? "publishers are told so" : "new messages are dropped";
            break;
        case QueueFull::drop_oldest:
            what = "the oldest messages are dropped";
            break;
        case QueueFull::drop_new:
            what = "new messages are dropped";
            break;
    }
    port_.log(LogLevel::warning, fmt::format("queue of '{}' is full ({} messages, {} bytes): {}",
                                             escaped(session.client_id()), session.queue.size(),
                                             session.queue_bytes, what));
}

Delivery ShardCore::take_queued(Session& session) {
    Delivery delivery = session.dequeue();
    if (delivery.message) counters_.queued_bytes.subtract(delivery.size);
    return delivery;
}

void ShardCore::give_up(Session& session, mqtt::PacketId id, Fate const& fate) {
    if (Outbound const* outbound = session.window.find(id)) {
        drop(session, outbound->delivery, fate);
        session.window.forget(id);
    }
}

void ShardCore::pump(Session& session) {
    auto may_send = [this, &session] {
        return session.link != nullptr && window_is_open(session) &&
               (session.window.unsent_count() > 0 || !session.queue.empty());
    };
    bool has_room_now = true;
    while (may_send()) {
        has_room_now = has_room(*session.link);
        if (!has_room_now) break;
        writer_.prepare();
        // Both may have flushed, and a link that is flushed empty is pumped from there.
        if (!may_send()) break;
        Outbound* again = session.window.next_unsent();
        if (again != nullptr ? again->delivery.is_on_disk() : session.queue.front().is_on_disk()) {
            break;  // on_loaded() goes on
        }
        if (again != nullptr) {
            pump_again(session, *again);
        } else {
            pump_queued(session);
        }
    }
    note_queue(session);
    read_ahead(session);
    if (!has_room_now) return;
    if (session.queue.empty()) session.overflow_logged = false;
    if (session.link != nullptr && !session.replays.empty() && !session.replaying) {
        session.replaying = true;
        replaying_.push_back(&session);
    }
}

void ShardCore::pump_again(Session& session, Outbound& again) {
    if (again.delivery.is_lost) {
        counters_.dropped.damaged.add();
        end_again(session, again, {});
    } else if (again.unwritten && again.delivery.message->has_expired(now_.wall)) {
        counters_.dropped.expired.add();
        give_up(session, again.id, expired(again));
    } else if (again.doubtful && again.delivery.message->has_expired(now_.wall)) {
        counters_.dropped.expired.add();
        release_unsent(session, again.id, {.why = why::kExpired, .was_sent = true});
    } else if (!again.unwritten && is_over_in_flight(session, *again.delivery.message)) {
        counters_.dropped.expired.add();
        end_again(session, again, {.why = why::kExpired, .was_sent = true});
    } else if (again.unwritten && !may_have(session, again.delivery.message->topic())) {
        give_up(session, again.id,
                {.why = why::kNotAuthorized, .was_sent = again.may_be_written()});
    } else {
        send_again(session, again);
    }
}

void ShardCore::end_again(Session& session, Outbound const& again, Fate const& fate) {
    // A client that holds its id would take the next message of that id for a repetition.
    bool may_be_held = again.delivery.qos == Qos::exactly_once && !again.unwritten;
    may_be_held ? release_unsent(session, again.id, fate) : give_up(session, again.id, fate);
}

/// Whether what was sent and not acknowledged is not to be sent again, as configured.
bool ShardCore::is_over_in_flight(Session const& session, Message const& message) const {
    if (!settings_.command_topics.drop_expired_in_flight) return false;
    if (!message.has_expired(now_.wall)) return false;
    auto seen_topic = message.topic().substr(session.settings->mount_point.size());
    return is_command(settings_.command_topics, seen_topic);
}

/// PUBREL ends it either way: a client that has it takes it as it should, one that has not knows no
/// such id.
void ShardCore::release_unsent(Session& session, mqtt::PacketId id, Fate const& fate) {
    Delivery& delivery = session.window.find(id)->delivery;
    bool is_told = std::exchange(delivery.wants_receipt, false) && delivery.message;
    if (is_told) tell(session, *delivery.message, delivery.qos, fate);
    (void)session.window.on_pubrec(id, false);
    send_ack(*session.link, mqtt::PacketType::pubrel, id, mqtt::ReasonCode::success,
             store_progress(session, *session.window.find(id)));
}

void ShardCore::pump_queued(Session& session) {
    Delivery delivery = take_queued(session);
    if (delivery.is_over) return;
    if (delivery.is_lost) {
        counters_.dropped.damaged.add();
        return discard(session, delivery.as());
    }
    Publication publication(delivery.message);
    delivery.message = nullptr;
    if (publication.deadline <= now_.wall.time_since_epoch().count()) {
        counters_.dropped.expired.add();  // [MQTT-3.3.2-5]
        return drop(session, publication, delivery.qos, delivery.as(),
                    {.step = ReceiptStep::expired});
    }
    if (!may_have(session, publication.topic)) {
        return drop(session, publication, delivery.qos, delivery.as(),
                    {.why = why::kNotAuthorized});
    }
    if (is_held_first(delivery)) {
        hold(session, publication.share(), std::move(delivery));
    } else {
        send_new(session, publication, std::move(delivery));
    }
}

void ShardCore::send_again(Session& session, Outbound& outbound) {
    Link& link = *session.link;
    Publication publication(outbound.delivery.message);
    PacketWriter::PublishShape shape{.qos = outbound.delivery.qos,
                                     .dup = !outbound.unwritten,  // [MQTT-3.3.1-1]
                                     .retain = outbound.delivery.retain,
                                     .id = outbound.id,
                                     .delivery = outbound.delivery.number};
    touch(link);
    if (writer_.write_publish(link, publication, shape, outbound.delivery.ids, now_.wall) ==
        PacketWriter::Written::too_large) {
        counters_.dropped.packet_too_large.add();
        return end_again(session, outbound,
                         {.why = why::kTooLarge, .was_sent = outbound.may_be_written()});
    }
    counters_.deliveries.add();
    bool may_expire = (outbound.unwritten || outbound.doubtful) && publication.deadline != kNever;
    session.window.mark_sent(outbound);
    if (may_expire) store_progress(session, outbound);  // from here on it is sent
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
    bool may_store = !window_matters || !stores(session) || is_store_good();
    return session.queue.empty() && (!window_matters || window_is_open(session)) && may_store &&
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
    expired_.clear();
    retained_.match(replay.filter, now_.wall, count_max, replay.cursor, slice_, &expired_);
    for (MessagePtr const& message : expired_) {
        if (is_durable_) store_.put_retained(message->topic());
    }
    expired_.clear();
    bool is_last = replay.cursor.empty();
    for (MessagePtr& message : slice_) {
        Qos qos = std::min(message->qos(), replay.qos);
        Publication publication(std::move(message));
        SubscriptionIds ids{replay.identifier};
        if (qos == Qos::at_most_once) {
            if (!may_have(session, publication.topic)) continue;
            send_qos0(session, publication, true, ids);  // [MQTT-3.3.1-8]
        } else {
            Grant granted{qos, true};
            granted.as = store_own(session, publication, granted, ids);
            deliver(session, publication, granted, std::move(ids));
        }
    }
    slice_.clear();
    if (is_last) session.replays.erase(session.replays.begin());
}

}  // namespace spoke::broker
