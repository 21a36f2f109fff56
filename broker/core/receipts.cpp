// What publishers who asked are told of what becomes of their messages.
//
// A step is told from where it happens; the message that tells of it is published at the end of
// the turn, since routing is not to be begun from within routing.
#include <algorithm>
#include <utility>

#include "broker/core/receipt.hpp"
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

namespace {

/// How soon what could not be judged is looked at again.
constexpr Deadline kAgainMs = 1000;

}  // namespace

bool ShardCore::publish_news() {
    bool is_any = !news_.empty();
    while (!news_.empty()) {
        std::swap(news_, news_now_);
        for (MessagePtr& message : news_now_) {
            Publication publication(std::move(message));
            route(publication);
        }
        news_now_.clear();
    }
    return is_any;
}

void ShardCore::tell(std::optional<std::string_view> client_id, Message const& message,
                     mqtt::Qos qos, Fate const& fate) {
    counters_.receipts.add();
    news_.push_back(make_receipt({message, client_id, qos, fate, now_us()}));
}

void ShardCore::tell(Session const& session, Message const& message, mqtt::Qos qos,
                     Fate const& fate) {
    tell(std::string_view{session.client_id()}, message, qos, fate);
}

void ShardCore::drop(Session const& session, Delivery const& delivery, Fate const& fate,
                     Removal removal) {
    if (delivery.wants_receipt && delivery.is_on_disk()) {
        return tell_later(session, delivery.as(), delivery.qos, fate);
    }
    if (delivery.wants_receipt && delivery.message) {
        tell(session, *delivery.message, delivery.qos, fate);
    }
    discard(session, delivery.as(), removal);
}

void ShardCore::drop(Session const& session, Publication& publication, mqtt::Qos qos, StoredAs as,
                     Fate const& fate) {
    if (publication.wants_receipt) tell(session, *publication.share(), qos, fate);
    discard(session, as);
}

void ShardCore::drop_at_end(Session const& session, Delivery const& delivery, Fate const& fate) {
    if (delivery.wants_receipt && delivery.is_on_disk()) {
        return tell_later(session, delivery.as(), delivery.qos, fate, true);
    }
    drop(session, delivery, fate);
}

void ShardCore::drop_for_nobody(Publication& publication, Grant const& grant,
                                SessionNumber session) {
    if (publication.wants_receipt) {
        tell(std::nullopt, *publication.share(), grant.qos, {.why = why::kSessionEnded});
    }
    if (grant.as.is_stored()) store_.remove_delivery(session, grant.as, Removal::done);
}

/// The receiver's shard knows its client id.
void ShardCore::tell_rejected(Publication& publication, Target const& target) {
    SessionRef to = target.session;
    if (to.shard != shard_) {
        Receiver receiver;
        receiver.slot = to.slot;
        receiver.generation = to.generation;
        receiver.qos = target.grant.qos;
        receiver.is_rejected = true;
        return batch(publication, to.shard, std::move(receiver));
    }
    if (Session* session = sessions_.find(to)) {
        drop(*session, publication, target.grant.qos, {}, {.why = why::kQueueFull});
    }
}

void ShardCore::tell_later(Session const& session, StoredAs as, mqtt::Qos qos, Fate const& fate,
                           bool session_ended) {
    ToldLater later{session.number, as, session.client_id(), qos, fate, session_ended};
    if (!told_later_.emplace(as.number, std::move(later)).second) return;
    if (session_ended) ++passing_on_[session.number];
    store_.read(session.ref(), session.number, {&as, 1});
}

bool ShardCore::tell_loaded(LoadedMessage const& loaded) {
    auto found = told_later_.find(loaded.number);
    if (found == told_later_.end()) return false;
    ToldLater later = std::move(found->second);
    told_later_.erase(found);
    if (loaded.message) {
        tell(later.client_id, *loaded.message, later.qos, later.fate);
    } else {
        counters_.dropped.damaged.add();
    }
    store_.remove_delivery(later.session, later.as);
    if (later.session_ended) note_passed_on(later.session);
    return true;
}

void ShardCore::finish(Session const& session, OutboundWindow::Settled const& settled,
                       mqtt::Qos qos, mqtt::ReasonCode reason) {
    if (settled.wants_receipt) {
        Fate fate{.step = mqtt::is_error(reason) ? ReceiptStep::refused : ReceiptStep::acked,
                  .reason = reason};
        if (!settled.message && settled.as.is_stored()) {
            return tell_later(session, settled.as, qos, fate);
        }
        if (settled.message) tell(session, *settled.message, qos, fate);
    }
    discard(session, settled.as);
}

