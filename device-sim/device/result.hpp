#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace spoke::sim {

/// `r` of an answer.
enum class Outcome : std::uint8_t { started, ok, fail, refused, cancelled };

/// `why` of an answer: `jam` to `reboot` stand with `fail`, `late` and the rest with `refused`.
enum class Why : std::uint8_t {
    none,
    jam,
    low_batt,
    obstructed,
    timeout_motor,
    reboot,
    late,
    replay,
    precondition,
    busy,
    unknown_verb,
    bad_args,
    not_allowed,
};
inline constexpr std::size_t kWhyCount = 13;

/// What became of an order.
struct Result {
    Outcome outcome = Outcome::started;
    Why why = Why::none;
    friend bool operator==(Result const&, Result const&) = default;
};

inline constexpr Result kStarted{Outcome::started, Why::none};
inline constexpr Result kDone{Outcome::ok, Why::none};
inline constexpr Result kCancelled{Outcome::cancelled, Why::none};
[[nodiscard]] constexpr Result failed(Why why) noexcept {
    return {Outcome::fail, why};
}
[[nodiscard]] constexpr Result refused(Why why) noexcept {
    return {Outcome::refused, why};
}

[[nodiscard]] std::string_view to_text(Outcome outcome) noexcept;
[[nodiscard]] std::string_view to_text(Why why) noexcept;

/// The form of the journal: "ok", "refused:late".
[[nodiscard]] std::string to_text(Result result);

}  // namespace spoke::sim
