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
    names_.clear();
    named_.clear();
    writing_.clear();
}

bool Redeliveries::knows(EventArrival const& arrival, Hold hold) {
    if (arrival.packet_id == 0) return knows_name(arrival.fingerprint, std::move(hold));
    auto* known = find(arrival);
    if (!is_resumed_ || known == nullptr || known->order <= redelivered_upto_) return false;
    redelivered_upto_ = known->order;
    if (!known->is_stored) known->waiting.push_back(std::move(hold));
    return true;
}

bool Redeliveries::knows_name(std::uint64_t name, Hold hold) {
    if (!names_.contains(name)) return false;
    auto writing = writing_.find(name);
    if (writing != writing_.end()) writing->second.push_back(std::move(hold));
    return true;
}

void Redeliveries::add(EventArrival const& arrival) {
    if (arrival.packet_id == 0) return add_name(arrival.fingerprint);
    if (known_.empty()) known_.resize(kPacketIds);
    known_[arrival.packet_id] = {arrival.fingerprint, ++last_order_, false, {}};
}

void Redeliveries::add_name(std::uint64_t name) {
    if (!names_.insert(name).second) return;
    writing_.try_emplace(name);
    named_.push_back(name);
    if (named_.size() <= kNamesMax) return;
    names_.erase(named_.front());
    named_.pop_front();
}

void Redeliveries::on_stored(EventArrival const& arrival) {
    if (arrival.packet_id == 0) {
        auto found = writing_.find(arrival.fingerprint);
        if (found == writing_.end()) return;
        auto waiting = std::move(found->second);  // let go of behind the change of the map
        writing_.erase(found);
    } else if (auto* known = find(arrival)) {
        known->is_stored = true;
        known->waiting.clear();
    }
}

Redeliveries::Known* Redeliveries::find(EventArrival const& arrival) {
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
