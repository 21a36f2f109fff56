#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "device-sim/device/result.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::sim {

/// Orders of one lane are numbered together and never overtake each other.
enum class Lane : std::uint8_t { lock, info, config, none };
inline constexpr std::size_t kLaneCount = 3;  // `none` is not counted

[[nodiscard]] constexpr std::size_t index_of(Lane lane) noexcept {
    return static_cast<std::size_t>(lane);
}

enum class LockState : std::uint8_t { locked, unlocking, unlocked, locking, jammed };

[[nodiscard]] std::string_view to_text(Lane lane) noexcept;
[[nodiscard]] std::string_view to_text(LockState state) noexcept;

/// What an order can ask for, each with its arguments.
struct Unlock {
    std::string ride{};
};
struct CloseLock {};
struct Locate {
    std::optional<std::chrono::seconds>
        track{};  // between two points of a ride from now on; 0: none
};
struct Ring {
    std::uint32_t times = 3;
};
struct Alarm {
    bool arm = false;
};
struct ReadState {};
struct Settings {
    std::optional<std::uint32_t> version{};
    std::optional<std::chrono::seconds> heartbeat{};
    std::optional<std::chrono::seconds> track{};
};
struct Reboot {
    std::chrono::seconds after{1};
};
struct Sleep {
    std::chrono::seconds after{1};
    std::chrono::seconds length{60};
};
struct Grant {
    std::string ride{};
};
struct Update {};
struct Cancel {
    std::string id{};
};
using Act = std::variant<Unlock, CloseLock, Locate, Ring, Alarm, ReadState, Settings, Reboot, Sleep,
                         Grant, Update, Cancel>;

/// `if`: must all hold when the order is carried out.
struct Condition {
    std::optional<LockState> lock{};
    std::optional<std::uint64_t> last_n{};  // of the order's lane
    std::optional<std::uint32_t> speed_max{};
};

/// What can be told of an order even when the rest of it makes no sense.
struct OrderHead {
    std::string id;
    std::uint64_t n = 0;  // 0: none given, allowed for `cancel` alone
    std::string trace{};  // `tp`, to be echoed
};

struct Order {
    OrderHead head;
    Act act;
    Condition condition{};
    std::optional<std::chrono::milliseconds> ttl{};
    std::optional<std::int64_t> expires_at{};  // `exp`, Unix time in ms
    std::optional<std::uint32_t> boot{};
    std::optional<std::int64_t> expires_at_up{};  // `exp_up`, uptime in ms
};

/// An order with an id that cannot be carried out: `unknown_verb` or `bad_args`.
struct BadOrder {
    OrderHead head;
    Why why;
};

/// Bytes without a usable id: there is nothing an answer could refer to.
struct Unreadable {};

using ParsedOrder = std::variant<Unreadable, BadOrder, Order>;

/// Reads the payload of `d/{id}/cmd`.
/// In      any bytes. Unknown members beside the known ones are ignored, unknown arguments and
/// unknown
///         conditions are not: an order that is not understood whole must not be carried out.
/// Out     an Order has an id of 1..64 bytes, at least one deadline, and n >= 1 unless it is a
/// `cancel`.
[[nodiscard]] ParsedOrder parse_order(Bytes payload);

/// Reads the payload of the retained `d/{id}/cfg`: the arguments of `config` with their version
/// `v`. Errors  nullopt for anything else.
[[nodiscard]] std::optional<Settings> parse_wanted_settings(Bytes payload);

/// Reads `{"now":<unix ms>}` as `$time` has it.
[[nodiscard]] std::optional<std::int64_t> parse_time(Bytes payload);

[[nodiscard]] Lane lane_of(Act const& act) noexcept;

/// The ride an act is for; empty if it names none.
[[nodiscard]] std::string_view ride_of(Act const& act) noexcept;

}  // namespace spoke::sim
