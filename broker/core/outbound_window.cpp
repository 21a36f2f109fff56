#include "broker/core/outbound_window.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::broker {

namespace {

/// Ids are given in rising order, 1 again behind 65535.
mqtt::PacketId id_given(std::uint64_t count) noexcept {
    return mqtt::PacketId{static_cast<std::uint16_t>((count - 1) % 65'535 + 1)};
}

/// Steps from `from` to `to` on the circle of ids 1..65535.
std::uint32_t distance(mqtt::PacketId from, mqtt::PacketId to) noexcept {
    return (to.value + 65'535U - from.value) % 65'535U;
}

}  // namespace

mqtt::PacketId OutboundWindow::next_id() noexcept {
    MQ_ASSERT(open_ < 65'535);
    if (ring_.empty()) front_given_ = given_;
    for (;;) {
        mqtt::PacketId id = id_given(++given_);
        // While fewer than 65535 ids were given since the oldest open one, none can come again.
        if (given_ - front_given_ < 65'535 || find(id) == nullptr) return id;
    }
}

Outbound& OutboundWindow::open(mqtt::PacketId id, Delivery delivery) {
    return push(id, std::move(delivery), false);
}

Outbound& OutboundWindow::open_held(mqtt::PacketId id, Delivery delivery) {
    return push(id, std::move(delivery), true);
}

Outbound& OutboundWindow::push(mqtt::PacketId id, Delivery delivery, bool held) {
    // One that is never acknowledged holds up the front.
    if (ring_.size() > 2 * open_ + 64) compact();
    if (ring_.empty()) front_given_ = given_;
    ++open_;
    auto state = delivery.qos == mqtt::Qos::at_least_once ? OutboundState::awaiting_puback
                                                          : OutboundState::awaiting_pubrec;
    return ring_.push_back({.delivery = std::move(delivery),
                            .send_number = given_,
                            .id = id,
                            .state = state,
                            .sent = !held,
                            .unwritten = held,
                            .held = held});
}

void OutboundWindow::release(mqtt::PacketId id, std::uint64_t send_number) noexcept {
    Outbound* outbound = find(id);
    if (outbound == nullptr || !outbound->held || outbound->send_number != send_number) return;
    outbound->held = false;
    ++unsent_;
    resume_from_ = 0;
}

void OutboundWindow::restore(Outbound outbound) {
    MQ_ASSERT(outbound.send_number > given_);
    given_ = outbound.send_number;
    outbound.id = id_given(given_);
    outbound.sent = outbound.held = false;
    outbound.restored = true;
    releases_ = std::max(releases_, outbound.released);
    if (ring_.empty()) front_given_ = given_;
    ++open_;
    if (outbound.state != OutboundState::awaiting_pubcomp) ++unsent_;
    ring_.push_back(std::move(outbound));
}

void OutboundWindow::skip_ids(std::uint16_t count) noexcept {
    given_ += count;
}

Outbound* OutboundWindow::find(mqtt::PacketId id) noexcept {
    if (ring_.empty()) return nullptr;
    // Ids rise from the front with few gaps: the id is at its distance or shortly in front of it.
    std::uint32_t guess = std::min(distance(ring_.front().id, id), ring_.size() - 1);
    for (std::uint32_t i = guess + 1; i-- > 0;) {
        if (ring_[i].id == id && ring_[i].state != OutboundState::settled) return &ring_[i];
        if (guess - i > 8) break;
    }
    for (std::uint32_t i = 0; i < ring_.size(); ++i) {
        if (ring_[i].id == id && ring_[i].state != OutboundState::settled) return &ring_[i];
    }
    return nullptr;
}

OutboundWindow::Answer OutboundWindow::settle(Outbound& outbound, Settled* settled) noexcept {
    bool unsent = !outbound.sent && !outbound.held;
    if (unsent && outbound.state != OutboundState::awaiting_pubcomp) --unsent_;
    if (settled != nullptr) {
        settled->as = outbound.delivery.as();
        settled->wants_receipt = outbound.delivery.wants_receipt;
        if (settled->wants_receipt) settled->message = std::move(outbound.delivery.message);
    }
    outbound.delivery = Delivery{};
    outbound.state = OutboundState::settled;
    --open_;
    drop_settled_front();
    return Answer::settled;
}

void OutboundWindow::drop_settled_front() noexcept {
    while (!ring_.empty() && ring_.front().state == OutboundState::settled) {
        mqtt::PacketId gone = ring_.front().id;
        ring_.pop_front();
        if (!ring_.empty()) front_given_ += distance(gone, ring_.front().id);
        if (resume_from_ > 0) --resume_from_;
    }
}

OutboundWindow::Answer OutboundWindow::on_puback(mqtt::PacketId id, Settled* settled) noexcept {
    Outbound* outbound = find(id);
    if (outbound == nullptr || outbound->held) return Answer::unknown;
    if (outbound->state != OutboundState::awaiting_puback) return Answer::wrong_exchange;
    return settle(*outbound, settled);
}

OutboundWindow::Answer OutboundWindow::on_pubrec(mqtt::PacketId id, bool is_error,
                                                 Settled* settled) noexcept {
    Outbound* outbound = find(id);
    if (outbound == nullptr || outbound->held) return Answer::unknown;
    if (outbound->state == OutboundState::awaiting_puback) return Answer::wrong_exchange;
    if (outbound->state == OutboundState::awaiting_pubcomp) return Answer::released;
    if (is_error) return settle(*outbound, settled);
    if (!outbound->sent) --unsent_;
    // It is never sent again [MQTT-4.3.3-6], but may be told of.
    if (!outbound->delivery.wants_receipt) outbound->delivery.message = nullptr;
    outbound->state = OutboundState::awaiting_pubcomp;
    outbound->released = ++releases_;
    return Answer::released;
}

OutboundWindow::Answer OutboundWindow::on_pubcomp(mqtt::PacketId id, Settled* settled) noexcept {
    Outbound* outbound = find(id);
    if (outbound == nullptr) return Answer::unknown;
    if (outbound->state == OutboundState::awaiting_puback) return Answer::wrong_exchange;
    if (outbound->state == OutboundState::awaiting_pubrec) return Answer::unknown;
    return settle(*outbound, settled);
}

void OutboundWindow::compact() {
    Ring<Outbound> kept;
    for (std::uint32_t i = 0; i < ring_.size(); ++i) {
        if (ring_[i].state != OutboundState::settled) kept.push_back(std::move(ring_[i]));
    }
    ring_ = std::move(kept);
    resume_from_ = 0;
}

void OutboundWindow::forget(mqtt::PacketId id) noexcept {
    if (Outbound* outbound = find(id)) settle(*outbound);
}

void OutboundWindow::mark_unwritten(mqtt::PacketId id) noexcept {
    if (Outbound* outbound = find(id)) outbound->unwritten = true;
}

void OutboundWindow::begin_resume() {
    Ring<Outbound> kept;
    mqtt::PacketId front = ring_.empty() ? mqtt::PacketId{} : ring_.front().id;
    open_ = unsent_ = resume_from_ = 0;
    for (std::uint32_t i = 0; i < ring_.size(); ++i) {
        Outbound& outbound = ring_[i];
        bool release = outbound.state == OutboundState::awaiting_pubcomp;
        bool gone = !release && !outbound.delivery.message && !outbound.delivery.is_stored();
        if (outbound.state == OutboundState::settled || gone) continue;
        outbound.sent = false;
        ++open_;
        if (!release && !outbound.held) ++unsent_;
        kept.push_back(std::move(outbound));
    }
    if (!kept.empty()) front_given_ += distance(front, kept.front().id);
    ring_ = std::move(kept);
}

std::vector<mqtt::PacketId> OutboundWindow::releases() const {
    std::vector<Outbound const*> waiting;
    each_open([&](Outbound const& outbound) {
        if (outbound.state == OutboundState::awaiting_pubcomp) waiting.push_back(&outbound);
    });
    std::ranges::sort(waiting, {}, &Outbound::released);
    std::vector<mqtt::PacketId> ids;
    for (Outbound const* outbound : waiting) ids.push_back(outbound->id);
    return ids;
}

Outbound* OutboundWindow::next_unsent() noexcept {
    if (unsent_ == 0) return nullptr;
    for (; resume_from_ < ring_.size(); ++resume_from_) {
        Outbound& outbound = ring_[resume_from_];
        bool publish = outbound.state == OutboundState::awaiting_puback ||
                       outbound.state == OutboundState::awaiting_pubrec;
        if (publish && !outbound.sent && !outbound.held) return &outbound;
    }
    return nullptr;
}

void OutboundWindow::mark_sent(Outbound& outbound) noexcept {
    MQ_ASSERT(!outbound.sent && unsent_ > 0);
    outbound.sent = true;
    outbound.unwritten = outbound.doubtful = false;
    --unsent_;
}

}  // namespace spoke::broker
