#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/outbound_window.hpp"
#include "broker/core/session_ref.hpp"
#include "broker/core/stored_as.hpp"
#include "broker/core/subscription_ids.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/base/strong.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/will.hpp"

namespace spoke::broker {

/// A point in the order in which one shard hands changes to its store: what was handed over before
/// it is durable once ShardStore::durable() has reached it. Each shard counts its own. 0: nothing
/// to wait for.
using StoreTicket = Strong<std::uint64_t, struct StoreTicketTag>;
inline constexpr StoreTicket kNothingToWaitFor{0};

/// A session that outlives its connection, without its subscriptions and deliveries.
struct StoredSession {
    SessionNumber number{};
    std::string client_id{};
    std::string listener{};                  // name of the one it was connected through last
    std::string mount_point{};               // of that listener
    std::optional<std::string> user_name{};  // whose rights it has
    std::uint32_t expiry_interval = 0;       // seconds; 0: it ends when its connection does
    bool is_connected = false;
    Deadline expires_at = kNever;      // while not connected
    std::optional<mqtt::Will> will{};  // topic with mount point
    Deadline will_at = kNever;         // when a delayed will is due; while not connected
    friend bool operator==(StoredSession const&, StoredSession const&) = default;
};

/// The options of a subscription; which session has it, and the filter, are told apart.
struct StoredSubscription {
    std::uint32_t identifier = 0;  // 0: none
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    friend bool operator==(StoredSubscription const&, StoredSubscription const&) = default;
};

/// A message that one session is to get at QoS 1 or 2.
struct StoredDelivery {
    SessionNumber session{};
    StoredAs as{};
    SubscriptionIds ids{};
    ShareId share{};
    Deadline deadline = kNever;      // of the message; kNever too once it is sent
    std::uint32_t message_size = 0;  // Message::footprint()
    mqtt::Qos qos = mqtt::Qos::at_least_once;
    bool retain = false;
    bool wants_receipt = false;  // its publisher is told what becomes of it

    /// Whether it is not sent before its progress is durable.
    [[nodiscard]] bool is_held() const noexcept {
        return qos == mqtt::Qos::exactly_once || wants_receipt;
    }
};

/// How far the sending of a delivery has come.
struct StoredProgress {
    OutboundState state = OutboundState::awaiting_puback;
    std::uint64_t send_number = 0;  // of its first sending among those of its session, from 1: its
                                    // packet id is (send_number - 1) % 65535 + 1
    std::uint32_t released = 0;     // order of its PUBREC among others; for awaiting_pubcomp
    friend bool operator==(StoredProgress const&, StoredProgress const&) = default;
};

/// Why a delivery is removed.
enum class Removal : std::uint8_t {
    done,   // its client has it, or it is not to have it
    moved,  // another one that was put since stands for it: not before that is durable
};

/// Whether a store takes changes.
enum class StoreHealth : std::uint8_t {
    good,
    over_limit,  // holds as much as it may, as configured; what was handed over is written
    full,        // no space is left on the device
    failed,      // any other error
};

/// The message of a delivery, read from the store.
struct LoadedMessage {
    SessionRef session{};  // who asked
    DeliveryNumber number{};
    MessagePtr message{};  // null: it is damaged or missing, and there is nothing to wait for
};

/// One shard's side of the store. The core tells it every change of what outlives a connection as
/// it makes it, and holds back the acknowledgement that depends on it until its ticket is durable.
///
/// Changes of one shard take effect in their order, those between two submit() together or not at
/// all. The changes of different shards take effect in the order of their submit(). Each is
/// idempotent; one which names what is not there has no effect. Called from the shard's thread
/// alone; no call blocks.
class ShardStore {
public:
    virtual ~ShardStore() = default;

    /// Whether anything is kept beyond the process. If not, sessions get numbers, and nothing else
    /// here is called.
    [[nodiscard]] virtual bool is_durable() const noexcept = 0;
    /// When not good, changes are still taken and kept until they can be written, so a caller
    /// takes on no more than it must.
    [[nodiscard]] virtual StoreHealth health() const noexcept = 0;

    // --- changes; the ticket is that of the next submit() ---

