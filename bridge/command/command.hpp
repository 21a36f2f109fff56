#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/command/command_id.hpp"
#include "bridge/command/verb.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// The states of an order. `expired` says "it never left"; `unknown` says "it left and no answer
/// came", and stays open until something settles it.
enum class CommandState : std::uint8_t {
    queued,
    sent,
    delivered,
    running,
    unknown,
    // settled: what a command is from here on never changes again
    succeeded,
    failed,
    rejected,
    expired,
    cancelled,
    superseded,
    abandoned,
};

inline constexpr std::size_t kCommandStates = 12;

[[nodiscard]] std::string_view name_of(CommandState state) noexcept;

[[nodiscard]] constexpr bool is_settled(CommandState state) noexcept {
    return state >= CommandState::succeeded;
}

/// Handed to the broker and not yet judged: the device may answer.
[[nodiscard]] constexpr bool is_under_way(CommandState state) noexcept {
    return state == CommandState::sent || state == CommandState::delivered ||
           state == CommandState::running;
}

/// What somebody asked for, with the defaults filled in. Two requests are the same order if all of
/// this is equal.
struct CommandRequest {
    std::string device;
    std::string verb;
    std::string args{};       // a JSON object as text; empty if none was given
    std::string condition{};  // the same: "if"
    std::string ref{};
    std::string lane{};
    std::chrono::milliseconds ttl{};
    IfOffline if_offline = IfOffline::fail;
    Deliver deliver = Deliver::once;
    bool supersede = false;
    bool fail_if_busy = false;
    friend bool operator==(CommandRequest const&, CommandRequest const&) = default;
};

/// Who asks.
struct Caller {
    std::string by;         // goes to the record: "anonymous", "user:7777"
    std::string trace{};    // traceparent; empty if none
    std::string address{};  // of the peer, for the audit trail
    friend bool operator==(Caller const&, Caller const&) = default;
};

/// One arrow of the state diagram.
struct TimelineEntry {
    std::chrono::milliseconds t{};  // since the command was accepted
    CommandState state{};
    std::string by;
    std::string why{};
    friend bool operator==(TimelineEntry const&, TimelineEntry const&) = default;
};

/// The record of one order: what the store keeps and everybody is shown.
struct Command {
    CommandId id;
    CommandRequest request;
    Caller caller;
    std::vector<std::string> keys{};  // every Idempotency-Key that leads here
    CommandState state = CommandState::queued;
    bool late = false;           // judged after the deadline had made it unknown
    bool may_have_left = false;  // stored before the order is handed to the broker
    std::uint32_t version = 0;   // grows with each visible change
    std::uint64_t n = 0;         // sequence number in its device
    WallTime accepted_at{};
    WallTime deadline{};
    std::optional<std::uint64_t> boot{};    // the device's boot the order was made for
    std::optional<std::uint64_t> exp_up{};  // deadline as the device's uptime in ms, for that boot
    std::optional<std::chrono::milliseconds> took{};  // what the device says it needed
    std::string answer{};  // the device's last word, a JSON object as text
    std::string why{};     // of a state that is not a success
    std::vector<TimelineEntry> timeline{};
    std::size_t arrows_audited = 0;  // of the timeline: these stand in the audit trail
    friend bool operator==(Command const&, Command const&) = default;

    /// When the first arrow to `state` was taken, if it was.
    [[nodiscard]] std::optional<std::chrono::milliseconds> reached(
        CommandState state) const noexcept;
};

}  // namespace spoke::bridge
