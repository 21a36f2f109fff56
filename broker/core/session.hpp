#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/delivery.hpp"
#include "broker/core/outbound_window.hpp"
#include "broker/core/ring.hpp"
#include "broker/core/session_ref.hpp"
#include "broker/core/session_rights.hpp"
#include "broker/core/timer_wheel.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/will.hpp"

namespace spoke::broker {

class FilterNode;
class Link;
class Session;
struct LinkSettings;

/// Retained messages that are still to be sent for a new subscription, read in slices.
struct RetainedReplay {
    std::string filter;
    std::string cursor{};  // where the next slice begins
    std::uint32_t identifier = 0;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
};

/// What of a session's queue is in memory and what only in the store. Positions count from the
/// front of the queue when the session began.
struct QueueOnDisk {
    std::uint64_t popped = 0;    // the position of the front
    std::uint64_t complete = 0;  // all from the front up to here are in memory
    std::uint64_t answered = 0;  // where the answers of the store are looked for
    std::uint32_t awaited = 0;   // answers that have been asked for
};

/// When the next message for the session expires whose publisher is to be told so. Made with the
/// first of them.
struct ReceiptWatch {
    /// In the queue since before the process began, and in the store alone.
    struct Stored {
        Deadline deadline;
        DeliveryNumber number;
    };
    explicit ReceiptWatch(Session& session) noexcept : timer(TimerKind::receipts, &session) {}

    TimerNode timer;
    Deadline due = kNever;  // while the timer is armed
    std::vector<Stored> stored{};
};

/// Ids of QoS 2 publishes which the client has not released [MQTT-4.3.3-10], and which of them came
/// on the connection there is: those count against the receive maximum, which begins anew with each
/// connection [MQTT-3.3.4-7]. Small, kept sorted.
class InboundQos2 {
public:
    [[nodiscard]] bool contains(mqtt::PacketId id) const noexcept { return find(id) != nullptr; }
    /// Whether it came on this connection.
    [[nodiscard]] bool is_current(mqtt::PacketId id) const noexcept {
        auto const* entry = find(id);
        return entry != nullptr && entry->is_current;
    }
    /// A PUBLISH with this id came: the first one, or one that was sent again.
    void insert(mqtt::PacketId id) {
        auto place = place_of(id);
        if (place == entries_.end() || place->id != id) place = entries_.insert(place, {id, false});
        if (!std::exchange(place->is_current, true)) ++current_;
    }
    bool erase(mqtt::PacketId id) noexcept {
        auto place = place_of(id);
        if (place == entries_.end() || place->id != id) return false;
        if (place->is_current) --current_;
        entries_.erase(place);
        return true;
    }
    /// The connection is gone, the ids stay.
    void end_connection() noexcept {
        for (Entry& entry : entries_) entry.is_current = false;
        current_ = 0;
    }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
    template <class Visit>
    void each(Visit&& visit) const {
        for (Entry const& entry : entries_) visit(entry.id);
    }
    [[nodiscard]] std::uint32_t current_count() const noexcept { return current_; }

private:
    struct Entry {
        mqtt::PacketId id;
        bool is_current;
    };
    [[nodiscard]] std::vector<Entry>::iterator place_of(mqtt::PacketId id) noexcept {
        return std::ranges::lower_bound(entries_, id, {}, &Entry::id);
    }
    [[nodiscard]] Entry const* find(mqtt::PacketId id) const noexcept {
        auto place = std::ranges::lower_bound(entries_, id, {}, &Entry::id);
        return place != entries_.end() && place->id == id ? &*place : nullptr;
    }

    std::vector<Entry> entries_;
    std::uint32_t current_ = 0;
};

/// The state a client has at the broker (MQTT 5, 4.1): subscriptions, deliveries under way and
/// waiting, ids of unfinished QoS 2 publishes, the will. Owned by its shard's SessionTable and
/// touched by that shard alone. Plain state with its invariants; what happens to it is decided in
/// `handle/`.
class Session {
public:
    explicit Session(std::string client_id) : client_id_(std::move(client_id)) {}
    Session(Session const&) = delete;
    Session& operator=(Session const&) = delete;

