#include "bridge/command/device_registry.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {

std::string_view name_of(Presence presence) noexcept {
    switch (presence) {
        case Presence::online:
            return "online";
        case Presence::quiet:
            return "quiet";
        case Presence::offline:
            return "offline";
        case Presence::asleep:
            return "asleep";
    }
    return "invalid";
}

bool DeviceRegistry::on_birth(std::string_view id, Birth const& birth, Arrival const& arrival) {
    auto* device = find_or_add(id, arrival.now);
    if (device == nullptr || is_outdated(*device, birth.boot)) return false;
    if (!birth.on) {
        on_farewell(*device, birth, arrival);
        return false;
    }
    learn_uptime(*device, birth.up, arrival);
    device->fw = birth.fw;
    device->hw = birth.hw;
    device->wake.reset();
    auto was_reachable = is_reachable(*device, arrival.now.steady);
    device->link = Device::Link::online;
    if (arrival.retained) {
        if (!was_reachable) device->doubtful = true;
        return !was_reachable;
    }
    note_heard(*device, arrival.now);
    return true;  // a birth is a new connection, whether or not the end of the old one was told
}

/// A will may come after the next birth of the same boot. Where the broker tells of connections,
/// it tells when this one ends.
void DeviceRegistry::on_farewell(Device& device, Birth const& birth, Arrival const& arrival) {
    if (!birth.wake && device.connected_in == link_) {
        ++counters_.outdated;
        return;
    }
    if (!arrival.retained) device.last_seen = arrival.now.wall;
    device.link = birth.wake ? Device::Link::asleep : Device::Link::offline;
    device.wake = birth.wake;
}

void DeviceRegistry::on_client_event(ClientEvent const& event) {
    auto found = devices_.find(event.client);
    if (found == devices_.end() || found->second.hidden) return;
    auto& device = found->second;
    // The beginning of a connection is news once: the end may have overtaken it. Over a new link
    // it may be another broker that counts.
    auto is_begun = event.connected && event.connection == device.connection;
    auto is_comparable = device.numbered_in == link_;
    if (is_comparable && (event.connection < device.connection || is_begun)) {
        ++counters_.outdated;
        return;
    }
    device.connection = event.connection;
    device.numbered_in = link_;
    device.connected_in = event.connected ? link_ : 0;
    if (event.connected) {
        device.keep_alive = static_cast<std::uint16_t>(event.keep_alive.count());
    } else if (device.link == Device::Link::online) {
        device.link = Device::Link::offline;
    }
}

bool DeviceRegistry::on_state(std::string_view id, StateReport const& report,
                              Arrival const& arrival) {
    auto* device = find_or_add(id, arrival.now);
    if (device == nullptr || is_outdated(*device, report.boot)) return false;
    device->state = report.document;
    device->state_at = arrival.retained ? report.at : arrival.now.wall;
    for (auto const& [lane, n] : report.last_n) device->n = std::max(device->n, n);
    learn_uptime(*device, report.up, arrival);
    return note_sign(*device, arrival);
}

bool DeviceRegistry::on_sign_of_life(std::string_view id, Arrival const& arrival) {
    auto* device = find_or_add(id, arrival.now);
    return device != nullptr && note_sign(*device, arrival);
}

void DeviceRegistry::restore(DeviceRecord record, std::uint64_t n, Now const& now) {
    auto* device = find_or_add(record.id, now);
    if (device == nullptr) return;
    device->n = n;
    device->hidden = record.version == 0;
    if (record.version > 0) device->record = std::make_unique<DeviceRecord>(std::move(record));
}

void DeviceRegistry::set_record(DeviceRecord record, Now const& now) {
    auto* device = find_or_add(record.id, now);
    if (device != nullptr) device->record = std::make_unique<DeviceRecord>(std::move(record));
}

/// The next order of a device that comes back must not carry a number which it had before.
void DeviceRegistry::forget(std::string_view id) {
    auto found = devices_.find(id);
    if (found == devices_.end()) return;
    Device blank;
    blank.id = std::move(found->second.id);
    blank.n = found->second.n;
    blank.hidden = true;
    found->second = std::move(blank);
}

void DeviceRegistry::on_unreachable(std::string_view id) {
    auto found = devices_.find(id);
    if (found != devices_.end()) found->second.link = Device::Link::offline;
}

