#include "broker/storage/rocksdb_shard.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "broker/storage/committer.hpp"
#include "broker/storage/copy_delivery.hpp"
#include "broker/storage/fault_point.hpp"
#include "broker/storage/reader.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

RocksDbShard::RocksDbShard(Parts parts, std::uint8_t shard)
    : parts_(parts), shard_(shard), batch_(std::make_unique<ChangeBatch>()) {}

RocksDbShard::~RocksDbShard() {
    while (taken_spare_) delete std::exchange(taken_spare_, taken_spare_->next);
}

StoreHealth RocksDbShard::health() const noexcept {
    return parts_.committer.health();
}

Change& RocksDbShard::add(ChangeKind kind, SessionNumber session, std::uint32_t awaited) {
    ++batch_->effects;
    batch_->awaited += awaited;
    auto& change = batch_->changes.emplace_back();
    change.kind = kind;
    change.session = session;
    return change;
}

Change& RocksDbShard::add_urgent(ChangeKind kind, SessionNumber session) {
    has_urgent_ = true;
    return add(kind, session, 1);
}

SessionNumber RocksDbShard::new_session_number() {
    return SessionNumber{parts_.numbers.next_session.fetch_add(1, std::memory_order_relaxed)};
}

StoreTicket RocksDbShard::put_session(StoredSession session) {
    add_urgent(ChangeKind::put_session, session.number);
    batch_->sessions.push_back(std::move(session));
    return last_ticket();
}

StoreTicket RocksDbShard::remove_session(SessionNumber session) {
    add_urgent(ChangeKind::remove_session, session);
    return last_ticket();
}

StoreTicket RocksDbShard::put_subscription(SessionNumber session, std::string_view filter,
                                           StoredSubscription const& subscription) {
    add_urgent(ChangeKind::put_subscription, session).count =
        static_cast<std::uint32_t>(filter.size());
    batch_->text.append(filter);
    batch_->subscriptions.push_back(subscription);
    return last_ticket();
}

StoreTicket RocksDbShard::remove_subscription(SessionNumber session, std::string_view filter) {
    add_urgent(ChangeKind::remove_subscription, session).count =
        static_cast<std::uint32_t>(filter.size());
    batch_->text.append(filter);
    return last_ticket();
}

StoreTicket RocksDbShard::put_inbound(SessionNumber session, mqtt::PacketId id) {
    add_urgent(ChangeKind::put_inbound, session).packet_id = id;
    return last_ticket();
}

StoreTicket RocksDbShard::remove_inbound(SessionNumber session, mqtt::PacketId id) {
    add_urgent(ChangeKind::remove_inbound, session).packet_id = id;
    return last_ticket();
}

StoredAs RocksDbShard::reserve(std::uint32_t count) {
    MQ_ASSERT(count > 0);
    auto& last = parts_.numbers.last_delivery;
    if (count == 1) return {DeliveryNumber{last.fetch_add(1, std::memory_order_relaxed) + 1}, 0};
    // The first number is that of the message.
    auto message = last.fetch_add(std::uint64_t{count} + 1, std::memory_order_relaxed) + 1;
    return {DeliveryNumber{message + 1}, 1};
}

StoreTicket RocksDbShard::put_message(MessagePtr message,
                                      std::span<StoredDelivery const> deliveries) {
    MQ_ASSERT(message && !deliveries.empty());
    auto count = static_cast<std::uint32_t>(deliveries.size());
    add(ChangeKind::put_message, deliveries.front().session, count).count = count;
    if (first_put_.value == 0) first_put_ = deliveries.front().as.number;
    unsent_ += count;
    batch_->messages.push_back(std::move(message));
    for (auto const& delivery : deliveries) batch_->deliveries.push_back(copy_of(delivery));
    return last_ticket();
}

StoreTicket RocksDbShard::put_progress(StoredDelivery const& delivery,
                                       StoredProgress const& progress) {
    if (delivery.is_held()) {
        add_urgent(ChangeKind::put_progress, delivery.session);
    } else {
        add(ChangeKind::put_progress, delivery.session, 0);
        // Of a delivery that another shard has put meanwhile, perhaps: then this batch lingers
        // though it need not.
        auto is_first = first_put_.value != 0 && delivery.as.number >= first_put_;
        if (is_first && unsent_ > 0) --unsent_;
    }
    batch_->deliveries.push_back(copy_of(delivery));
    batch_->progress.push_back(progress);
    return last_ticket();
}

StoreTicket RocksDbShard::remove_delivery(SessionNumber session, StoredAs as, Removal why) {
    // Nobody waits for the end of a delivery. What stands for one that has moved was submitted
    // before or with it, so it is in the same write or an earlier one.
    auto& change = add(ChangeKind::remove_delivery, session, why == Removal::moved ? 1 : 0);
    change.number = as.number;
    change.count = as.message_back;
    change.why = why;
    return last_ticket();
}