    [[nodiscard]] std::string const& client_id() const noexcept { return client_id_; }
    [[nodiscard]] SessionRef ref() const noexcept { return ref_; }
    [[nodiscard]] bool is_connected() const noexcept { return link != nullptr; }
    /// Whether it outlives its connection, so that what is sent must be kept for sending again.
    [[nodiscard]] bool is_kept() const noexcept { return expiry_interval > 0; }
    /// Whether changes of it go to the store.
    [[nodiscard]] bool is_stored() const noexcept { return number.value != 0; }
    /// Whether its time without connection is over at `now`.
    [[nodiscard]] bool has_expired(WallTime now) const noexcept {
        return link == nullptr && expires_at <= now.time_since_epoch().count();
    }

    /// Queues a QoS 1 or 2 delivery behind the others.
    void enqueue(Delivery delivery) {
        queue_bytes += delivery.size;
        if (disk && delivery.message && disk->complete == disk->popped + queue.size())
            ++disk->complete;
        queue.push_back(std::move(delivery));
    }
    [[nodiscard]] Delivery dequeue() noexcept {
        Delivery delivery = std::move(queue.front());
        queue.pop_front();
        queue_bytes -= delivery.size;
        if (disk) disk->complete = std::max(disk->complete, ++disk->popped);
        return delivery;
    }

    /// Whose it is from here on.
    void set_user(Authorizer const* authorizer, std::optional<std::string> name) {
        user_name.reset();
        rights.reset();
        if (is_stored() && name) user_name = std::make_unique<std::string>(*name);
        if (authorizer != nullptr)
            rights = std::make_unique<SessionRights>(*authorizer, std::move(name));
    }

    bool add_subscription(FilterNode const* node) {
        auto place = std::lower_bound(subscriptions.begin(), subscriptions.end(), node);
        if (place != subscriptions.end() && *place == node) return false;
        subscriptions.insert(place, node);
        return true;
    }
    void remove_subscription(FilterNode const* node) noexcept {
        auto place = std::lower_bound(subscriptions.begin(), subscriptions.end(), node);
        if (place != subscriptions.end() && *place == node) subscriptions.erase(place);
    }

    /// Whether its client may have what is published to `topic`, now.
    [[nodiscard]] bool may_receive(std::string_view topic) {
        return !rights || rights->access(client_id_).may_receive(topic);
    }
    [[nodiscard]] bool may_publish(std::string_view topic) {
        return !rights || rights->access(client_id_).may_publish(topic);
    }
    [[nodiscard]] bool may_subscribe(std::string_view filter) {
        return !rights || rights->access(client_id_).may_subscribe(filter);
    }

    LinkSettings const* settings = nullptr;   // of the listener it was connected through last
    SessionNumber number{};                   // in the store; 0: it is not stored
    std::unique_ptr<SessionRights> rights{};  // null: everything
    Link* link = nullptr;  // the connection it has now; outlives its part of this
    TimerNode timer{TimerKind::session, this};  // armed while not connected: will delay or expiry
    std::uint32_t expiry_interval = 0;          // seconds
    Deadline expires_at = kNever;               // while not connected
    OutboundWindow window{};
    Ring<Delivery> queue{};  // QoS 1 and 2 which have no packet id yet
    std::uint64_t queue_bytes = 0;
    std::unique_ptr<QueueOnDisk> disk{};             // null: all of the queue is in memory
    std::vector<FilterNode const*> subscriptions{};  // sorted
    InboundQos2 inbound_qos2{};
    std::unique_ptr<mqtt::Will> will{};
    Deadline will_at = kNever;  // when a delayed will is due; only while not connected
    std::vector<RetainedReplay> replays{};
    std::unique_ptr<ReceiptWatch> receipts{};  // null: nobody has asked
    std::unique_ptr<std::string> user_name{};  // of a stored session
    bool was_connected = false;                // while it is restored: when the process ended
    bool overflow_logged = false;              // since the queue was last empty
    bool queue_full = false;                   // as the shards know it from KeptSessions
    bool replaying = false;                    // is in the shard's list of sessions with replays

private:
    friend class SessionTable;
    std::string client_id_;
    SessionRef ref_{};
};

}  // namespace spoke::broker
