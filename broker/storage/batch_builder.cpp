#include "broker/storage/batch_builder.hpp"

#include <algorithm>
#include <optional>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

void BatchBuilder::take(ChangeBatch const& changes) {
    if (changes.effects == 0) return;
    Cursor cursor;
    for (auto const& change : changes.changes) take(changes, change, cursor);
}

void BatchBuilder::take(ChangeBatch const& changes, Change const& change, Cursor& cursor) {
    auto next_text = [&] {
        auto text = std::string_view{changes.text}.substr(cursor.text, change.count);
        cursor.text += change.count;
        return text;
    };
    weight_ += sizeof(Change);
    if (change.is_cancelled) return pass_over(change, cursor);
    switch (change.kind) {
        case ChangeKind::put_session: {
            auto key = session_key(change.session);
            encode_session(key, changes.sessions[cursor.session++], value_);
            is_awaited_ = true;
            return put(key);
        }
        case ChangeKind::remove_session:
            is_awaited_ = true;
            return remove(session_key(change.session));
        case ChangeKind::put_subscription: {
            auto key = subscription_key(change.session, next_text());
            encode_subscription(key, changes.subscriptions[cursor.subscription++], value_);
            is_awaited_ = true;
            return put(key);
        }
        case ChangeKind::remove_subscription:
            is_awaited_ = true;
            return remove(subscription_key(change.session, next_text()));
        case ChangeKind::put_inbound: {
            auto key = inbound_key(change.session, change.packet_id);
            encode_inbound(key, value_);
            is_awaited_ = true;
            return put(key);
        }
        case ChangeKind::remove_inbound:
            is_awaited_ = true;
            return remove(inbound_key(change.session, change.packet_id));
        case ChangeKind::put_message: {
            std::span deliveries{changes.deliveries.data() + cursor.delivery, change.count};
            cursor.delivery += change.count;
            return put_message(*changes.messages[cursor.message++], deliveries);
        }
        case ChangeKind::put_progress:
            return put_progress(changes.deliveries[cursor.delivery++],
                                changes.progress[cursor.progress++]);
        case ChangeKind::remove_delivery:
            return remove_delivery(change.session, {change.number, change.count});
        case ChangeKind::put_retained:
            topics_.push_back(next_text());
            return;
    }
}

void BatchBuilder::pass_over(Change const& change, Cursor& cursor) {
    if (change.kind == ChangeKind::put_message) {
        ++cursor.message;
        cursor.delivery += change.count;
    } else if (change.kind == ChangeKind::put_progress) {
        ++cursor.delivery;
        ++cursor.progress;
    }
}

BatchBuilder::PendingDelivery& BatchBuilder::pend(StoredDelivery const& delivery,
                                                  std::uint32_t message) {
    by_number_[delivery.as.number.value] = static_cast<std::uint32_t>(deliveries_.size());
    return deliveries_.emplace_back(PendingDelivery{&delivery, nullptr, message});
}

void BatchBuilder::put_message(Message const& message, std::span<StoredDelivery const> deliveries) {
    weight_ += message.footprint() + deliveries.size() * sizeof(StoredDelivery);
    auto index = static_cast<std::uint32_t>(messages_.size());
    PendingMessage pending{&message, {}, {}, 0};
    for (auto const& delivery : deliveries) {
        if (delivery.as.number.value == 0) continue;  // cancelled
        if (auto const* known = by_number_.find(delivery.as.number.value)) {
            deliveries_[*known].delivery = &delivery;
            deliveries_[*known].progress = nullptr;
        } else if (live_.has(delivery.as.number)) {
            pend(delivery, kStored);
        } else {
            pend(delivery, index);
            pending.session = delivery.session;
            pending.as = delivery.as;
            ++pending.deliveries;
        }
    }
    if (pending.deliveries > 0) messages_.push_back(pending);
}

void BatchBuilder::put_progress(StoredDelivery const& delivery, StoredProgress const& progress) {
    if (auto const* known = by_number_.find(delivery.as.number.value)) {
        deliveries_[*known].delivery = &delivery;
        deliveries_[*known].progress = &progress;
    } else if (live_.has(delivery.as.number)) {
        pend(delivery, kStored).progress = &progress;
    }
}

void BatchBuilder::remove_delivery(SessionNumber session, StoredAs as) {
    auto const* known = by_number_.find(as.number.value);
    if (!known) return remove_stored(session, as);
    auto& pending = deliveries_[*known];
    pending.delivery = nullptr;
    by_number_.erase(as.number.value);
    if (pending.message == kStored) return remove_stored(session, as);
    --messages_[pending.message].deliveries;
    ++cancelled_;
}

void BatchBuilder::remove_stored(SessionNumber session, StoredAs as) {
    auto removed = live_.remove(as);
    if (removed == LiveDeliveries::Removed::nothing) return;
    remove(delivery_key(session, as.number));
    if (removed == LiveDeliveries::Removed::with_message) remove(message_key(session, as));
}

void BatchBuilder::finish() {
    for (auto const& pending : deliveries_) {
        if (pending.delivery) write_delivery(pending);
    }
    for (auto const& pending : messages_) {
        if (pending.deliveries == 0) continue;
        auto key = message_key(pending.session, pending.as);
        encode_message(key, *pending.message, value_);
        put(key);
    }
    write_retained();
}

void BatchBuilder::write_delivery(PendingDelivery const& pending) {
    auto const& delivery = *pending.delivery;
    std::optional<StoredProgress> progress;
    if (pending.progress) progress = *pending.progress;
    auto key = delivery_key(delivery.session, delivery.as.number);
    encode_delivery(key, delivery, progress, value_);
    put(key);
    if (pending.message != kStored) {
        live_.add(delivery.as, delivery.message_size);
        is_awaited_ = true;
    }
    // What is held waits for its progress, so that it is never sent anew, or never said not to have
    // been sent. Anything else may be sent anew.
    if (delivery.is_held()) is_awaited_ = true;
}

void BatchBuilder::write_retained() {
    std::sort(topics_.begin(), topics_.end());
    topics_.erase(std::unique(topics_.begin(), topics_.end()), topics_.end());
    for (auto topic : topics_) {
        auto key = retained_key(topic);
        auto message = find_retained_(topic);
        is_awaited_ = true;
        if (message) {
            encode_retained(key, *message, value_);
            put(key);
        } else {
            remove(key);
        }
    }
}

void BatchBuilder::put_meta(MetaField field, std::uint64_t number) {
    auto key = meta_key(field);
    encode_meta(key, number, value_);
    put(key);
}

void BatchBuilder::put(std::string_view key) {
    auto status = batch_.Put(rocksdb::Slice{key.data(), key.size()}, value_);
    MQ_ASSERT(status.ok());
}

void BatchBuilder::remove(std::string_view key) {
    auto status = batch_.Delete(rocksdb::Slice{key.data(), key.size()});
    MQ_ASSERT(status.ok());
}

void BatchBuilder::clear() {
    constexpr std::size_t kKeptMax = 4U << 20;
    if (batch_.GetDataSize() > kKeptMax) {
        batch_ = rocksdb::WriteBatch{};
        messages_ = {};
        deliveries_ = {};
        value_ = {};
    }
    batch_.Clear();
    messages_.clear();
    deliveries_.clear();
    by_number_.clear();
    topics_.clear();
    weight_ = 0;
    is_awaited_ = false;
}

}  // namespace spoke::broker
