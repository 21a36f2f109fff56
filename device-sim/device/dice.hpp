#pragma once

#include <chrono>
#include <cstdint>

namespace spoke::sim {

/// A small seeded source of chance (SplitMix64): eight bytes of state, so that every bike has its
/// own and a run with the same seed draws the same numbers for a bike whatever its neighbours do.
class Dice {
public:
    explicit constexpr Dice(std::uint64_t seed) noexcept : state_(seed) {}

    constexpr std::uint64_t next() noexcept {
        state_ += 0x9E37'79B9'7F4A'7C15U;
        auto mixed = state_;
        mixed = (mixed ^ (mixed >> 30)) * 0xBF58'476D'1CE4'E5B9U;
        mixed = (mixed ^ (mixed >> 27)) * 0x94D0'49BB'1331'11EBU;
        return mixed ^ (mixed >> 31);
    }

    /// A number in [0, 1).
    constexpr double unit() noexcept {
        return static_cast<double>(next() >> 11) * (1.0 / 9'007'199'254'740'992.0);
    }

    /// Whether something of this probability happens; 0 never does, 1 always.
    constexpr bool chance(double probability) noexcept { return unit() < probability; }

    /// A number in [low, high).
    constexpr double between(double low, double high) noexcept {
        return low + unit() * (high - low);
    }

    /// A duration in [low, high].
    constexpr std::chrono::milliseconds between(std::chrono::milliseconds low,
                                                std::chrono::milliseconds high) noexcept {
        auto span = static_cast<double>((high - low).count() + 1);
        return low + std::chrono::milliseconds{static_cast<std::int64_t>(unit() * span)};
    }

private:
    std::uint64_t state_;
};

}  // namespace spoke::sim
