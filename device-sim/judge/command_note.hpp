#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/time.hpp"

namespace spoke::sim {

/// What the bridge says of a command at one moment: what the judge minds of its document.
struct CommandNote {
    std::string id{};
    std::string device{};
    std::string verb{};
    std::string state{};
    std::string why{};
    bool settled = false;
    bool late = false;
    std::uint64_t n = 0;
    std::optional<WallTime> deadline{};
    std::string answer_result{};  // `r`; all three are empty where there is no answer
    std::string answer_why{};
    std::string answer_lock{};

    friend bool operator==(CommandNote const&, CommandNote const&) = default;
};

/// Where the time of a command went, as the bridge says.
struct SpentTimes {
    std::optional<double> queue{};
    std::optional<double> down{};
    std::optional<double> device{};
    std::optional<double> up{};
};

/// Reads a command's document.
/// Errors  nullopt if it is none: no JSON object, no id or no state.
[[nodiscard]] std::optional<CommandNote> read_command_note(std::string_view document);

/// Reads `spent_ms` of a command's document; what is not there stays empty.
[[nodiscard]] SpentTimes read_spent_times(std::string_view document);

/// The last word of a problem's `type`, as "device-offline"; "?" if the body is no problem.
[[nodiscard]] std::string read_problem_type(std::string_view body);

/// Reads "2026-11-22T19:00:08.000Z".
[[nodiscard]] std::optional<WallTime> read_rfc3339(std::string_view text);

}  // namespace spoke::sim