Fate ShardCore::expired(Outbound const& outbound) noexcept {
    if (!outbound.may_be_written()) return {.step = ReceiptStep::expired};
    return {.why = why::kExpired, .was_sent = true};
}

// --- expiry, told when it comes ---

void ShardCore::watch_receipt(Session& session, Deadline deadline) {
    if (deadline == kNever) return;
    if (!session.receipts) session.receipts = std::make_unique<ReceiptWatch>(session);
    ReceiptWatch& watch = *session.receipts;
    if (watch.timer.is_armed() && watch.due <= deadline) return;
    watch.due = deadline;
    auto wait = std::max<Deadline>(deadline - now_.wall.time_since_epoch().count(), 0);
    wheel_.arm(watch.timer, now_.steady + std::chrono::milliseconds{wait});
}

void ShardCore::on_receipt_timer(Session& session) {
    Deadline next = kNever;
    if (session.link != nullptr) {
        before_write(*session.link);
        if (session.link->out.has_apart()) next = now_.wall.time_since_epoch().count() + kAgainMs;
    }
    next = std::min(next, expire_in_window(session));
    next = std::min(next, expire_in_queue(session));
    next = std::min(next, expire_on_disk(session));
    watch_receipt(session, next);
    if (session.link != nullptr) pump(session);
}

/// What is not sent yet, or is to be sent again though no byte of it was written.
Deadline ShardCore::expire_in_window(Session& session) {
    Deadline next = kNever;
    expired_ids_.clear();
    session.window.each_open([&](Outbound const& outbound) {
        Delivery const& delivery = outbound.delivery;
        if (!delivery.wants_receipt || !delivery.message || !outbound.unwritten) return;
        if (has_expired(delivery.message->deadline())) {
            expired_ids_.push_back(outbound.id);
        } else {
            next = std::min(next, delivery.message->deadline());
        }
    });
    for (mqtt::PacketId id : expired_ids_) {
        counters_.dropped.expired.add();
        give_up(session, id, expired(*session.window.find(id)));
    }
    return next;
}

Deadline ShardCore::expire_in_queue(Session& session) {
    Deadline next = kNever;
    for (std::uint32_t i = 0; i < session.queue.size(); ++i) {
        Delivery& delivery = session.queue[i];
        if (!delivery.wants_receipt || !delivery.message) continue;
        if (!has_expired(delivery.message->deadline())) {
            next = std::min(next, delivery.message->deadline());
            continue;
        }
        counters_.dropped.expired.add();
        drop(session, delivery, {.step = ReceiptStep::expired});
        counters_.queued_bytes.subtract(delivery.size);
        mark_over(session, delivery);
    }
    while (!session.queue.empty() && session.queue.front().is_over) (void)session.dequeue();
    note_queue(session);
    return next;
}

/// What was queued before the process began, and was not read since.
Deadline ShardCore::expire_on_disk(Session& session) {
    auto& stored = session.receipts->stored;
    bool is_reading =
        session.disk && session.disk->awaited > 0;  // then it is judged once it is there
    auto is_done = [&](ReceiptWatch::Stored const& receipt) {
        if (!has_expired(receipt.deadline)) return false;
        for (std::uint32_t i = 0; i < session.queue.size(); ++i) {
            Delivery& delivery = session.queue[i];
            if (delivery.number != receipt.number) continue;
            if (!delivery.is_on_disk()) break;
            if (is_reading) return false;
            counters_.dropped.expired.add();
            tell_later(session, delivery.as(), delivery.qos, {.step = ReceiptStep::expired});
            mark_over(session, delivery);
            break;
        }
        return true;
    };
    std::erase_if(stored, is_done);
    Deadline next = kNever;
    for (auto const& receipt : stored) next = std::min(next, receipt.deadline);
    auto soon = now_.wall.time_since_epoch().count() + kAgainMs;
    return next == kNever ? kNever : std::max(next, is_reading ? soon : next);
}

void ShardCore::mark_over(Session& session, Delivery& delivery) {
    session.queue_bytes -= delivery.size;
    delivery.size = 0;
    delivery.message = nullptr;
    delivery.is_over = true;
}

}  // namespace spoke::broker
