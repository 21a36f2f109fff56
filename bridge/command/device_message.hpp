#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "bridge/command/command.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// `d/{id}/up`: the birth, the will, or the farewell before a planned sleep.
struct Birth {
    bool on = false;
    std::optional<std::uint64_t> boot{};
    std::optional<std::uint64_t> up{};  // ms since the boot
    std::optional<WallTime> wake{};     // announced end of the sleep
    std::string fw{};
    std::string hw{};
};

enum class Verdict : std::uint8_t { started, ok, fail, refused, cancelled };

/// `d/{id}/ans`: what the device says about one order.
struct Answer {
    CommandId id;
    std::optional<std::uint64_t> n{};
    std::optional<std::uint64_t> boot{};  // of the device when it gave the answer
    Verdict verdict{};
    std::string why{};
    std::optional<std::chrono::milliseconds> took{};
    std::string trace{};     // traceparent as the device echoes it
    std::string document{};  // the answer without what the command says itself, as JSON text
};

/// `d/{id}/state`: the retained snapshot.
struct StateReport {
    std::optional<WallTime> at{};  // by the device's clock
    std::optional<std::uint64_t> boot{};
    std::optional<std::uint64_t> up{};
    std::vector<std::pair<std::string, std::uint64_t>> last_n{};  // last executed order by lane
    std::vector<Answer> receipts{};  // the device's journal: answers which may have been lost
    std::string document{};          // the whole snapshot as JSON text
};

/// Read a payload. Unknown members are passed over; nullopt if it is no JSON object or a member
/// this contract knows has a wrong type. Nesting is bounded.
[[nodiscard]] std::optional<Birth> parse_birth(std::string_view payload);
[[nodiscard]] std::optional<Answer> parse_answer(std::string_view payload);
[[nodiscard]] std::optional<StateReport> parse_state(std::string_view payload);

/// The payload of `d/{id}/cmd`, with `ttl` as what is left of the order's time.
[[nodiscard]] std::string encode_order(Command const& command, std::chrono::milliseconds ttl);

/// Holds `condition` (the "if" of a request) against a state. Members: `x` equal to the state's
/// `x`, `x_max`/`x_min` with the state's `x` a number not above/below it, `n` equal to `last_n`.
/// Out     false only if the state contradicts it; what the state does not tell is left to the
/// device.
[[nodiscard]] bool may_hold(std::string_view condition, std::string_view state,
                            std::uint64_t last_n);

}  // namespace spoke::bridge
