#include "device-sim/load/bystander.hpp"

namespace spoke::sim::load {

void Bystander::pump(SteadyTime now) {
    while (pace_.next_due() <= now) {
        message_.append(
            client_.outbound(), {},
            {.sequence = sent_++, .sent_at = pace_.next_due().time_since_epoch().count()});
        pace_.take();
        client_.touch();
    }
}

bool Bystander::take(Delivery const& delivery, SteadyTime now) {
    auto head = read_payload_head(delivery.payload);
    if (!head || delivery.topic != message_.topic() || head->sequence != returned_) return false;
    ++returned_;
    latency_.record(now.time_since_epoch() - std::chrono::nanoseconds{head->sent_at});
    return true;
}

}  // namespace spoke::sim::load
