#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "device-sim/faults/chances.hpp"
#include "device-sim/faults/fault.hpp"

namespace spoke::sim {

/// Which faults there are, how often and when.
struct FaultPlan {
    struct Setting {
        double share = 0;  // 0..1, of what the fault's row says
        Window window{};
    };
    std::array<Setting, kFaultCount> settings{};

    [[nodiscard]] Setting const& of(Fault fault) const noexcept {
        return settings[static_cast<std::size_t>(fault)];
    }
    [[nodiscard]] Setting& of(Fault fault) noexcept {
        return settings[static_cast<std::size_t>(fault)];
    }
    [[nodiscard]] bool is_none() const noexcept;
};

/// Reads "city,crash=2%,stall=10%@60s-120s,storm=30%@90s".
/// In      items separated by commas; `city` is a mixture of everything, `none` nothing, and what
///         comes later counts. A share is a percentage of what the fault's row says. After '@' the
///         time since the run began: from, or from-to; a storm has one moment.
/// Errors  what is wrong, for the operator.
[[nodiscard]] std::variant<FaultPlan, std::string> parse_faults(std::string_view text);

/// One line per fault: for --help.
[[nodiscard]] std::string describe_faults();

/// A kind of network.
struct NetKind {
    std::string_view name;
    std::string_view rat;  // as the bikes report it
    Elapsed median{0};     // of a round trip; 0: no time at all
    Elapsed p99{0};
    bool garage = false;
    std::string_view meaning;
};

/// Which bikes are in which network.
struct NetPlan {
    struct Part {
        double share = 0;
        NetKind const* kind = nullptr;
    };
    NetKind const* usual = nullptr;  // null: the same as `perfect`
    std::vector<Part> parts{};

    /// In  `drawn`: in [0, 1), of the bike.
    [[nodiscard]] NetKind const& of(double drawn) const noexcept;
};

/// Reads "lte-m,20%=2g,5%=garage": the usual network first, then shares of bikes that have another.
[[nodiscard]] std::variant<NetPlan, std::string> parse_net(std::string_view text);

/// One line per network: for --help.
[[nodiscard]] std::string describe_nets();

/// "90s", "10m", "1500ms".
[[nodiscard]] std::optional<Elapsed> parse_elapsed(std::string_view text);

}  // namespace spoke::sim
