#pragma once

#include <algorithm>
#include <cmath>
#include <optional>

#include "device-sim/device/dice.hpp"
#include "device-sim/faults/fault.hpp"

// The shapes that faults have in time. Each decides from dice and the time since the run began, and
// nothing else.

namespace spoke::sim {

/// When a fault may strike: [from, to).
struct Window {
    Elapsed from{0};
    Elapsed to = Elapsed::max();

    [[nodiscard]] bool holds(Elapsed now) const noexcept { return now >= from && now < to; }
    friend bool operator==(Window const&, Window const&) = default;
};

/// Strikes some of the orders.
class PerOrder {
public:
    PerOrder() = default;
    PerOrder(double share, Window window) noexcept : share_(share), window_(window) {}

    /// Draws even outside the window, so that a window changes no other decision.
    [[nodiscard]] bool strikes(Dice& dice, Elapsed now) const noexcept {
        bool drawn = dice.chance(share_);
        return drawn && window_.holds(now);
    }

private:
    double share_ = 0;
    Window window_{};
};

/// Strikes a bike now and then: as often in each minute, and independent of the last time.
class PerMinute {
public:
    PerMinute() = default;
    PerMinute(double share, Window window) noexcept : share_(share), window_(window) {}

    /// The next time after `now`, inside the window; nullopt if never.
    [[nodiscard]] std::optional<Elapsed> next(Dice& dice, Elapsed now) const noexcept {
        if (share_ <= 0) return std::nullopt;
        auto begin = std::max(now, window_.from);
        auto minutes = -std::log(1.0 - dice.unit()) / share_;
        constexpr double kMinutesMax = 1e6;
        auto at =
            begin + Elapsed{static_cast<Elapsed::rep>(std::min(minutes, kMinutesMax) * 60'000)};
        if (!window_.holds(at)) return std::nullopt;
        return at;
    }

private:
    double share_ = 0;
    Window window_{};
};

/// Comes and goes, like a bike that is parked in a garage: away for a while about every period.
class Periodic {
public:
    Periodic() = default;
    Periodic(Elapsed period, Elapsed length_min, Elapsed length_max) noexcept
        : period_(period), length_min_(length_min), length_max_(length_max) {}

    struct Spell {
        Elapsed at{0};
        Elapsed length{0};
    };
    /// The next spell after `now`; nullopt if there is no period.
    [[nodiscard]] std::optional<Spell> next(Dice& dice, Elapsed now) const noexcept {
        if (period_ <= Elapsed{0}) return std::nullopt;
        auto at = now + dice.between(period_ / 2, period_ * 3 / 2);
        return Spell{at, dice.between(length_min_, length_max_)};
    }

private:
    Elapsed period_{0};
    Elapsed length_min_{0};
    Elapsed length_max_{0};
};

/// How long a message is on its way: lognormal, as measured in mobile networks.
class Latency {
public:
    Latency() = default;  // none
    /// In  half of the messages take less than `median`, one in a hundred more than `p99`.
    Latency(Elapsed median, Elapsed p99) noexcept
        : median_(static_cast<double>(median.count())),
          sigma_(std::log(static_cast<double>(p99.count()) / median_) / kNormalP99) {}

    [[nodiscard]] Elapsed draw(Dice& dice) const noexcept {
        if (median_ <= 0) return Elapsed{0};
        // Box and Muller; of the two numbers one is used, so that every draw costs the same.
        auto radius = std::sqrt(-2.0 * std::log(1.0 - dice.unit()));
        auto normal = radius * std::cos(6.283185307179586 * dice.unit());
        auto millis = std::min(median_ * std::exp(sigma_ * normal), kMillisMax);
        return Elapsed{static_cast<Elapsed::rep>(millis)};
    }

    [[nodiscard]] bool is_none() const noexcept { return median_ <= 0; }

private:
    static constexpr double kNormalP99 = 2.326;
    static constexpr double kMillisMax = 60'000;

    double median_ = 0;
    double sigma_ = 0;
};

}  // namespace spoke::sim