    [[nodiscard]] virtual SessionNumber new_session_number() = 0;
    /// Made, or anything in it has changed.
    virtual StoreTicket put_session(StoredSession session) = 0;
    /// The session alone: its subscriptions, inbound ids and deliveries are removed one by one.
    virtual StoreTicket remove_session(SessionNumber session) = 0;
    virtual StoreTicket put_subscription(SessionNumber session, std::string_view filter,
                                         StoredSubscription const& subscription) = 0;
    virtual StoreTicket remove_subscription(SessionNumber session, std::string_view filter) = 0;
    /// The session's client holds a QoS 2 packet id, or has released it.
    virtual StoreTicket put_inbound(SessionNumber session, mqtt::PacketId id) = 0;
    virtual StoreTicket remove_inbound(SessionNumber session, mqtt::PacketId id) = 0;

    /// Numbers for `count` deliveries of one message, the first of which is given: for one receiver
    /// the message lies with its delivery; several share one. Gives `as` of the first; the next is
    /// `following(as)`.
    [[nodiscard]] virtual StoredAs reserve(std::uint32_t count) = 0;
    /// The message and all its receivers, as they were reserved, in order.
    virtual StoreTicket put_message(MessagePtr message,
                                    std::span<StoredDelivery const> deliveries) = 0;
    /// The delivery was sent, or goes on: from here on it is stored with this progress.
    virtual StoreTicket put_progress(StoredDelivery const& delivery,
                                     StoredProgress const& progress) = 0;
    /// A message whose last delivery is removed is removed with it. A delivery that is done before
    /// it was written need not be written at all.
    virtual StoreTicket remove_delivery(SessionNumber session, StoredAs as,
                                        Removal why = Removal::done) = 0;
    /// The retained message of the topic has changed: what counts is what the lookup that
    /// Store::start() was given finds when it is written.
    virtual StoreTicket put_retained(std::string_view topic) = 0;

    // --- handing over ---

    /// Hands over the changes since the last call; nothing if there are none. Before whatever other
    /// shards may do because of these changes is told to them.
    virtual void submit() = 0;
    /// What is handed over or will be with the next submit(): waits for everything so far.
    [[nodiscard]] virtual StoreTicket last_ticket() const noexcept = 0;
    /// Everything up to here is durable, but for removals that are `done`: after a crash such a
    /// delivery may be there again. Rises within submit(), or the shard is woken when it has.
    [[nodiscard]] virtual StoreTicket durable() const noexcept = 0;

    // --- reading ---

    /// Asks for the messages of deliveries whose put_message() is durable, or was submitted by
    /// another shard. Each is answered once, in order; after an error, or when it is not written
    /// yet, later.
    virtual void read(SessionRef asker, SessionNumber session,
                      std::span<StoredAs const> deliveries) = 0;
    /// Appends the answers there are; the shard is woken when there are some.
    virtual void take_loaded(std::vector<LoadedMessage>& out) = 0;
};

/// Takes what a store holds when the broker starts: first all sessions, then subscriptions,
/// inbound ids and deliveries, each of sessions that were told, in the order of session number and
/// (of deliveries) DeliveryNumber; then retained messages.
class StoreVisitor {
public:
    virtual ~StoreVisitor() = default;
    virtual void on_session(StoredSession session) = 0;
    virtual void on_subscription(SessionNumber session, std::string_view filter,
                                 StoredSubscription const& subscription) = 0;
    virtual void on_inbound(SessionNumber session, mqtt::PacketId id) = 0;
    /// `progress`: none if it was not sent yet.
    virtual void on_delivery(StoredDelivery delivery, std::optional<StoredProgress> progress) = 0;
    /// Only messages which have not expired.
    virtual void on_retained(MessagePtr message) = 0;
};

/// A store for all shards.
class Store {
public:
    virtual ~Store() = default;

    /// Good as long as the store is.
    [[nodiscard]] virtual ShardStore& of_shard(std::uint8_t shard) = 0;
    /// Visits what is there, before start(), on the calling thread. Messages of deliveries are not
    /// read.
    virtual void load(StoreVisitor& visitor, WallTime now) = 0;
    /// Random when the store was made, and the same ever since: what share groups are hashed with.
    [[nodiscard]] virtual std::uint64_t hash_seed() const noexcept = 0;

    struct Outside {
        /// The shard's durable(), health() or take_loaded() has news. Any thread.
        std::function<void(std::uint8_t shard)> wake;
        /// The retained message of a topic now, null if there is none. The store's thread.
        std::function<MessagePtr(std::string_view topic)> find_retained;
    };
    /// From here on changes are written.
    virtual void start(Outside outside) = 0;
    /// Writes what was handed over and ends the store's threads. The shards have ended before.
    virtual void stop() = 0;
};

}  // namespace spoke::broker
