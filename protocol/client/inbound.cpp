#include "protocol/client/inbound.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"
#include "protocol/client/wire.hpp"

namespace spoke::mqtt {

void Inbound::on_disconnected() noexcept {
    acks_ = std::vector<Ack>{};
    acks_begin_ = 0;
    open_ = 0;
    for (auto& [id, received] : received_) {
        received.counted = false;
        received.queued = false;
    }
}

// The id in the low bits leads from the token of a QoS 2 message to its entry, also on a later
// connection.
AckToken Inbound::next_token(PacketId id) noexcept {
    return AckToken{++arrivals_ << 16 | id.value};
}

Inbound::Arrival Inbound::on_publish(PacketId id, Qos qos) {
    if (qos == Qos::exactly_once) return on_qos2(id);
    if (open_ >= receive_maximum_) return {Verdict::too_many, {}};
    ++open_;
    auto token = next_token(id);
    acks_.push_back({.token = token, .id = id, .qos = qos});
    return {Verdict::deliver, token};
}

Inbound::Arrival Inbound::on_qos2(PacketId id) {
    auto found = received_.find(id.value);
    bool is_new = found == received_.end();
    if (is_new || !found->second.counted) {
        if (open_ >= receive_maximum_) return {Verdict::too_many, {}};
        ++open_;
    }
    if (is_new) found = received_.emplace(id.value, Received{.token = next_token(id)}).first;
    auto& received = found->second;
    received.counted = true;
    if (!received.queued) acks_.push_back({.id = id, .qos = Qos::exactly_once});
    received.queued = true;
    return {is_new ? Verdict::deliver : Verdict::repetition, received.token};
}

bool Inbound::acknowledge(AckToken token, ReasonCode reason) noexcept {
    auto found = received_.find(static_cast<std::uint16_t>(token.value));
    if (found != received_.end() && found->second.token == token) {
        if (found->second.acknowledged) return false;
        found->second.acknowledged = true;
        found->second.reason = reason;
        return true;
    }
    auto first = acks_.begin() + static_cast<std::ptrdiff_t>(acks_begin_);
    auto ack = std::find_if(first, acks_.end(), [&](Ack const& a) { return a.token == token; });
    if (ack == acks_.end() || ack->qos != Qos::at_least_once || ack->ready) return false;
    ack->ready = true;
    ack->reason = reason;
    return true;
}

void Inbound::send_acks(Wire& wire) {
    while (acks_begin_ < acks_.size()) {
        auto const& ack = acks_[acks_begin_];
        bool sent = ack.qos == Qos::at_least_once ? send_puback(ack, wire) : send_pubrec(ack, wire);
        if (!sent) break;
        ++acks_begin_;
    }
    drop_sent();
}

bool Inbound::send_puback(Ack const& ack, Wire& wire) {
    if (!ack.ready) return false;
    wire.send(PubAck{.id = ack.id, .reason = ack.reason});
    --open_;
    return true;
}

bool Inbound::send_pubrec(Ack const& ack, Wire& wire) {
    auto found = received_.find(ack.id.value);
    MQ_ASSERT(found != received_.end());
    auto& received = found->second;
    if (!received.acknowledged) return false;
    wire.send(PubRec{.id = ack.id, .reason = received.reason});
    received.queued = false;
    // An error ends the exchange: the id is free at once [MQTT-4.3.3-9]. 3.1.1 cannot say it, so
    // PUBREL follows.
    if (wire.version == Version::v5 && is_error(received.reason)) {
        received_.erase(found);
        --open_;
    }
    return true;
}

void Inbound::drop_sent() noexcept {
    if (acks_begin_ == acks_.size()) {
        acks_.clear();
        if (acks_.capacity() > 8) acks_ = std::vector<Ack>{};
        acks_begin_ = 0;
    } else if (acks_begin_ > 64 && acks_begin_ * 2 > acks_.size()) {
        acks_.erase(acks_.begin(), acks_.begin() + static_cast<std::ptrdiff_t>(acks_begin_));
        acks_begin_ = 0;
    }
}

bool Inbound::on_pubrel(PacketId id, Wire& wire) {
    auto found = received_.find(id.value);
    if (found == received_.end()) {
        wire.send(PubComp{.id = id, .reason = ReasonCode::packet_identifier_not_found});
        return true;
    }
    auto const& received = found->second;
    if (!received.acknowledged || received.queued) return false;
    if (received.counted) --open_;
    received_.erase(found);
    wire.send(PubComp{.id = id});
    return true;
}

}  // namespace spoke::mqtt
