#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "device-sim/device/result.hpp"

namespace spoke::sim {

/// What a fleet does, in numbers. Gauges say how it is now, the others only grow.
struct FleetCounts {
    // Gauges.
    std::uint64_t bikes = 0;
    std::uint64_t connecting = 0;
    std::uint64_t online = 0;
    std::uint64_t waiting = 0;  // for their next attempt

    std::uint64_t connects = 0;  // CONNACK success
    std::uint64_t losses = 0;    // connections that ended though nobody here wanted it
    std::uint64_t power_cycles = 0;

    std::uint64_t messages_in = 0;
    std::uint64_t messages_out = 0;
    std::uint64_t publishes_refused = 0;  // the broker answered with an error
    std::uint64_t publishes_lost = 0;     // no PUBACK before the connection ended
    std::uint64_t subscriptions_refused = 0;

    std::uint64_t orders = 0;  // messages on cmd topics, duplicates too
    std::uint64_t ok = 0;
    std::uint64_t cancelled = 0;
    std::uint64_t ignored = 0;
    std::array<std::uint64_t, kWhyCount> by_why{};  // fail and refused

    void add(Result result) noexcept {
        switch (result.outcome) {
            case Outcome::started:
                return;
            case Outcome::ok:
                ++ok;
                return;
            case Outcome::cancelled:
                ++cancelled;
                return;
            case Outcome::fail:
            case Outcome::refused:
                ++by_why[static_cast<std::size_t>(result.why)];
                return;
        }
    }

    /// Orders that were tried and did not work.
    [[nodiscard]] std::uint64_t failed() const noexcept { return sum(Why::jam, Why::reboot); }

    /// Orders that were not tried.
    [[nodiscard]] std::uint64_t refused() const noexcept {
        return sum(Why::late, Why::not_allowed);
    }

private:
    [[nodiscard]] std::uint64_t sum(Why first, Why last) const noexcept {
        std::uint64_t total = 0;
        for (auto i = static_cast<std::size_t>(first); i <= static_cast<std::size_t>(last); ++i) {
            total += by_why[i];
        }
        return total;
    }
};

}  // namespace spoke::sim
