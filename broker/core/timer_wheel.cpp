#include "broker/core/timer_wheel.hpp"

#include <algorithm>

namespace spoke::broker {

void TimerNode::cancel() noexcept {
    if (next_ == nullptr) return;
    previous_->next_ = next_;
    next_->previous_ = previous_;
    next_ = previous_ = nullptr;
}

void TimerWheel::Slot::reset() noexcept {
    next_ = previous_ = this;
}

TimerWheel::Slot::~Slot() {
    while (TimerNode* node = take_first(*this)) node->cancel();
    next_ = previous_ = nullptr;  // so that the base does not unlink a list head
}

TimerWheel::TimerWheel(SteadyTime start) noexcept : start_(start) {}

std::uint64_t TimerWheel::tick_of(SteadyTime when) const noexcept {
    return when <= start_ ? 0 : static_cast<std::uint64_t>((when - start_) / kTick);
}

void TimerWheel::arm(TimerNode& node, SteadyTime when) noexcept {
    node.cancel();
    // Rounded up: a timer that fires early would close a connection before its time.
    node.due_tick_ = std::max(tick_of(when + kTick - SteadyTime::duration{1}), current_ + 1);
    insert(node);
}

void TimerWheel::insert(TimerNode& node) noexcept {
    std::uint64_t ahead = node.due_tick_ - current_;
    unsigned level = 0;
    while (level + 1 < kLevels && ahead >= (std::uint64_t{1} << (kBits * (level + 1)))) ++level;
    std::uint64_t reach = (std::uint64_t{1} << (kBits * kLevels)) - 1;
    std::uint64_t tick = current_ + std::min(ahead, reach);
    TimerNode& slot = slots_[level][(tick >> (kBits * level)) & kMask];
    node.next_ = &slot;
    node.previous_ = slot.previous_;
    slot.previous_->next_ = &node;
    slot.previous_ = &node;
}

void TimerWheel::cascade() noexcept {
    for (unsigned level = 1; level < kLevels; ++level) {
        std::uint64_t below = (std::uint64_t{1} << (kBits * level)) - 1;
        if ((current_ & below) != 0) return;
        // Taken out whole first: what goes round again is put back into the same slot.
        Slot& slot = slots_[level][(current_ >> (kBits * level)) & kMask];
        if (slot.next_ == &slot) continue;
        TimerNode* node = slot.next_;
        slot.previous_->next_ = nullptr;
        slot.reset();
        while (node != nullptr) {
            TimerNode* after = node->next_;
            insert(*node);
            node = after;
        }
    }
}

std::chrono::milliseconds TimerWheel::until_next(SteadyTime now) const noexcept {
    std::uint64_t ticks = 1;
    // A multiple of 64 brings timers down from the next level, so no wait goes beyond it.
    while (ticks < kSlots && ((current_ + ticks) & kMask) != 0) {
        Slot const& slot = slots_[0][(current_ + ticks) & kMask];
        if (slot.next_ != &slot) break;
        ++ticks;
    }
    auto due = start_ + static_cast<std::int64_t>(current_ + ticks) * kTick;
    return std::max(std::chrono::ceil<std::chrono::milliseconds>(due - now),
                    std::chrono::milliseconds{0});
}

TimerNode* TimerWheel::take_first(TimerNode& slot) noexcept {
    TimerNode* node = slot.next_;
    if (node == &slot) return nullptr;
    node->cancel();
    return node;
}

}  // namespace spoke::broker
