#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/arena.hpp"
#include "broker/core/authentication.hpp"
#include "broker/core/client_event.hpp"
#include "broker/core/counters.hpp"
#include "broker/core/kept_sessions.hpp"
#include "broker/core/link.hpp"
#include "broker/core/packet_writer.hpp"
#include "broker/core/ports/cluster_bus.hpp"
#include "broker/core/ports/shard_port.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/publication.hpp"
#include "broker/core/receipt.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/session_table.hpp"
#include "broker/core/settings.hpp"
#include "broker/core/shard_batch.hpp"
#include "broker/core/subscription_index.hpp"
#include "broker/core/timer_wheel.hpp"
#include "protocol/codec/decode.hpp"
#include "protocol/codec/framing.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::broker {

/// The home shard of a client id.
[[nodiscard]] std::uint8_t home_shard(std::string_view client_id,
                                      std::uint8_t shard_count) noexcept;

/// The rules of MQTT for the sessions and links of one shard. Knows no socket and reads no clock:
/// bytes and time come in, effects are bytes in the out-queues of links and their state. One file
/// in `handle/` per incoming packet. One thread: the shard's.
class ShardCore {
public:
    struct Wiring {
        SubscriptionIndex& index;      // shared by all shards
        RetainedMessages& retained;    // shared by all shards
        std::span<KeptSessions> kept;  // shared by all shards, one of each
        ShardStore& store;             // this shard's
        ClusterBus& bus;               // shared by all shards
        ShardPort& port;               // the loop that runs this core
        std::uint8_t shard = 0;
        std::uint8_t shard_count = 1;
        std::uint64_t seed = 0;  // for assigned client ids
    };
    ShardCore(CoreSettings const& settings, Wiring const& wiring, Now start);
    ~ShardCore();
    ShardCore(ShardCore const&) = delete;
    ShardCore& operator=(ShardCore const&) = delete;

    // --- the loop calls these ---

    /// The time of this turn; every check of this turn uses it.
    /// `below_ms`: what `now.wall` leaves out, for what is told to others.
    void begin_turn(Now now, std::chrono::microseconds below_ms = {}) noexcept {
        now_ = now;
        below_ms_ = below_ms;
    }
    /// Timers, then slices of work that was put off.
    void on_timers();
    /// Takes what the store has to tell: what is durable, what was read, whether it takes changes.
    void on_store_news();
    /// Hands the changes of this turn to the store; before batches go to other shards.
    void submit() { store_.submit(); }
    /// Links that may be read again: the loop handles what came behind their CONNECT, and takes the
    /// list over.
    [[nodiscard]] std::vector<Link*>& readable_again() noexcept { return readable_again_; }
    /// Whether there is something to do at once, so that the loop must not sleep.
    [[nodiscard]] bool has_work() const noexcept {
        // submit() may have made durable what an answer of this very turn waits for.
        return !replaying_.empty() || !news_.empty() ||
               (is_durable_ && store_.durable() > durable_);
    }
    [[nodiscard]] std::chrono::milliseconds until_next_timer() const noexcept {
        return wheel_.until_next(now_.steady);
    }

    /// A new network connection: from here its CONNECT must come in time. `settings` outlive it.
    void on_accepted(Link& link, LinkSettings const& settings);
    /// A packet of a link that is not connected: CONNECT, and AUTH if the client authenticates with
    /// that. On the shard that accepted the link.
    /// Out     CONNECT, checked and authenticated, for on_connect(). Nothing: the exchange goes on,
    ///         or the link waits for a verdict (`awaits_verdict`) and is not to be read meanwhile,
    ///         or it was refused, with CONNACK where the version has one for it, and closes.
    [[nodiscard]] std::optional<CheckedConnect> admit(Link& link, Bytes frame);
    /// The verdict that a link waited for, if that link is still there.
    /// Out     as admit()
    [[nodiscard]] std::optional<Admitted> on_authenticated(AuthTicket ticket, AuthVerdict verdict);
    /// Opens or resumes the session, on its home shard.
    void on_connect(Link& link, CheckedConnect connect);
    /// A link that has not connected leaves this shard for another.
    void forget(Link& link) noexcept;

