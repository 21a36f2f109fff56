#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "device-sim/device/journal.hpp"
#include "device-sim/device/order.hpp"
#include "device-sim/device/result.hpp"

namespace spoke::sim {

/// Everything a lock tells of itself, as it is at one moment. Views into the lock.
struct Snapshot {
    std::optional<std::int64_t> wall{};  // Unix ms by the lock's own clock, if it has one
    std::uint32_t boot = 0;
    std::chrono::milliseconds up{0};
    std::array<std::uint64_t, kLaneCount> last_n{};
    LockState lock = LockState::locked;
    std::string_view ride{};
    double battery_percent = 100;
    int rssi = -87;
    std::string_view rat = "LTE-M";
    double latitude = 0;
    double longitude = 0;
    unsigned speed = 0;  // km/h
    bool alarm = false;
    std::string_view firmware{};
    unsigned updates = 0;  // of the firmware since this lock was made
    std::uint32_t settings_version = 0;
    std::span<Journal::Entry const> journal{};
};

/// What stands once in a bike's life or once per boot.
struct Nameplate {
    std::string_view hardware;
    std::uint64_t sim_card = 0;  // the last 16 digits of `iccid`
    std::uint8_t protocol_level = 5;
};

/// Members an answer has beside the usual ones.
enum class Detail : std::uint8_t { none, position, alarm, settings, whole_state, key };

struct AnswerText {
    Journal::Entry const& entry;
    std::string_view trace{};
    Detail detail = Detail::none;
    std::uint64_t key = 0;  // Detail::key: of the Bluetooth lock, good once
};

/// A place on the way of a ride.
struct TrackPoint {
    std::chrono::milliseconds up{0};
    double latitude = 0;
    double longitude = 0;
};

/// `d/{id}/up` at connect.
[[nodiscard]] std::string birth_payload(Snapshot const& now, Nameplate const& plate);

/// `d/{id}/up` as the will and as the goodbye of a planned end.
[[nodiscard]] std::string gone_payload(std::uint32_t boot);

/// `d/{id}/up` before a planned sleep. In `wake`: Unix time in ms by the lock's clock, if it has
/// one.
[[nodiscard]] std::string asleep_payload(std::uint32_t boot, std::optional<std::int64_t> wake);

/// `d/{id}/state`.
[[nodiscard]] std::string state_payload(Snapshot const& now);

/// `d/{id}/ans`.
[[nodiscard]] std::string answer_payload(AnswerText const& answer, Snapshot const& now);

/// `d/{id}/pos`: where a ride has been since the last of these.
[[nodiscard]] std::string track_payload(Snapshot const& now, std::span<TrackPoint const> points);

/// `d/{id}/evt`: the rider has closed the lock, `ridden` after it was opened.
[[nodiscard]] std::string locked_by_hand_payload(Snapshot const& now, std::string_view ride,
                                                 std::chrono::milliseconds ridden);

/// `d/{id}/evt`: the battery has fallen below the mark at which service should come.
[[nodiscard]] std::string battery_low_payload(Snapshot const& now);

}  // namespace spoke::sim
