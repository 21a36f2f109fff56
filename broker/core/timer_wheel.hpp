#pragma once

#include <array>
#include <chrono>
#include <cstdint>

#include "protocol/base/time.hpp"

namespace spoke::broker {

/// What a timer belongs to.
enum class TimerKind : std::uint8_t { link, session, receipts };

/// One timer, a member of what it belongs to. In at most one wheel slot at a time; unlinks itself
/// when destroyed.
class TimerNode {
public:
    /// `owner`: what it is a member of.
    TimerNode(TimerKind kind, void* owner) noexcept : owner_(owner), kind_(kind) {}
    TimerNode(TimerNode const&) = delete;
    TimerNode& operator=(TimerNode const&) = delete;
    ~TimerNode() { cancel(); }

    [[nodiscard]] bool is_armed() const noexcept { return next_ != nullptr; }
    [[nodiscard]] TimerKind kind() const noexcept { return kind_; }
    [[nodiscard]] void* owner() const noexcept { return owner_; }
    void cancel() noexcept;

private:
    friend class TimerWheel;
    TimerNode* next_ = nullptr;
    TimerNode* previous_ = nullptr;
    std::uint64_t due_tick_ = 0;
    void* owner_;
    TimerKind kind_;
};

/// Hierarchical timer wheel of one shard: four levels of 64 slots, ticks of 50 ms. Arming and
/// cancelling are O(1) and touch no clock; timers beyond the last level (9 days) wait there and go
/// round again. A timer fires at its time or up to one tick later, never earlier.
class TimerWheel {
public:
    static constexpr std::chrono::milliseconds kTick{50};

    explicit TimerWheel(SteadyTime start) noexcept;

    /// Arms or re-arms.
    void arm(TimerNode& node, SteadyTime when) noexcept;

    /// Calls `fire(node)` for each timer that is due; the node is disarmed before, `fire` may arm
    /// or destroy any.
    template <class Fire>
    void advance(SteadyTime now, Fire&& fire) {
        std::uint64_t target = tick_of(now);
        while (current_ < target) {
            ++current_;
            cascade();
            TimerNode& slot = slots_[0][current_ & kMask];
            while (TimerNode* node = take_first(slot)) fire(*node);
        }
    }

    /// How long after `now` advance() has something to do at the earliest; at most 3.2 s.
    [[nodiscard]] std::chrono::milliseconds until_next(SteadyTime now) const noexcept;

private:
    static constexpr unsigned kBits = 6;
    static constexpr std::uint64_t kSlots = 1U << kBits;
    static constexpr std::uint64_t kMask = kSlots - 1;
    static constexpr unsigned kLevels = 4;

    struct Slot : TimerNode {
        Slot() noexcept : TimerNode(TimerKind::link, nullptr) { reset(); }
        void reset() noexcept;
        ~Slot();
    };

    [[nodiscard]] std::uint64_t tick_of(SteadyTime when) const noexcept;
    void insert(TimerNode& node) noexcept;
    void cascade() noexcept;
    [[nodiscard]] static TimerNode* take_first(TimerNode& slot) noexcept;

    SteadyTime start_;
    std::uint64_t current_ = 0;
    std::array<std::array<Slot, kSlots>, kLevels> slots_;
};

}  // namespace spoke::broker