    /// One whole packet of a connected link. `frame` lies in the shard's memory and may be changed;
    /// what is queued for others may point into it until the next flush.
    void on_packet(Link& link, std::span<std::byte> frame);
    /// The link sent what is not MQTT: tells it, if its version can be told, and closes it.
    void on_bad_bytes(Link& link, mqtt::DecodeError const& error);
    /// The transport gave the stream up, for what `why` says: nothing more can be written, and the
    /// link closes.
    void on_stream_failed(Link& link, std::string_view why);
    /// The network connection is gone; the link is not used again.
    void on_closed(Link& link);
    /// The last packet of a closing link is written: for so long the peer may take to read it, then
    /// `linger_over` is set and the link touched.
    void linger(Link& link, std::chrono::milliseconds time);
    /// Right before a write: what has expired is taken out.
    void before_write(Link& link);
    /// The socket has taken the first `size` bytes of what is queued.
    void on_written(Link& link, std::uint64_t size);
    /// The socket has taken what was queued: what waits in the session goes on.
    void on_drained(Link& link);

    /// Publishes what the broker itself has to tell, which flushing may have added to; then links
    /// may have been touched. False if there was nothing.
    bool publish_news();

    /// Messages which another shard routed to sessions of this one.
    void on_batch(ShardBatch& batch);
    /// What this shard has for another; the loop takes it at the end of a turn.
    [[nodiscard]] ShardBatch& batch_for(std::uint8_t shard) noexcept { return batches_[shard]; }
    /// Puts the link among those that are flushed and looked after at the end of the turn.
    void touch(Link& link) {
        if (link.touched) return;
        link.touched = true;
        touched_.push_back(&link);
    }
    /// The links with something new to write or to close; the loop takes the list over.
    [[nodiscard]] std::vector<Link*>& touched() noexcept { return touched_; }

    // --- before the loop runs: what the store holds of sessions whose home this is ---

    /// A session that nobody is connected to now; `settings` as for a connection of its own.
    Session& restore_session(StoredSession stored, LinkSettings const& settings);
    void restore_subscription(Session& session, std::string_view filter,
                              StoredSubscription const& stored);
    static void restore_inbound(Session& session, mqtt::PacketId id);
    /// Waiting in the queue, behind those restored before.
    void restore_queued(Session& session, StoredDelivery stored);
    /// In flight; in rising order of their send numbers.
    static void restore_sent(Session& session, StoredDelivery stored,
                             StoredProgress const& progress);
    /// All of the session is there: its will and its expiry run from here on.
    void finish_restore(Session& session);
    /// A retained message that is stored and not there any more.
    void drop_retained(std::string_view topic) { (void)store_.put_retained(topic); }
    [[nodiscard]] CoreSettings const& settings() const noexcept { return settings_; }

    /// Closes every link, MQTT 5 clients being told 0x8B.
    void shut_down();

    [[nodiscard]] Counters& counters() noexcept { return counters_; }
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }
    [[nodiscard]] SegmentPool& segments() noexcept { return segments_; }
    [[nodiscard]] PacketWriter& writer() noexcept { return writer_; }
    [[nodiscard]] SessionTable const& sessions() const noexcept { return sessions_; }

