#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace spoke::sim {

/// What goes wrong with bikes and their connections.
enum class Fault : std::uint8_t {
    duplicate,
    puback_lost,
    puback_late,
    answer_lost,
    answer_late,
    crash,
    jam,
    slow_motor,
    stall,
    cut,
    vanish,
    reboot,
    clock_jump,
    clock_wrong,
    clock_none,
    low_battery,
    twin,
    garage,
    storm,
};
inline constexpr std::size_t kFaultCount = 19;

/// What the percentage of a fault counts.
enum class FaultBase : std::uint8_t {
    orders,            // of the orders that reach a bike
    bikes_per_minute,  // of the bikes, each minute
    bikes,             // of the bikes, for the whole run
    moment,            // of the bikes, at one moment
};

/// A fault as the operator knows it.
struct FaultRow {
    Fault fault{};
    std::string_view name;
    FaultBase base{};
    std::string_view meaning;
};

/// One row per fault, in the order of the enumeration.
[[nodiscard]] std::span<FaultRow const> fault_table() noexcept;

[[nodiscard]] std::string_view to_text(Fault fault) noexcept;

/// How often each fault has struck.
class FaultCounts {
public:
    void add(Fault fault) noexcept { ++counts_[static_cast<std::size_t>(fault)]; }
    [[nodiscard]] std::uint64_t of(Fault fault) const noexcept {
        return counts_[static_cast<std::size_t>(fault)];
    }
    [[nodiscard]] std::uint64_t total() const noexcept {
        std::uint64_t sum = 0;
        for (auto count : counts_) sum += count;
        return sum;
    }

private:
    std::array<std::uint64_t, kFaultCount> counts_{};
};

/// Time since the run began.
using Elapsed = std::chrono::milliseconds;

}  // namespace spoke::sim
