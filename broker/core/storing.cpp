// What outlives the process: what of a session is stored, what waits for the disk, and what of a
// long queue is in memory.
#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "broker/core/receipt.hpp"
#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "protocol/base/escaped.hpp"

namespace spoke::broker {

using mqtt::ReasonCode;

StoreTicket ShardCore::store_session(Session const& session) {
    if (!stores(session)) return kNothingToWaitFor;
    StoredSession stored{.number = session.number,
                         .client_id = session.client_id(),
                         .listener = session.settings->name,
                         .mount_point = session.settings->mount_point,
                         .expiry_interval = session.expiry_interval,
                         .is_connected = session.is_connected(),
                         .expires_at = session.expires_at,
                         .will_at = session.will_at};
    if (session.user_name) stored.user_name = *session.user_name;
    if (session.will) stored.will = *session.will;
    return store_.put_session(std::move(stored));
}

void ShardCore::remove_stored(Session& session) {
    if (!stores(session)) return;
    session.inbound_qos2.each(
        [&](mqtt::PacketId id) { store_.remove_inbound(session.number, id); });
    StoreTicket ticket = passing_on_.contains(session.number)
                             ? store_rest(session)
                             : store_.remove_session(session.number);
    if (ticket <= durable_) return;
    ended_.insert_or_assign(session.client_id(), ticket);
    ended_in_order_.emplace_back(ticket, session.client_id());
}

/// Until the last of its deliveries is passed on they need a session, or a crash would lose them.
/// After a start its time is over at once, and it goes on with that.
StoreTicket ShardCore::store_rest(Session const& session) {
    StoredSession rest{.number = session.number};
    rest.client_id = fmt::format("{}{}", '\0', session.number.value);  // no client's [MQTT-1.5.4-2]
    rest.listener = session.settings->name;
    rest.mount_point = session.settings->mount_point;
    rest.expires_at = now_.wall.time_since_epoch().count();
    return store_.put_session(std::move(rest));
}

/// One less; with the last one its session is gone for good.
void ShardCore::note_passed_on(SessionNumber session) {
    auto found = passing_on_.find(session);
    if (--found->second > 0) return;
    passing_on_.erase(found);
    store_.remove_session(session);
}

StoredDelivery ShardCore::stored(Session const& session, Delivery const& delivery) {
    return {.session = session.number,
            .as = delivery.as(),
            .ids = delivery.ids.clone(),
            .share = delivery.share,
            .message_size = delivery.size,
            .qos = delivery.qos,
            .retain = delivery.retain,
            .wants_receipt = delivery.wants_receipt};
}

StoredDelivery ShardCore::first_stored(SessionNumber session, Publication& publication,
                                       Grant const& grant, SubscriptionIds const& ids) {
    return {.session = session,
            .as = grant.as,
            .ids = ids.clone(),
            .share = grant.share,
            .deadline = publication.deadline,
            .message_size = static_cast<std::uint32_t>(publication.share()->footprint()),
            .qos = grant.qos,
            .retain = grant.retain,
            .wants_receipt = publication.wants_receipt};
}

StoreTicket ShardCore::store_progress(Session const& session, Outbound const& outbound) {
    if (!outbound.delivery.is_stored()) return kNothingToWaitFor;
    StoredDelivery delivery = stored(session, outbound.delivery);
    // What is not written yet may still expire, after a restart too.
    if (outbound.unwritten && outbound.delivery.message)
        delivery.deadline = outbound.delivery.message->deadline();
    return store_.put_progress(delivery, {.state = outbound.state,
                                          .send_number = outbound.send_number,
                                          .released = outbound.released});
}

void ShardCore::discard(Session const& session, StoredAs as, Removal why) {
    if (as.is_stored()) store_.remove_delivery(session.number, as, why);
}

StoredAs ShardCore::store_own(Session const& session, Publication& publication, Grant const& grant,
                              SubscriptionIds const& ids) {
    if (!stores(session)) return {};
    auto delivery = first_stored(session.number, publication, grant, ids);
    delivery.as = store_.reserve(1);
    store_.put_message(publication.share(), {&delivery, 1});
    return delivery.as;
}

// --- what the store tells ---

void ShardCore::on_store_news() {
    if (!is_durable_) return;
    if (StoreTicket ticket = store_.durable(); ticket > durable_) on_durable(ticket);
    StoreHealth health = store_.health();
    if (health != health_) {
        auto is_written = [](StoreHealth now) {
            return now == StoreHealth::good || now == StoreHealth::over_limit;
        };
        bool ends = is_written(health_) && !is_written(health);
        health_ = health;
        if (ends) on_store_bad();
        if (health_ == StoreHealth::good) {
            // Retained messages for new subscriptions have waited for this.
            sessions_.each([this](Session& session) {
                if (session.link != nullptr && !session.replays.empty()) pump(session);
            });
        }
    }
    loaded_.clear();
    store_.take_loaded(loaded_);
    for (LoadedMessage& loaded : loaded_) on_loaded(loaded);
    loaded_.clear();
}

void ShardCore::on_durable(StoreTicket ticket) {
    durable_ = ticket;
    release_answers();
    while (!held_.empty() && held_.front().ticket <= durable_) {
        Held held = held_.front();
        held_.pop_front();
        Session* session = sessions_.find(held.session);
        if (session == nullptr) continue;
        session->window.release(held.id, held.send_number);
        if (session->link != nullptr) pump(*session);
    }
    while (!ended_in_order_.empty() && ended_in_order_.front().first <= durable_) {
        auto found = ended_.find(ended_in_order_.front().second);
        if (found != ended_.end() && found->second <= durable_) ended_.erase(found);
        ended_in_order_.pop_front();
    }
    while (!evictions_.empty() && evictions_.front().ticket <= durable_) {
        evict(evictions_.front());
        evictions_.pop_front();
    }
}

ShardCore::Refusal ShardCore::store_refusal() const noexcept {
    switch (store_.health()) {
        case StoreHealth::over_limit:
            return {ReasonCode::quota_exceeded, "the store holds as much as it may"};
        case StoreHealth::full:
            return {ReasonCode::quota_exceeded, "the disk is full"};
        case StoreHealth::good:
        case StoreHealth::failed:
            break;
    }
    return {ReasonCode::implementation_specific_error, "the store cannot be written"};
}

/// Nobody is told that what waits was taken; who waits for that is told that it was not.
void ShardCore::on_store_bad() {
    std::vector<std::pair<Link*, bool>> waiting;
    for (DeferredAck const& ack : deferred_) {
        // These were promised before, and wait as long as it takes.
        bool goes_on = ack.kind == Waiting::release || ack.kind == Waiting::completion;
        if (ack.link != nullptr && !goes_on && ack.link->state == LinkState::connected)
            waiting.emplace_back(ack.link, ack.kind == Waiting::connack);
    }
    for (auto [link, has_no_connack] : waiting) {
        if (link->state != LinkState::connected) continue;
        counters_.store_refused.add();
        if (!has_no_connack) {
            close_link(*link, store_refusal().reason, store_refusal().text);
            continue;
        }
        mqtt::Version version = link->version;
        log_end(*link, store_refusal().text);
        detach(*link, Will::discard,
               {.by = LinkEnd::By::broker,
                .reason = ReasonCode::server_unavailable,
                .detail = store_refusal().text});
        refuse(*link, version, {ReasonCode::server_unavailable, store_refusal().text});
    }
}

// --- what of a queue is in memory ---

void ShardCore::evict_later(Session& session) {
    Delivery const& last = session.queue.back();
    if (session.queue.size() <= settings_.queue_window || !last.is_stored()) return;
    if (!session.disk) {
        session.disk = std::make_unique<QueueOnDisk>();
        session.disk->complete = session.queue.size();
    }
    Eviction eviction{store_.last_ticket(), session.ref(),
                      session.disk->popped + session.queue.size() - 1};
    if (eviction.ticket > durable_) {
        evictions_.push_back(eviction);
    } else {
        evict(eviction);
    }
}

void ShardCore::evict(Eviction const& eviction) {
    Session* session = sessions_.find(eviction.session);
    if (session == nullptr || !session->disk) return;
    QueueOnDisk& disk = *session->disk;
    if (eviction.position < disk.popped + settings_.queue_window) return;
    Delivery& delivery =
        session->queue[static_cast<std::uint32_t>(eviction.position - disk.popped)];
    // Those to be told of stay: so their expiry can be told without the disk.
    if (!delivery.message || delivery.wants_receipt) return;
    counters_.queued_bytes.subtract(delivery.size);
    delivery.message = nullptr;
    disk.complete = std::min(disk.complete, eviction.position);
}

/// Has the next messages read before they are needed, as long as the client takes them.
void ShardCore::read_ahead(Session& session) {
    if (!session.disk || session.link == nullptr || session.disk->awaited > 0) return;
    QueueOnDisk& disk = *session.disk;
    wanted_.clear();
    if (session.window.unsent_count() > 0) {
        session.window.each_open([&](Outbound const& outbound) {
            if (outbound.state != OutboundState::awaiting_pubcomp && outbound.delivery.is_on_disk())
                wanted_.push_back(outbound.delivery.as());
        });
    }
    std::uint64_t in_memory = disk.complete - disk.popped;
    bool is_short = in_memory < settings_.queue_window / 2 + 1 && in_memory < session.queue.size();
    if (is_short) {
        disk.answered = disk.complete;
        auto end = std::min<std::uint64_t>(settings_.queue_window, session.queue.size());
        for (auto i = static_cast<std::uint32_t>(in_memory); i < end; ++i) {
            if (session.queue[i].is_on_disk()) wanted_.push_back(session.queue[i].as());
        }
    }
    if (wanted_.empty()) return;
    disk.awaited = static_cast<std::uint32_t>(wanted_.size());
    store_.read(session.ref(), session.number, wanted_);
}

void ShardCore::on_loaded(LoadedMessage& loaded) {
    if (!told_later_.empty() && tell_loaded(loaded)) return;
    if (Session* session = sessions_.find(loaded.session)) return on_loaded(*session, loaded);
    auto found = passed_on_.find(loaded.number);
    if (found == passed_on_.end()) return;
    PassedOn passed = std::move(found->second);
    passed_on_.erase(found);
    if (loaded.message) {
        auto member = index_.choose(passed.delivery.share);
        Publication publication(std::move(loaded.message));
        if (member) {
            route_to(publication, *member);
            passed.end.why = why::kMoved;
        } else {
            counters_.dropped.session_ended.add();
        }
        if (publication.wants_receipt) {
            tell(passed.client_id, *publication.share(), passed.delivery.qos, passed.end);
        }
    } else {
        counters_.dropped.damaged.add();
    }
    store_.remove_delivery(passed.session, passed.delivery.as(), Removal::moved);
    note_passed_on(passed.session);
}

void ShardCore::on_loaded(Session& session, LoadedMessage& loaded) {
    if (!session.disk || session.disk->awaited == 0) return;
    QueueOnDisk& disk = *session.disk;
    --disk.awaited;
    auto take = [&](Delivery& delivery) {
        if (delivery.number != loaded.number || !delivery.is_on_disk()) return false;
        delivery.message = std::move(loaded.message);
        delivery.is_lost = !delivery.message;
        return true;
    };
    auto begin = std::max(disk.answered, disk.popped);
    auto end =
        std::min<std::uint64_t>(disk.popped + session.queue.size(), begin + settings_.queue_window);
    bool is_taken = false;
    for (auto at = begin; at < end && !is_taken; ++at) {
        Delivery& delivery = session.queue[static_cast<std::uint32_t>(at - disk.popped)];
        is_taken = take(delivery);
        if (!is_taken) continue;
        disk.answered = at + 1;
        if (delivery.message) counters_.queued_bytes.add(delivery.size);
    }
    if (!is_taken) {
        session.window.each_open(
            [&](Outbound& outbound) { is_taken = is_taken || take(outbound.delivery); });
    }
    if (disk.awaited > 0) return;
    auto const& queue = session.queue;
    while (disk.complete < disk.popped + queue.size() &&
           !queue[static_cast<std::uint32_t>(disk.complete - disk.popped)].is_on_disk()) {
        ++disk.complete;
    }
    if (session.link != nullptr) pump(session);
}

void ShardCore::pass_on_later(Session const& session, Delivery const& delivery, Fate const& end) {
    StoredAs as = delivery.as();
    Delivery kept{.share = delivery.share,
                  .number = as.number,
                  .message_back = as.message_back,
                  .size = delivery.size,
                  .qos = delivery.qos,
                  .retain = delivery.retain};
    PassedOn passed{session.number, std::move(kept), session.client_id(), end};
    passed_on_.emplace(as.number, std::move(passed));
    ++passing_on_[session.number];
    store_.read(session.ref(), session.number, {&as, 1});
}

// --- before the loop runs ---

Session& ShardCore::restore_session(StoredSession stored, LinkSettings const& settings) {
    Session& session = sessions_.add(std::move(stored.client_id));
    counters_.sessions.add();
    session.number = stored.number;
    kept_[shard_].put(session.ref(), session.number, false);
    session.settings = &settings;
    session.set_user(settings.authorizer, std::move(stored.user_name));
    session.expiry_interval = stored.expiry_interval;
    session.expires_at = stored.expires_at;
    session.will_at = stored.will_at;
    if (stored.will) session.will = std::make_unique<mqtt::Will>(std::move(*stored.will));
    session.was_connected = stored.is_connected;
    return session;
}

void ShardCore::restore_subscription(Session& session, std::string_view filter,
                                     StoredSubscription const& stored) {
    Subscriber subscriber;
    subscriber.slot = session.ref().slot;
    subscriber.generation = session.ref().generation;
    subscriber.shard = session.ref().shard;
    subscriber.is_kept = true;
    subscriber.identifier = stored.identifier & 0x0FFF'FFFF;
    subscriber.qos = static_cast<std::uint32_t>(stored.qos) & 3;
    subscriber.no_local = stored.no_local;
    subscriber.retain_as_published = stored.retain_as_published;
    auto added = index_.subscribe(filter, subscriber);
    session.add_subscription(added.node);
    if (SubscriptionIndex::is_shared(added.node))
        index_.set_connected(added.node, session.ref(), false);
}

void ShardCore::restore_inbound(Session& session, mqtt::PacketId id) {
    session.inbound_qos2.insert(id);
}

void ShardCore::restore_queued(Session& session, StoredDelivery stored) {
    if (!session.disk) session.disk = std::make_unique<QueueOnDisk>();
    session.enqueue({.ids = std::move(stored.ids),
                     .share = stored.share,
                     .number = stored.as.number,
                     .message_back = stored.as.message_back,
                     .size = stored.message_size,
                     .qos = stored.qos,
                     .retain = stored.retain,
                     .wants_receipt = stored.wants_receipt});
    if (!stored.wants_receipt || stored.deadline == kNever) return;
    watch_receipt(session, stored.deadline);
    session.receipts->stored.push_back({stored.deadline, stored.as.number});
}

void ShardCore::restore_sent(Session& session, StoredDelivery stored,
                             StoredProgress const& progress) {
    if (!session.disk) session.disk = std::make_unique<QueueOnDisk>();
    // Its deadline is stored as long as it is not known to be written.
    bool may_expire = stored.deadline != kNever;
    session.window.restore({.delivery = {.ids = std::move(stored.ids),
                                         .share = stored.share,
                                         .number = stored.as.number,
                                         .message_back = stored.as.message_back,
                                         .size = stored.message_size,
                                         .qos = stored.qos,
                                         .retain = stored.retain,
                                         .wants_receipt = stored.wants_receipt},
                            .send_number = progress.send_number,
                            .state = progress.state,
                            .unwritten = may_expire && stored.qos == mqtt::Qos::at_least_once,
                            .doubtful = may_expire && stored.qos == mqtt::Qos::exactly_once,
                            .released = progress.released});
}

void ShardCore::finish_restore(Session& session) {
    session.inbound_qos2.end_connection();
    // Ids that were given shortly before the end are not all known, and may still be answered.
    session.window.skip_ids(static_cast<std::uint16_t>(16'384 + random_() % 16'384));
    auto now = now_.wall.time_since_epoch().count();
    if (std::exchange(session.was_connected, false)) {  // its connection ended with the process
        bool never = session.expiry_interval == mqtt::kSessionNeverExpires;
        session.expires_at = never ? kNever : now + Deadline{session.expiry_interval} * 1000;
        if (session.will) {
            Deadline delay = session.will->will_delay_interval.value_or(0);
            session.will_at = std::min(now + delay * 1000, session.expires_at);
        }
        store_session(session);
    }
    note_queue(session);
    schedule(session);
}

}  // namespace spoke::broker