private:
    struct Grant {  // what the matching subscriptions of one session make of a message
        mqtt::Qos qos;
        bool retain;
        ShareId share{};
        StoredAs as{};
    };
    struct Target {  // a receiver, while it is decided what is stored
        SessionRef session;
        Grant grant;
        SubscriptionIds ids;
        bool is_kept = false;
        bool is_rejected = false;  // its queue is full
        SessionNumber number{};
    };
    struct Routed {  // what came of a message
        std::uint32_t receivers = 0;
        std::uint32_t rejected = 0;  // of these: did not get it, their queue being full
        bool refused = false;        // nobody got it: the store takes no changes
        StoreTicket ticket{};
    };
    struct Hit {  // one matching subscription, while overlapping ones are merged
        SessionRef session;
        std::uint32_t identifier;
        mqtt::Qos qos;
        bool retain_as_published;
        bool is_kept;
    };
    struct Refusal {
        mqtt::ReasonCode reason;
        std::string_view text;
    };

    // handle/connect.cpp
    [[nodiscard]] std::optional<CheckedConnect> check_connect(Link& link, Bytes frame);
    [[nodiscard]] std::optional<Refusal> judge_connect(LinkSettings const& settings,
                                                       mqtt::Connect& connect, bool& id_assigned);
    void refuse(Link& link, mqtt::Version version, Refusal const& refusal);
    [[nodiscard]] std::string new_client_id();
    /// Whether a client that connects like this finds its session.
    [[nodiscard]] bool goes_on(Session const& session, Link const& link,
                               mqtt::Connect const& connect) const noexcept;
    void take_over(Session& session, Link const& link, mqtt::Connect const& connect);
    /// `gone`: of the removal of the session that was there, if it was stored.
    void accept(Link& link, Session& session, CheckedConnect const& connect,
                mqtt::ConnAck const& connack, StoreTicket gone);
    /// Session and link become one another's.
    StoreTicket attach(Link& link, Session& session, CheckedConnect const& connect);
    void log_connected(Link const& link, CheckedConnect const& connect, bool session_present);
    void resume(Session& session);

    // handle/auth.cpp
    [[nodiscard]] std::optional<CheckedConnect> authenticate(Link& link, CheckedConnect connect);
    [[nodiscard]] std::optional<CheckedConnect> judge(Link& link, CheckedConnect connect,
                                                      AuthVerdict verdict);
    [[nodiscard]] std::optional<CheckedConnect> begin_exchange(Link& link, CheckedConnect connect);
    [[nodiscard]] std::optional<CheckedConnect> on_auth_before_connack(Link& link, Bytes frame);
    [[nodiscard]] std::optional<CheckedConnect> go_on_to_connect(Link& link, Bytes data);
    void handle_auth(Link& link, mqtt::Auth const& packet);
    void send_auth(Link& link, mqtt::ReasonCode reason, Buffer data);

    // handle/publish.cpp
    void handle_publish(Link& link, std::span<std::byte> frame);
    [[nodiscard]] std::optional<std::string_view> resolve_alias(Link& link,
                                                                mqtt::PublishView const& view);
    /// QoS 1 and 2 publishes of this connection whose last answer has not been sent.
    [[nodiscard]] static std::uint32_t open_publishes(Link const& link) noexcept;
    [[nodiscard]] bool is_offered(Link& link, mqtt::PublishView const& view);
    /// The whole topic; refuses the publish, if it may not be, and gives nothing.
    [[nodiscard]] std::optional<std::string_view> permit(Link& link, mqtt::PublishView const& view,
                                                         std::string_view topic);
    /// What the publisher is told of it, beside `receivers`.
    void acknowledge(Link& link, mqtt::PublishView const& view, mqtt::ReasonCode reason,
                     StoreTicket ticket, std::string_view why = {});
    [[nodiscard]] bool take_request(Link& link, mqtt::PublishView const& view,
                                    ReceiptRequest& request);
    void note_denied(Link& link, std::string_view topic);
    /// RETAIN on a command topic; false if the publish is refused for it, else the flag is cleared.
    [[nodiscard]] bool take_retain(Link& link, mqtt::PublishView& view, std::string_view topic);
    void forget_inbound(Session& session, mqtt::PublishView const& view, StoreTicket& ticket);
    void refuse_publish(Link& link, mqtt::PublishView const& view);
    void reject_publish(Link& link, mqtt::PublishView const& view, StoreTicket ticket);

    // handle/puback.cpp, pubrec.cpp, pubrel.cpp, pubcomp.cpp
    void handle_puback(Link& link, mqtt::PubAck const& packet);
    void handle_pubrec(Link& link, mqtt::PubRec const& packet);
    void handle_pubrel(Link& link, mqtt::PubRel const& packet);
    void handle_pubcomp(Link& link, mqtt::PubComp const& packet);

    // handle/subscribe.cpp, unsubscribe.cpp
    void handle_subscribe(Link& link, mqtt::Subscribe const& packet);
    [[nodiscard]] mqtt::ReasonCode judge_filter(Session& session, std::string_view filter) const;
    [[nodiscard]] mqtt::ReasonCode subscribe(Session& session, mqtt::Subscribe const& packet,
                                             mqtt::Subscription const& wanted, StoreTicket& ticket,
                                             std::vector<RetainedReplay>& replays);
    void handle_unsubscribe(Link& link, mqtt::Unsubscribe const& packet);

    // handle/disconnect.cpp
    void handle_disconnect(Link& link, mqtt::Disconnect const& packet);

    // acks.cpp
    enum class Waiting : std::uint8_t {
        connack,
        answer,       // to a publish, but not the last one; to UNSUBSCRIBE
        last_answer,  // to a publish
        completion,   // PUBCOMP: the last answer too
        suback,
        release,  // PUBREL
    };
    template <class Packet>
    [[nodiscard]] static Waiting waiting_as(Packet const& packet) noexcept;
    struct DeferredAck {
        StoreTicket ticket;
        Link* link;
        Buffer packet;
        Waiting kind;
    };
    /// Everything up to `ticket` is on disk: what waited for it goes on.
    void on_durable(StoreTicket ticket);
    void release_answers();
    void defer(Link& link, StoreTicket ticket, Waiting kind);
    void drop_deferred(Link& link) noexcept;
    template <class Packet>
    bool send(Link& link, Packet packet, StoreTicket ticket = kNothingToWaitFor);
    void send_ack(Link& link, mqtt::PacketType type, mqtt::PacketId id, mqtt::ReasonCode reason,
                  StoreTicket ticket, std::string_view why = {});

    // link_end.cpp: how links and sessions end
    enum class Will : bool { discard, publish };
    void close_link(Link& link, mqtt::ReasonCode reason, std::string_view why,
                    Will will = Will::publish);
    void log_end(Link const& link, std::string_view how);
    /// `end`: what is told of it; `why`: of the deliveries to a session that ends with the link.
    void detach(Link& link, Will will, LinkEnd const& end,
                std::string_view why = why::kSessionEnded);
    void take_back(Link& link, Session& session);
    void end_session(Session& session, std::string_view why);
    void pass_on(Session& session, std::string_view why);
    void pass_on(Publication& publication, Grant const& grant, SessionNumber session);
    void publish_will(Session& session);
    void schedule(Session& session);
    void on_link_timer(Link& link);
    void on_session_timer(Session& session);

    // storing.cpp: what outlives the process, and what of a queue is in memory
    struct Held {
        StoreTicket ticket;
        SessionRef session;
        mqtt::PacketId id;
        std::uint64_t send_number;
    };
    struct Eviction {
        StoreTicket ticket;
        SessionRef session;
        std::uint64_t position;  // in the session's queue
    };
    struct PassedOn {  // of a session that has ended, until its message is read
        SessionNumber session;
        Delivery delivery;
        std::string client_id;
        Fate end;  // unless another member gets it
    };
    [[nodiscard]] bool stores(Session const& session) const noexcept {
        return is_durable_ && session.is_stored();
    }
    [[nodiscard]] bool is_store_good() const noexcept {
        return store_.health() == StoreHealth::good;
    }
    /// What is said while the store takes no changes.
    [[nodiscard]] Refusal store_refusal() const noexcept;
    void on_store_bad();
    StoreTicket store_session(Session const& session);
    void remove_stored(Session& session);
    StoreTicket store_rest(Session const& session);
    void note_passed_on(SessionNumber session);
    [[nodiscard]] static StoredDelivery stored(Session const& session, Delivery const& delivery);
    StoreTicket store_progress(Session const& session, Outbound const& outbound);
    void discard(Session const& session, StoredAs as, Removal why = Removal::done);
    /// The delivery of a message that nobody was sent yet.
    [[nodiscard]] static StoredDelivery first_stored(SessionNumber session,
                                                     Publication& publication, Grant const& grant,
                                                     SubscriptionIds const& ids);
    /// For whom several messages are stored one by one, beside route().
    [[nodiscard]] StoredAs store_own(Session const& session, Publication& publication,
                                     Grant const& grant, SubscriptionIds const& ids);
    void evict_later(Session& session);
    void evict(Eviction const& eviction);
    void read_ahead(Session& session);
    void on_loaded(LoadedMessage& loaded);
    void on_loaded(Session& session, LoadedMessage& loaded);
    void pass_on_later(Session const& session, Delivery const& delivery, Fate const& end);

    // client_events.cpp
    [[nodiscard]] std::int64_t now_us() const noexcept;
    void number(Link& link) noexcept;
    [[nodiscard]] bool has_listener(std::string_view client_id, std::string_view what);
    void tell_connected(Link const& link, CheckedConnect const& connect, bool session_present);
    void tell_disconnected(Link const& link, LinkEnd const& end);

    // receipts.cpp: what publishers who asked are told of their messages
    struct ToldLater {  // until its message is read
        SessionNumber session;
        StoredAs as;
        std::string client_id;
        mqtt::Qos qos;
        Fate fate;
        bool session_ended;
    };
    void tell(std::optional<std::string_view> client_id, Message const& message, mqtt::Qos qos,
              Fate const& fate);
    void tell(Session const& session, Message const& message, mqtt::Qos qos, Fate const& fate);
    /// A delivery that comes to nothing: told, if its publisher wants to know, and no longer
    /// stored.
    void drop(Session const& session, Delivery const& delivery, Fate const& fate,
              Removal removal = Removal::done);
    /// The same, when it was not queued or sent yet.
    void drop(Session const& session, Publication& publication, mqtt::Qos qos, StoredAs as,
              Fate const& fate);
    void drop_at_end(Session const& session, Delivery const& delivery, Fate const& fate);
    /// The same, its session being gone.
    void drop_for_nobody(Publication& publication, Grant const& grant, SessionNumber session);
    void tell_rejected(Publication& publication, Target const& target);
    void tell_later(Session const& session, StoredAs as, mqtt::Qos qos, Fate const& fate,
                    bool session_ended = false);
    [[nodiscard]] bool tell_loaded(LoadedMessage const& loaded);
    /// What the receiver has answered; it is no longer stored.
    void finish(Session const& session, OutboundWindow::Settled const& settled, mqtt::Qos qos,
                mqtt::ReasonCode reason);
    [[nodiscard]] static Fate expired(Outbound const& outbound) noexcept;
    /// Not before its packet id is durable is it certain that what waits was never sent.
    [[nodiscard]] static bool is_held_first(Delivery const& delivery) noexcept {
        return delivery.is_stored() &&
               (delivery.qos == mqtt::Qos::exactly_once || delivery.wants_receipt);
    }
    /// Has the expiry of a message for the session told when it comes, whatever the client does.
    void watch_receipt(Session& session, Deadline deadline);
    void on_receipt_timer(Session& session);
    [[nodiscard]] Deadline expire_in_window(Session& session);
    [[nodiscard]] Deadline expire_in_queue(Session& session);
    [[nodiscard]] Deadline expire_on_disk(Session& session);
    void mark_over(Session& session, Delivery& delivery);
    [[nodiscard]] bool has_expired(Deadline deadline) const noexcept {
        return deadline <= now_.wall.time_since_epoch().count();
    }

    // router.cpp
    /// Whether the message was promised before: then it is not refused while the store takes no
    /// changes, but kept until it does.
    enum class Promised : bool { no, yes };
    /// Hands the message to every receiver, storing it first for those that are stored.
    Routed route(Publication& publication, Promised promised = Promised::no);
    std::uint32_t route_merged(Publication& publication);
    [[nodiscard]] bool has_kept_receiver() const noexcept;
    void gather_targets(Publication const& publication);
    Routed hand_out(Publication& publication, Promised promised);
    Routed route_to(Publication& publication, ChosenMember const& member);
    template <class Visit>
    std::uint32_t each_merged(Publication const& publication, Visit&& visit);
    [[nodiscard]] static bool is_own(Publication const& publication,
                                     Subscriber const& subscriber) noexcept;
    [[nodiscard]] static Grant grant(Publication const& publication,
                                     Subscriber const& subscriber) noexcept;
    void dispatch(Publication& publication, SessionRef to, Grant grant, SubscriptionIds ids,
                  SessionNumber number = {});
    void dispatch(Publication& publication, ChosenMember const& member);
    void batch(Publication& publication, std::uint8_t shard, Receiver receiver);
    /// Takes over what PUBLISH with RETAIN asks for, before routing; false if the retained store is
    /// full.
    bool retain(Publication& publication, StoreTicket& ticket);

    // deliver.cpp
    void deliver(Session& session, Publication& publication, Grant grant, SubscriptionIds ids);
    /// Whether the session's client may have what is published to `topic`, now; else that is
    /// counted.
    [[nodiscard]] bool may_have(Session& session, std::string_view topic);
    void deliver_qos0(Session& session, Publication& publication, bool retain,
                      SubscriptionIds const& ids);
    /// Whether or not the out-queue has room.
    void send_qos0(Session& session, Publication& publication, bool retain,
                   SubscriptionIds const& ids);
    /// First sending of a QoS 1 or 2 delivery, whose message may not be made yet.
    void send_new(Session& session, Publication& publication, Delivery delivery);
    void send_again(Session& session, Outbound& outbound);
    /// Gives a QoS 2 delivery its packet id, which must be durable before it is sent.
    void hold(Session& session, MessagePtr message, Delivery delivery);
    void enqueue(Session& session, Publication& publication, Delivery delivery);
    [[nodiscard]] bool is_queue_full(Session const& session) const noexcept;
    /// Whether there is room now for one more; logs the first time that there is not.
    [[nodiscard]] bool make_queue_room(Session& session);
    void note_queue(Session& session);
    void log_queue_full(Session const& session);
    [[nodiscard]] Delivery take_queued(Session& session);
    /// What is not to be sent after all.
    void give_up(Session& session, mqtt::PacketId id, Fate const& fate);
    [[nodiscard]] bool has_room(Link& link);
    [[nodiscard]] bool window_is_open(Session const& session) const noexcept;
    /// Sends again what must be, then what is queued, as far as window and socket allow.
    void pump(Session& session);
    void pump_again(Session& session, Outbound& again);
    [[nodiscard]] bool is_over_in_flight(Session const& session, Message const& message) const;
    void pump_queued(Session& session);
    /// Ends a delivery that cannot be sent again.
    void end_again(Session& session, Outbound const& again, Fate const& fate);
    /// Ends a delivery that must not be written any more, and of which the client may know.
    void release_unsent(Session& session, mqtt::PacketId id, Fate const& fate);
    void start_replay(Session& session, RetainedReplay replay);
    /// One slice of retained messages for a new subscription; false when all are sent or must wait.
    bool replay_slice(Session& session);
    [[nodiscard]] bool may_replay(Session const& session);
    void replay_batch(Session& session);
    void on_replays();

    CoreSettings settings_;
    SubscriptionIndex& index_;
    RetainedMessages& retained_;
    std::span<KeptSessions> kept_;
    ShardStore& store_;
    bool is_durable_;
    ClusterBus& bus_;
    ShardPort& port_;
    std::uint8_t shard_;
    std::uint8_t shard_count_;
    Now now_;
    std::chrono::microseconds below_ms_{};  // of the wall clock
    Counters counters_;
    SegmentPool segments_;
    PacketWriter writer_;
    TimerWheel wheel_;
    SessionTable sessions_;
    std::mt19937_64 random_;
    std::vector<Link*> touched_;
    std::vector<ShardBatch> batches_;
    std::vector<Session*> replaying_;
    std::deque<DeferredAck> deferred_;                      // in the order of their tickets
    std::unordered_map<AuthTicket, Link*> authenticating_;  // those which wait for a verdict
    std::uint64_t last_auth_ticket_ = 0;
    std::int64_t last_connection_ = 0;
    StoreTicket durable_{};
    StoreHealth health_ = StoreHealth::good;              // as on_store_news() knew it last
    std::deque<Held> held_;                               // in the order of their tickets
    std::deque<Eviction> evictions_;                      // in the order of their tickets
    std::unordered_map<std::string, StoreTicket> ended_;  // sessions that are still in the store
    std::deque<std::pair<StoreTicket, std::string>> ended_in_order_;  // of their tickets
    std::unordered_map<DeliveryNumber, PassedOn> passed_on_;
    std::unordered_map<SessionNumber, std::uint32_t> passing_on_;  // how many each still has there
    std::unordered_map<DeliveryNumber, ToldLater> told_later_;
    std::vector<MessagePtr> news_;  // to be published at the end of the turn
    std::vector<Link*> readable_again_;
    SteadyTime retained_full_logged_{};
    bool making_room_ = false;  // while has_room() flushes
    // Scratch, kept to save allocations
    Matches matches_;
    std::vector<Hit> hits_;
    std::vector<std::uint32_t> identifiers_;
    std::vector<OutQueue::Taken> taken_;
    std::vector<mqtt::PacketId> expired_ids_;
    std::vector<MessagePtr> news_now_;
    std::vector<MessagePtr> slice_;
    std::vector<MessagePtr> expired_;
    std::vector<Target> targets_;
    std::vector<StoredDelivery> stored_;
    std::vector<StoredAs> wanted_;
    std::vector<LoadedMessage> loaded_;
    std::vector<Link*> shutting_down_;
    std::string mounted_;
    std::string receipt_topic_;
    std::string event_topic_;
    Matches listeners_;
    Buffer packet_;
};

}  // namespace spoke::broker
