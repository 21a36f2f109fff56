#include "device-sim/load/flow.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::sim::load {

FlowWindow::FlowWindow(std::uint32_t size, std::uint32_t receivers)
    : size_{size}, receivers_{receivers} {
    MQ_ASSERT(size > 0 && receivers > 0);
    if (receivers > 1) waiting_.assign(size, 0);
}

std::uint32_t FlowWindow::take() noexcept {
    MQ_ASSERT(has_room());
    if (!waiting_.empty()) waiting_[next_ % size_] = receivers_;
    return next_++;
}

void FlowWindow::advance(std::uint32_t upto, std::uint32_t count) noexcept {
    if (waiting_.empty()) {
        base_ = std::clamp(upto, base_, next_);
        return;
    }
    for (auto sequence = upto - count; sequence < upto; ++sequence) {
        if (sequence >= base_ && sequence < next_) --waiting_[sequence % size_];
    }
    while (base_ < next_ && waiting_[base_ % size_] == 0) ++base_;
}

void FlowWindow::write_off() noexcept {
    base_ = next_;
}

PacketIds::PacketIds(std::uint32_t size) : in_use_(size) {
    constexpr std::uint32_t kPacketIdMax = 65'535;
    MQ_ASSERT(size <= kPacketIdMax);
    free_.reserve(size);
    for (auto id = size; id > 0; --id) free_.push_back(static_cast<std::uint16_t>(id));
}

mqtt::PacketId PacketIds::take() noexcept {
    MQ_ASSERT(has_free());
    auto id = free_.back();
    free_.pop_back();
    in_use_[id - 1U] = true;
    return mqtt::PacketId{id};
}

bool PacketIds::release(mqtt::PacketId id) noexcept {
    if (id.value == 0 || id.value > in_use_.size() || !in_use_[id.value - 1U]) return false;
    in_use_[id.value - 1U] = false;
    free_.push_back(id.value);
    return true;
}

}  // namespace spoke::sim::load
