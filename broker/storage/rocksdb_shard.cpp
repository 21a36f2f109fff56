#include "broker/storage/rocksdb_shard.hpp"

#include <iterator>
#include <utility>

#include "broker/storage/committer.hpp"
#include "broker/storage/fault_point.hpp"
#include "broker/storage/reader.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

StoredDelivery copy(StoredDelivery const& from) {
    return {.session = from.session,
            .as = from.as,
            .ids = from.ids.clone(),
            .share = from.share,
            .deadline = from.deadline,
            .message_size = from.message_size,
            .qos = from.qos,
            .retain = from.retain};
}

}  // namespace

RocksDbShard::RocksDbShard(Parts parts, std::uint8_t shard)
    : parts_(parts), shard_(shard), batch_(std::make_unique<ChangeBatch>()) {}

RocksDbShard::~RocksDbShard() {
    while (taken_spare_) delete std::exchange(taken_spare_, taken_spare_->next);
}

StoreHealth RocksDbShard::health() const noexcept {
    return parts_.committer.health();
}

Change& RocksDbShard::add(ChangeKind kind, SessionNumber session, bool is_awaited) {
    batch_->is_awaited |= is_awaited;
    auto& change = batch_->changes.emplace_back();
    change.kind = kind;
    change.session = session;
    return change;
}

SessionNumber RocksDbShard::new_session_number() {
    return SessionNumber{parts_.numbers.next_session.fetch_add(1, std::memory_order_relaxed)};
}

StoreTicket RocksDbShard::put_session(StoredSession session) {
    add(ChangeKind::put_session, session.number, true);
    batch_->sessions.push_back(std::move(session));
    return last_ticket();
}

StoreTicket RocksDbShard::remove_session(SessionNumber session) {
    add(ChangeKind::remove_session, session, true);
    return last_ticket();
}

StoreTicket RocksDbShard::put_subscription(SessionNumber session, std::string_view filter,
                                           StoredSubscription const& subscription) {
    add(ChangeKind::put_subscription, session, true).count =
        static_cast<std::uint32_t>(filter.size());
    batch_->text.append(filter);
    batch_->subscriptions.push_back(subscription);
    return last_ticket();
}

StoreTicket RocksDbShard::remove_subscription(SessionNumber session, std::string_view filter) {
    add(ChangeKind::remove_subscription, session, true).count =
        static_cast<std::uint32_t>(filter.size());
    batch_->text.append(filter);
    return last_ticket();
}

StoreTicket RocksDbShard::put_inbound(SessionNumber session, mqtt::PacketId id) {
    add(ChangeKind::put_inbound, session, true).packet_id = id;
    return last_ticket();
}

StoreTicket RocksDbShard::remove_inbound(SessionNumber session, mqtt::PacketId id) {
    add(ChangeKind::remove_inbound, session, true).packet_id = id;
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
    add(ChangeKind::put_message, deliveries.front().session, true).count =
        static_cast<std::uint32_t>(deliveries.size());
    batch_->messages.push_back(std::move(message));
    for (auto const& delivery : deliveries) batch_->deliveries.push_back(copy(delivery));
    return last_ticket();
}

StoreTicket RocksDbShard::put_progress(StoredDelivery const& delivery,
                                       StoredProgress const& progress) {
    add(ChangeKind::put_progress, delivery.session, delivery.qos == mqtt::Qos::exactly_once);
    batch_->deliveries.push_back(copy(delivery));
    batch_->progress.push_back(progress);
    return last_ticket();
}

StoreTicket RocksDbShard::remove_delivery(SessionNumber session, StoredAs as, Removal) {
    // What stands for one that has moved was submitted before, so it is in this write or an
    // earlier one.
    auto& change = add(ChangeKind::remove_delivery, session, false);
    change.number = as.number;
    change.count = as.message_back;
    return last_ticket();
}

StoreTicket RocksDbShard::put_retained(std::string_view topic) {
    add(ChangeKind::put_retained, SessionNumber{}, true).count =
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
    parts_.committer.submit(std::move(batch_));
    batch_ = next_batch();
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
