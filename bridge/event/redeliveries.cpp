#include "bridge/event/redeliveries.hpp"

#include <cstddef>
#include <utility>

namespace spoke::bridge {
namespace {

constexpr std::size_t kPacketIds = 65'536;

}  // namespace

void Redeliveries::restore(std::vector<EventArrival> const& arrivals) {
    for (auto const& arrival : arrivals) {
        add(arrival);
        on_stored(arrival);
    }
}

void Redeliveries::on_session(bool resumed) {
    is_resumed_ = resumed;
    redelivered_upto_ = 0;
    if (!resumed) known_.clear();
}

bool Redeliveries::knows(EventArrival const& arrival, Hold hold) {
    if (!is_resumed_ || known_.empty()) return false;
    auto& known = known_[arrival.packet_id];
    auto is_it = known.order > redelivered_upto_ && known.fingerprint == arrival.fingerprint;
    if (!is_it) return false;
    redelivered_upto_ = known.order;
    if (!known.is_stored) known.waiting.push_back(std::move(hold));
    return true;
}

void Redeliveries::add(EventArrival const& arrival) {
    if (known_.empty()) known_.resize(kPacketIds);
    known_[arrival.packet_id] = {arrival.fingerprint, ++last_order_, false, {}};
}

void Redeliveries::on_stored(EventArrival const& arrival) {
    if (known_.empty()) return;
    auto& known = known_[arrival.packet_id];
    if (known.fingerprint != arrival.fingerprint) return;
    known.is_stored = true;
    known.waiting.clear();
}

Fingerprint& Fingerprint::add(std::string_view part) noexcept {
    constexpr std::uint64_t kPrime = 0x100'0000'01b3;
    for (auto c : part) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * kPrime;
    hash_ = (hash_ ^ part.size()) * kPrime;  // so that parts cannot be moved
    return *this;
}

}  // namespace spoke::bridge
