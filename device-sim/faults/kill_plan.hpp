#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "device-sim/faults/fault.hpp"

namespace spoke::sim {

/// The programs which can be killed.
enum class Program : std::uint8_t { broker, bridge };

[[nodiscard]] std::string_view to_text(Program program) noexcept;

struct Kill {
    Program program{};
    Elapsed at{0};
    friend bool operator==(Kill const&, Kill const&) = default;
};

/// Reads "broker@60s,bridge@120s".
/// Out     by time.
/// Errors  what is wrong, for the operator.
[[nodiscard]] std::variant<std::vector<Kill>, std::string> parse_kills(std::string_view text);

/// `each` kills of both programs at random times of a run of this length, not in its first or last
/// tenth. The same seed gives the same times.
[[nodiscard]] std::vector<Kill> random_kills(std::size_t each, Elapsed run_for, std::uint64_t seed);

}  // namespace spoke::sim
