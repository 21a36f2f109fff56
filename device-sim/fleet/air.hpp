#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "device-sim/faults/bike_faults.hpp"
#include "device-sim/fleet/pending.hpp"
#include "device-sim/fleet/twin.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// What lies between a lock and its link where the network is not perfect: what is on its way, and
/// what befalls it. Only bikes which need it have one.
struct Air {
    explicit Air(BikeFaults f) : faults(std::move(f)) {}

    /// Since faults began; before that no window holds.
    [[nodiscard]] Elapsed elapsed(SteadyTime now) const {
        if (began == SteadyTime::max()) return Elapsed{-1};
        return std::chrono::duration_cast<Elapsed>(now - began);
    }
    [[nodiscard]] bool is_held(SteadyTime now) const noexcept { return now < held_until; }

    /// When something is to be done; SteadyTime::max() if never.
    [[nodiscard]] SteadyTime deadline() const {
        auto next = SteadyTime::max();
        if (auto due = queue.next()) next = std::max(*due, held_until);
        if (is_holding) next = std::min(next, held_until);
        if (began == SteadyTime::max()) return next;
        if (auto blow = faults.next()) next = std::min(next, began + *blow);
        return next;
    }

    /// The time at which something arrives that leaves now and must not overtake what left before.
    [[nodiscard]] static SteadyTime in_order(SteadyTime& last, SteadyTime due) {
        last = std::max(last, due);
        return last;
    }

    BikeFaults faults;
    SteadyTime began = SteadyTime::max();  // not yet
    PendingQueue queue{};
    SteadyTime held_until{};  // a stall: nothing passes before
    bool is_holding = false;
    SteadyTime last_in{};
    SteadyTime last_out{};
    std::uint32_t connection = 0;
    std::unique_ptr<Twin> twin{};
};

}  // namespace spoke::sim