StoreTicket RocksDbShard::put_retained(std::string_view topic) {
    add_urgent(ChangeKind::put_retained, SessionNumber{}).count =
        static_cast<std::uint32_t>(topic.size());
    batch_->text.append(topic);
    return last_ticket();
}

void RocksDbShard::submit() {
    if (batch_->empty()) return;
    SPOKE_FAULT_POINT("submit");
    ++submitted_.value;
    batch_->ticket = submitted_;
    batch_->shard = shard_;
    batch_->submitted_at = std::chrono::steady_clock::now();
    auto urgency = hand_over();
    if (!batch_) batch_ = next_batch();
    has_urgent_ = false;
    unsent_ = 0;
    first_put_ = {};
    if (urgency != Urgency::nothing) parts_.committer.announce(urgency);
}

Urgency RocksDbShard::hand_over() {
    constexpr std::size_t kPendingBytesMax = 4U << 20;
    std::lock_guard lock{pending_mutex_};
    // Under the lock: who finds it free has got all numbers given before.
    batch_->sequence = ++parts_.numbers.last_sequence;
    handed_over_ = batch_->ticket;
    auto& batch = *batch_;
    pending_.add(std::move(batch_));
    if (batch.awaited > 0) {
        auto is_urgent = has_urgent_ || unsent_ > 0 || pending_.bytes() > kPendingBytesMax;
        batch.urgency = is_urgent ? Urgency::urgent : Urgency::lingering;
    } else if (batch.effects > 0) {
        batch.urgency = Urgency::idle;
    }
    auto urgency = batch.urgency;
    raise_durable(durable());
    while (auto passed = pending_.take_passed()) {
        passed->clear();
        if (batch_) {
            give_back(std::move(passed));
        } else {
            batch_ = std::move(passed);
        }
    }
    return urgency;
}

void RocksDbShard::raise_durable(StoreTicket ticket) {
    durable_.store(pending_.pass(ticket).value, std::memory_order_release);
}

void RocksDbShard::complete(StoreTicket ticket) {
    std::lock_guard lock{pending_mutex_};
    raise_durable(ticket);
}

void RocksDbShard::take_pending(std::uint64_t sequence,
                                std::vector<std::unique_ptr<ChangeBatch>>& out) {
    std::lock_guard lock{pending_mutex_};
    pending_.take(sequence, out);
}

PendingChanges::Due RocksDbShard::due(PendingChanges::Delays const& delays, SteadyTime now) {
    std::lock_guard lock{pending_mutex_};
    return pending_.due(delays, now);
}

bool RocksDbShard::has_pending() {
    std::lock_guard lock{pending_mutex_};
    return !pending_.empty();
}

StoreTicket RocksDbShard::handed_over() {
    std::lock_guard lock{pending_mutex_};
    return handed_over_;
}

std::uint64_t RocksDbShard::cancelled() {
    std::lock_guard lock{pending_mutex_};
    return pending_.cancelled();
}

StoreTicket RocksDbShard::last_ticket() const noexcept {
    return StoreTicket{submitted_.value + (batch_->empty() ? 0 : 1)};
}

std::unique_ptr<ChangeBatch> RocksDbShard::next_batch() {
    if (!taken_spare_) taken_spare_ = spare_.take();
    if (!taken_spare_) return std::make_unique<ChangeBatch>();
    --spares_;
    return std::unique_ptr<ChangeBatch>{std::exchange(taken_spare_, taken_spare_->next)};
}

void RocksDbShard::give_back(std::unique_ptr<ChangeBatch> batch) noexcept {
    constexpr int kSparesMax = 4;
    if (spares_ >= kSparesMax) return;  // the disk was away for a while
    ++spares_;
    spare_.push(batch.release());
}

void RocksDbShard::read(SessionRef asker, SessionNumber session,
                        std::span<StoredAs const> deliveries) {
    if (deliveries.empty()) return;
    parts_.reader.ask({shard_, asker, session, {deliveries.begin(), deliveries.end()}});
}

void RocksDbShard::take_loaded(std::vector<LoadedMessage>& out) {
    std::lock_guard lock{loaded_mutex_};
    std::move(loaded_.begin(), loaded_.end(), std::back_inserter(out));
    loaded_.clear();
}

void RocksDbShard::add_loaded(std::vector<LoadedMessage> messages) {
    std::lock_guard lock{loaded_mutex_};
    std::move(messages.begin(), messages.end(), std::back_inserter(loaded_));
}

}  // namespace spoke::broker
