#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "device-sim/device/dice.hpp"
#include "device-sim/faults/chances.hpp"
#include "device-sim/faults/fault_plan.hpp"

namespace spoke::sim {

/// What befalls one order on its way into the lock.
struct OrderLot {
    bool crash = false;
    bool jam = false;
    bool slow_motor = false;
    std::optional<Elapsed> again_after{};   // handed to the lock a second time
    std::optional<Elapsed> cut_after{};     // no PUBACK: the connection ends instead
    std::optional<Elapsed> puback_after{};  // the PUBACK waits so long
};

/// What befalls an answer on its way out.
struct AnswerLot {
    bool lost = false;
    std::optional<Elapsed> after{};
};

/// Something that befalls a bike whether or not it has orders.
struct Blow {
    Fault fault{};
    Elapsed length{0};  // stall, garage: how long; clock_jump: by how much
};

/// All that befalls one bike, drawn from its own dice: the same seed gives the same fate for the
/// same orders and times. Pure.
class BikeFaults {
public:
    /// `plan` outlives it.
    BikeFaults(FaultPlan const& plan, NetKind const& net, std::uint64_t seed);

    [[nodiscard]] OrderLot draw_order(Elapsed now);
    [[nodiscard]] AnswerLot draw_answer(Elapsed now);

    /// How long a message takes one way.
    [[nodiscard]] Elapsed draw_latency() { return latency_.draw(way_dice_); }

    /// When next_blow() has something; nullopt if never.
    [[nodiscard]] std::optional<Elapsed> next() const;

    /// A blow that is due; nullopt if none is (any more).
    [[nodiscard]] std::optional<Blow> next_blow(Elapsed now);

    /// From now on nothing befalls it but the time that messages take.
    void calm();

    // What it has for the whole run.
    [[nodiscard]] bool has_no_clock() const noexcept { return no_clock_; }
    [[nodiscard]] std::optional<Elapsed> clock_error() const noexcept { return clock_error_; }
    [[nodiscard]] std::optional<double> battery_percent() const noexcept { return battery_; }
    [[nodiscard]] bool has_twin() const noexcept { return twin_; }

private:
    struct Due {
        Fault fault{};
        PerMinute chance{};
        std::optional<Elapsed> at{};
    };

    [[nodiscard]] bool strikes(Fault fault, Elapsed now);
    [[nodiscard]] Blow blow_of(Fault fault);

    FaultPlan const& plan_;
    // Apart from each other: how many messages there are changes no blow, and so on.
    Dice order_dice_;
    Dice way_dice_;
    Dice blow_dice_;
    Latency latency_{};
    bool calm_ = false;
    bool no_clock_ = false;
    bool twin_ = false;
    std::optional<Elapsed> clock_error_{};
    std::optional<double> battery_{};
    std::array<Due, 5> due_{};
    Periodic garage_{};
    std::optional<Periodic::Spell> spell_{};
};

}  // namespace spoke::sim
