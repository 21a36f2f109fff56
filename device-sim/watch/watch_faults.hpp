#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "device-sim/device/dice.hpp"
#include "device-sim/faults/fault.hpp"

namespace spoke::sim {

/// What befalls readers and writers.
enum class WatchFault : std::uint8_t {
    cut,     // the connection is closed
    rst,     // it is reset
    vanish,  // it is left without a word, and stays half open
    slow,    // nothing is read for a while
    change,  // the reader goes on in another way
    cursor,  // it comes back with a cursor that cannot be gone on from
};
inline constexpr std::array kWatchFaults{WatchFault::cut,  WatchFault::rst,    WatchFault::vanish,
                                         WatchFault::slow, WatchFault::change, WatchFault::cursor};

[[nodiscard]] std::string_view to_text(WatchFault fault) noexcept;

/// How often each strikes a reader in a minute.
struct WatchFaultPlan {
    std::array<double, kWatchFaults.size()> per_minute{};

    [[nodiscard]] double all() const noexcept;
    [[nodiscard]] bool is_none() const noexcept { return all() <= 0; }

    struct Blow {
        WatchFault fault{};
        Elapsed after{0};
    };
    /// The next one for a reader; nullopt if there are none.
    [[nodiscard]] std::optional<Blow> draw(Dice& dice) const noexcept;

    friend bool operator==(WatchFaultPlan const&, WatchFaultPlan const&) = default;
};

/// Reads "none", "all", "all,slow=200%" or "cut=60%,change=30%": a share of the readers a minute,
/// which may be above 100 %.
/// Errors  what is wrong, for the operator.
[[nodiscard]] std::variant<WatchFaultPlan, std::string> parse_watch_faults(std::string_view text);

/// One line for each fault, for --help.
[[nodiscard]] std::string describe_watch_faults();

/// How often each has struck.
struct WatchFaultCounts {
    std::array<std::uint64_t, kWatchFaults.size()> counts{};

    void add(WatchFault fault) noexcept { ++counts[static_cast<std::size_t>(fault)]; }
    [[nodiscard]] std::uint64_t of(WatchFault fault) const noexcept {
        return counts[static_cast<std::size_t>(fault)];
    }
    [[nodiscard]] std::uint64_t total() const noexcept;
};

}  // namespace spoke::sim
