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
    if (resumed) return;
    known_.clear();
    named_.clear();
    names_.clear();
}

bool Redeliveries::knows(EventArrival const& arrival, Hold hold) {
    auto* known = find(arrival);
    if (known == nullptr) return false;
    if (arrival.packet_id != 0) {
        if (!is_resumed_ || known->order <= redelivered_upto_) return false;
        redelivered_upto_ = known->order;
    }
    if (!known->is_stored) known->waiting.push_back(std::move(hold));
    return true;
}

void Redeliveries::add(EventArrival const& arrival) {
    if (arrival.packet_id == 0) return add_name(arrival.fingerprint);
    if (known_.empty()) known_.resize(kPacketIds);
    known_[arrival.packet_id] = {arrival.fingerprint, ++last_order_, false, {}};
}

void Redeliveries::add_name(std::uint64_t name) {
    if (!named_.try_emplace(name).second) return;
    names_.push_back(name);
    if (names_.size() <= kNamesMax) return;
    named_.erase(names_.front());
    names_.pop_front();
}

void Redeliveries::on_stored(EventArrival const& arrival) {
    auto* known = find(arrival);
    if (known == nullptr) return;
    known->is_stored = true;
    known->waiting.clear();
}

Redeliveries::Known* Redeliveries::find(EventArrival const& arrival) {
    if (arrival.packet_id == 0) {
        auto found = named_.find(arrival.fingerprint);
        return found == named_.end() ? nullptr : &found->second;
    }
    if (known_.empty()) return nullptr;
    auto& known = known_[arrival.packet_id];
    auto is_it = known.order != 0 && known.fingerprint == arrival.fingerprint;
    return is_it ? &known : nullptr;
}

Fingerprint& Fingerprint::add(std::string_view part) noexcept {
    constexpr std::uint64_t kPrime = 0x100'0000'01b3;
    for (auto c : part) hash_ = (hash_ ^ static_cast<unsigned char>(c)) * kPrime;
    hash_ = (hash_ ^ part.size()) * kPrime;  // so that parts cannot be moved
    return *this;
}

}  // namespace spoke::bridge
