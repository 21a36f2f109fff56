#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/command/device_message.hpp"
#include "bridge/command/device_record.hpp"
#include "bridge/command/receipt.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// `online` never means "will open"; `quiet` is connected as far as we know, but not heard of.
enum class Presence : std::uint8_t { online, quiet, offline, asleep };

[[nodiscard]] std::string_view name_of(Presence presence) noexcept;

/// What is known of one device.
struct Device {
    enum class Link : std::uint8_t { offline, online, asleep };

    std::string id;
    std::unique_ptr<DeviceRecord> record{};  // null: nobody has said anything of it
    Link link = Link::offline;
    bool doubtful = false;  // something went unanswered, or only a retained topic speaks for it
    bool hidden = false;    // not part of the fleet (any more): kept for its `n`
    std::uint16_t keep_alive = 0;    // seconds, as the broker tells; 0: unknown, or none
    std::uint32_t heard_in = 0;      // link to the broker over which a live sign came last
    std::uint32_t connected_in = 0;  // ... and in which the broker told of its connection, 0: not
    std::uint32_t numbered_in = 0;   // ... and over which it told of `connection`
    std::uint64_t connection = 0;    // the newest connection that the broker told of
    std::optional<std::uint64_t> boot{};  // highest seen; what is older is ignored
    std::optional<SteadyTime>
        booted{};            // from live heartbeats: never before the true moment minus nothing
    SteadyTime last_sign{};  // of life, or when it was first heard of
    std::optional<WallTime> last_seen{};  // last live message
    std::optional<WallTime> wake{};       // announced end of its sleep
    std::uint64_t n = 0;                  // last sequence number given or reported
    std::string fw{};
    std::string hw{};
    std::string state{};                 // last snapshot, JSON text
    std::optional<WallTime> state_at{};  // when it reached us, or by the device's clock if retained
};

/// How a message reached the bridge.
struct Arrival {
    Now now;
    bool retained = false;  // a replay at subscribe: proves nothing about the present
    bool backlog = false;   // may have waited in the broker while the bridge was away
};

/// Every device heard of, with its presence and last state. Births, wills and states of an older
/// boot than the newest seen are ignored: a will may overtake the birth of the next connection. So
/// is what the broker tells of an older connection, and a will while it tells that the connection
/// stands.
/// Bound   `devices_max`; one more is not recorded, counted.  Thread  one.
class DeviceRegistry {
public:
    struct Limits {
        std::size_t devices_max = 1'000'000;
        std::chrono::milliseconds quiet_after{90'000};
        std::chrono::milliseconds offline_after{3'600'000};  // 0: only the device's will says so
    };

    explicit DeviceRegistry(Limits limits) : limits_(limits) {}

    /// Each gives whether the device became reachable by this message (a new connection, or a sign
    /// of life from one that was thought gone).
    bool on_birth(std::string_view id, Birth const& birth, Arrival const& arrival);
    bool on_state(std::string_view id, StateReport const& report, Arrival const& arrival);
    bool on_sign_of_life(std::string_view id, Arrival const& arrival);

    /// What the broker tells of connections; only of devices that are known. A new connection is no
    /// sign of life: the device has not subscribed to its orders yet, its birth tells.
    void on_client_event(ClientEvent const& event);

    /// The bridge has a new connection to the broker: what it knew of presence may have changed
    /// meanwhile, so that everybody is quiet until heard of.
    void on_new_link() noexcept { ++link_; }

    /// What the store knows of a device. Nothing speaks for its being connected yet.
    void restore(DeviceRecord record, std::uint64_t n, Now const& now);

    /// What people say of a device; one that was not heard of is added, unless there are too many.
    void set_record(DeviceRecord record, Now const& now);

    /// The retained birth was cleared: the device is not part of the fleet any more.
    void forget(std::string_view id);

    /// The broker said that nobody listens to the device's orders.
    void on_unreachable(std::string_view id);

    /// An order went unanswered: `quiet` until the next sign of life.
    void on_unanswered(std::string_view id);

    [[nodiscard]] Device const* find(std::string_view id) const;
    [[nodiscard]] Presence presence(Device const& device, SteadyTime now) const;
    [[nodiscard]] bool is_reachable(Device const& device, SteadyTime now) const;

    /// The next sequence number of a device that is known.
    [[nodiscard]] std::uint64_t take_n(std::string_view id);

    /// `deadline` as the device's uptime, if its live heartbeats tell.
    [[nodiscard]] static std::optional<std::uint64_t> uptime_at(Device const& device,
                                                                SteadyTime deadline);

    /// Devices with an id above `after`, in order, until `visit` gives false.
    void visit(std::string_view after, std::function<bool(Device const&)> const& visit) const;

    [[nodiscard]] std::size_t size() const noexcept { return devices_.size(); }
    [[nodiscard]] bool is_full() const noexcept { return devices_.size() >= limits_.devices_max; }

    /// Counts since the start.
    struct Counters {
        std::uint64_t refused = 0;   // devices above `devices_max`
        std::uint64_t outdated = 0;  // messages of an older boot or connection
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    Device* find_or_add(std::string_view id, Now const& now);
    bool is_outdated(Device& device, std::optional<std::uint64_t> boot);
    void note_heard(Device& device, Now const& now) const;
    static void learn_uptime(Device& device, std::optional<std::uint64_t> up,
                             Arrival const& arrival);
    void on_farewell(Device& device, Birth const& birth, Arrival const& arrival);
    bool note_sign(Device& device, Arrival const& arrival);

    Limits limits_;
    std::map<std::string, Device, std::less<>> devices_;
    std::uint32_t link_ = 1;  // counts the connections to the broker
    Counters counters_;
};

}  // namespace spoke::bridge
