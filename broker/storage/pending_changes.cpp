#include "broker/storage/pending_changes.hpp"

#include <algorithm>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

void PendingChanges::add(std::unique_ptr<ChangeBatch> added) {
    auto& batch = *added;
    batches_.push_back(std::move(added));
    std::uint32_t delivery = 0;
    std::uint32_t message = 0;
    for (std::uint32_t i = 0; i < batch.changes.size(); ++i) {
        auto& change = batch.changes[i];
        if (change.kind == ChangeKind::put_message) {
            change.living = change.count;
            bytes_ += batch.messages[message]->footprint();
            for (std::uint32_t n = 0; n < change.count; ++n) {
                add_put(batch, i, delivery++, message);
            }
            ++message;
        } else if (change.kind == ChangeKind::put_progress) {
            auto const& sent = batch.deliveries[delivery++];
            auto* put = find(sent.as.number);
            // That of one that is held is awaited by itself.
            if (put && put->batch == &batch && !sent.is_held()) {
                if (put->progress != kNone) {  // the last one counts
                    batch.changes[put->progress].is_cancelled = true;
                    --batch.effects;
                }
                put->progress = i;
            }
        } else if (change.kind == ChangeKind::remove_delivery && change.why == Removal::done &&
                   cancel(change.number)) {
            change.is_cancelled = true;
            --batch.effects;
        }
    }
}

void PendingChanges::add_put(ChangeBatch& batch, std::uint32_t change, std::uint32_t delivery,
                             std::uint32_t message) {
    auto number = batch.deliveries[delivery].as.number;
    if (!puts_.empty() && number <= puts_.back().number) {
        // Put anew, or out of order: it cannot be found, and is written.
        if (auto* known = find(number)) known->is_fixed = true;
        return;
    }
    puts_.push_back({number, &batch, change, delivery, message, kNone, false});
}

PendingChanges::Put* PendingChanges::find(DeliveryNumber number) noexcept {
    if (puts_.empty() || number < puts_.front().number || number > puts_.back().number) {
        return nullptr;
    }
    // Numbers rise by at least one, and with one shard by no more.
    auto distance = number.value - puts_.front().number.value;
    auto end = static_cast<std::uint32_t>(std::min<std::uint64_t>(distance, puts_.size() - 1));
    std::uint32_t begin = 0;
    if (puts_[end].number == number) begin = end;
    while (begin < end) {
        auto middle = begin + (end - begin) / 2;
        if (puts_[middle].number < number) {
            begin = middle + 1;
        } else {
            end = middle;
        }
    }
    auto& put = puts_[begin];
    return put.number == number && !put.is_fixed ? &put : nullptr;
}

bool PendingChanges::cancel(DeliveryNumber number) noexcept {
    auto* put = find(number);
    if (!put) return false;
    auto& batch = *put->batch;
    auto& change = batch.changes[put->change];
    put->is_fixed = true;
    batch.deliveries[put->delivery].as.number = {};
    --batch.awaited;
    ++cancelled_;
    if (put->progress != kNone) {
        batch.changes[put->progress].is_cancelled = true;
        --batch.effects;
    }
    if (--change.living == 0) {
        change.is_cancelled = true;
        --batch.effects;
        bytes_ -= batch.messages[put->message]->footprint();
        batch.messages[put->message] = nullptr;
    }
    return true;
}

StoreTicket PendingChanges::pass(StoreTicket written) {
    durable_ = std::max(durable_, written);
    for (; passed_ < batches_.size(); ++passed_) {
        auto const& batch = *batches_[passed_];
        if (batch.ticket <= durable_) continue;
        if (batch.awaited != 0 || batch.ticket.value != durable_.value + 1) break;
        durable_ = batch.ticket;
    }
    return durable_;
}

std::unique_ptr<ChangeBatch> PendingChanges::take_passed() {
    if (passed_ == 0 || batches_.front()->effects != 0) return nullptr;
    pop_front_puts();
    auto batch = std::move(batches_.front());
    batches_.pop_front();
    --passed_;
    return batch;
}

void PendingChanges::take(std::uint64_t sequence, std::vector<std::unique_ptr<ChangeBatch>>& out) {
    while (!batches_.empty() && batches_.front()->sequence <= sequence) {
        pop_front_puts();
        for (auto const& message : batches_.front()->messages) {
            if (message) bytes_ -= message->footprint();
        }
        out.push_back(std::move(batches_.front()));
        batches_.pop_front();
        if (passed_ > 0) --passed_;
    }
}

void PendingChanges::pop_front_puts() noexcept {
    auto const* batch = batches_.front().get();
    while (!puts_.empty() && puts_.front().batch == batch) puts_.pop_front();
}

PendingChanges::Due PendingChanges::due(Delays const& delays, SteadyTime now) const {
    Due due;
    for (auto const& batch : batches_) {
        if (batch->effects == 0) continue;
        auto is_idle = batch->awaited == 0;
        auto urgency = is_idle ? Urgency::idle : batch->urgency;
        auto delay = is_idle ? delays.idle : delays.linger;
        if (urgency == Urgency::urgent) delay = {};
        due.urgency = std::max(due.urgency, urgency);
        due.at = std::min(due.at, batch->submitted_at + delay);
        if (batch->submitted_at + delay / 2 <= now) due.sequence = batch->sequence;
    }
    return due;
}

}  // namespace spoke::broker