void DeviceRegistry::on_unanswered(std::string_view id) {
    auto found = devices_.find(id);
    if (found != devices_.end()) found->second.doubtful = true;
}

Device const* DeviceRegistry::find(std::string_view id) const {
    auto found = devices_.find(id);
    return found == devices_.end() || found->second.hidden ? nullptr : &found->second;
}

Presence DeviceRegistry::presence(Device const& device, SteadyTime now) const {
    if (device.link == Device::Link::offline) return Presence::offline;
    if (device.link == Device::Link::asleep) return Presence::asleep;
    auto silent = now - device.last_sign;
    auto is_connected = device.connected_in == link_;
    if (!is_connected && limits_.offline_after.count() > 0 && silent > limits_.offline_after) {
        return Presence::offline;
    }
    // A device whose connection may be silent for longer than that is not quiet before.
    std::chrono::milliseconds keep_alive = std::chrono::seconds{device.keep_alive} * 3 / 2;
    auto is_silent = silent > std::max(limits_.quiet_after, keep_alive);
    auto is_heard = is_connected || device.heard_in == link_;
    return device.doubtful || is_silent || !is_heard ? Presence::quiet : Presence::online;
}

bool DeviceRegistry::is_reachable(Device const& device, SteadyTime now) const {
    auto state = presence(device, now);
    return state == Presence::online || state == Presence::quiet;
}

std::uint64_t DeviceRegistry::take_n(std::string_view id) {
    auto found = devices_.find(id);
    MQ_ASSERT(found != devices_.end());
    return ++found->second.n;
}

std::optional<std::uint64_t> DeviceRegistry::uptime_at(Device const& device, SteadyTime deadline) {
    if (!device.booted || deadline < *device.booted) return std::nullopt;
    auto up = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - *device.booted);
    return static_cast<std::uint64_t>(up.count());
}

void DeviceRegistry::visit(std::string_view after,
                           std::function<bool(Device const&)> const& visit) const {
    auto at = after.empty() ? devices_.begin() : devices_.upper_bound(after);
    for (; at != devices_.end(); ++at) {
        if (!at->second.hidden && !visit(at->second)) return;
    }
}

Device* DeviceRegistry::find_or_add(std::string_view id, Now const& now) {
    auto found = devices_.find(id);
    if (found != devices_.end()) {
        found->second.hidden = false;
        return &found->second;
    }
    if (devices_.size() >= limits_.devices_max) {
        ++counters_.refused;
        return nullptr;
    }
    Device device;
    device.id = id;
    device.last_sign = now.steady;
    return &devices_.emplace(device.id, std::move(device)).first->second;
}

/// Takes over a newer boot, which voids what was learnt of the old one's uptime.
bool DeviceRegistry::is_outdated(Device& device, std::optional<std::uint64_t> boot) {
    if (!boot) return false;
    if (device.boot && *boot < *device.boot) {
        ++counters_.outdated;
        return true;
    }
    if (device.boot != boot) {
        device.boot = boot;
        device.booted.reset();
    }
    return false;
}

/// The smallest difference between arrival and uptime is nearest to the truth: a delay on the way
/// can only make it larger, which makes the device refuse earlier, never later. What waited in the
/// broker is not measured at all, or every order would be refused until the next heartbeat.
void DeviceRegistry::learn_uptime(Device& device, std::optional<std::uint64_t> up,
                                  Arrival const& arrival) {
    constexpr std::uint64_t kUptimeMax = 100ULL * 365 * 24 * 3600 * 1000;
    if (!up || *up > kUptimeMax || arrival.retained || arrival.backlog) return;
    auto booted = arrival.now.steady - std::chrono::milliseconds{*up};
    if (!device.booted || booted < *device.booted) device.booted = booted;
}

bool DeviceRegistry::note_sign(Device& device, Arrival const& arrival) {
    if (arrival.retained) return false;
    auto was_reachable = is_reachable(device, arrival.now.steady);
    note_heard(device, arrival.now);
    device.link = Device::Link::online;
    device.wake.reset();
    return !was_reachable;
}

void DeviceRegistry::note_heard(Device& device, Now const& now) const {
    device.last_sign = now.steady;
    device.last_seen = now.wall;
    device.doubtful = false;
    device.heard_in = link_;
}

}  // namespace spoke::bridge
