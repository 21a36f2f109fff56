#pragma once

#include <cstdint>
#include <limits>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/packet/packet.hpp"

/// A broker as the specification and our README describe it: maps, lists, and no regard to speed.
/// It shares no code with broker/.
namespace spoke::model {

using Millis = std::int64_t;  // since the sequence began
inline constexpr Millis kNever = std::numeric_limits<Millis>::max();

/// A network connection of a test client: two clients may use one client id.
using LinkId = int;

/// What does not hold, in words.
using Finding = std::optional<std::string>;

/// What becomes of a message for a queue that is full.
enum class WhenFull { reject, drop_oldest, drop_new };

/// The settings of the broker that a client can notice.
struct Rules {
    std::uint16_t receive_maximum = 1024;
    std::uint16_t inflight_max = 128;
    std::uint16_t topic_alias_max = 64;
    std::uint16_t keep_alive_max = 0;
    std::uint32_t queue_messages_max = 10'000;
    std::uint32_t session_expiry_max = mqtt::kSessionNeverExpires;
    std::uint32_t subscriptions_per_session_max = 100'000;
    WhenFull when_full = WhenFull::reject;
    bool rejection_closes_v3 = true;
    bool is_durable = false;  // sessions that outlive their connection outlive the process too
    /// Which shard each client's session is on: what shards know of each other's queues is some
    /// moments old.
    std::map<std::string, int> shards{};
};

struct Message {
    std::string publisher;  // client id
    std::string topic;
    std::string payload;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;
    Millis deadline = kNever;
    mqtt::MessageProperties properties{};  // as published; the interval is told by the deadline
};
using MessageRef = std::shared_ptr<Message const>;

/// A message for one session, as its subscriptions made it.
struct Delivery {
    MessageRef message;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    bool retain = false;
    std::vector<std::uint32_t> identifiers{};  // sorted
    std::string share{};                       // full filter of the share group it came through
    std::string replay{};                      // filter whose SUBSCRIBE asked for it, if retained
    bool is_replay = false;
    bool is_optional = false;  // it may come or not: its topic changed before its turn
    bool comes_late = false;   // another member's, which was on disk: in no order with others
    bool had_turn = false;     // it had its packet id, but may not be sent as it is too large
    bool has_left = false;     // it had a place in the window when its connection ended just now
};

/// Whether it stands in the queue while it waits: QoS 1 and 2; retained messages wait where they
/// are stored.
[[nodiscard]] inline bool takes_room(Delivery const& delivery) {
    return delivery.qos != mqtt::Qos::at_most_once && !delivery.is_replay && !delivery.has_left;
}

enum class Stage { awaiting_puback, awaiting_pubrec, awaiting_pubcomp };

struct InFlight {
    std::uint16_t id = 0;
    Stage stage = Stage::awaiting_puback;
    Delivery delivery;
    bool is_sent = true;         // on the connection there is now
    bool is_new = false;         // it was never sent: its id had to be durable first
    bool is_held = false;        // its id is not durable yet
    bool is_fresh = false;       // it has its id since the last event
    std::uint64_t released = 0;  // order of the PUBRECs
};

struct Subscription {
    mqtt::SubscriptionOptions options{};
    std::uint32_t identifier = 0;
};

struct Replay {
    std::string filter;
    mqtt::Qos qos = mqtt::Qos::at_most_once;
    std::uint32_t identifier = 0;
};

struct Session {
    std::string client;
    std::optional<LinkId> link{};
    bool is_stored = false;    // it began as one that outlives its connection
    std::uint32_t expiry = 0;  // seconds
    Millis expires_at = kNever;
    std::optional<mqtt::Will> will{};
    Millis will_at = kNever;
    std::map<std::string, Subscription> subscriptions{};
    std::set<std::uint16_t> held{};   // QoS 2 publishes that the client has not released
    std::list<InFlight> in_flight{};  // in the order of their first sending
    std::list<Delivery> waiting{};    // in the order they came
    std::vector<Replay> replays{};    // that have not ended
    bool was_full = false;            // its queue, before what happens now
};

struct Connection {
    std::string client;
    mqtt::Version version = mqtt::Version::v5;
    Millis last_packet = 0;
    std::uint16_t keep_alive = 0;
    std::uint32_t window = 0;  // deliveries that may be open
    std::uint32_t packet_size_max = 0;
    std::uint16_t alias_maximum = 0;                // of the client
    std::map<std::uint16_t, std::string> theirs{};  // aliases the client has set
    std::map<std::uint16_t, std::string> ours{};    // aliases the broker has set
    std::set<std::uint16_t> open{};  // QoS 2 publishes of this connection, not released

    [[nodiscard]] bool is_v5() const { return version == mqtt::Version::v5; }
};

/// What a session of the real broker holds, to compare.
struct SeenDelivery {
    std::string topic;
    std::string payload;
    mqtt::Qos qos;
    bool retain;
    std::vector<std::uint32_t> identifiers;
};
struct SeenInFlight {
    std::uint16_t id;
    Stage stage;
    std::optional<SeenDelivery> delivery{};  // if it may be sent again
    std::uint64_t released = 0;              // order of the PUBRECs, in the store
};
struct SeenSession {
    std::vector<SeenDelivery> queue{};
    std::vector<SeenInFlight> window{};  // in the order of their first sending
};

/// What a durable store holds of a session.
struct Stored {
    std::uint32_t expiry = 0;
    bool is_connected = false;
    Millis expires_at = kNever;  // this and the next while not connected
    Millis will_at = kNever;
    std::string will{};
    std::map<std::string, std::string> subscriptions{};  // filter: options
    std::set<std::uint16_t> held{};
    friend bool operator==(Stored const&, Stored const&) = default;
};
struct SeenStored {
    Stored session{};
    SeenSession deliveries{};
};
struct SeenStore {
    std::map<std::string, SeenStored> sessions{};
    std::map<std::string, SeenDelivery> retained{};
};
[[nodiscard]] std::string text_of(mqtt::Will const& will);
[[nodiscard]] std::string text_of(Subscription const& subscription);

/// How often each client was seen to have each payload.
using Copies = std::map<std::pair<std::string, std::string>, int>;

/// What one step made of the real broker.
struct Seen {
    std::map<LinkId, std::vector<mqtt::Packet>> packets{};
    std::set<LinkId> open{};
    std::map<std::string, SeenSession> sessions{};
    std::map<std::string, SeenDelivery> retained{};
    std::uint64_t wills = 0;
    std::uint64_t connections = 0;
    std::uint64_t subscriptions = 0;
    std::optional<std::uint64_t> stored_sessions{};  // in a durable store
    std::optional<std::uint64_t> stored_deliveries{};
};

/// A packet that is to come; or, if its connection ended while it waited for the disk, may come.
struct Due {
    mqtt::Packet packet;
    bool may_be_lost = false;
};

/// Takes the same events as the broker; check() says whether the broker did what it may do. A copy
/// is a state to go back to.
class Model {
public:
    explicit Model(Rules const& rules) : rules_(rules) {}

    // --- events ---

    void connect(LinkId link, mqtt::Connect const& packet);
    /// Any packet but CONNECT.
    void receive(LinkId link, mqtt::Packet const& packet);
    void cut(LinkId link);
    /// The next time at which something is due.
    [[nodiscard]] Millis next_timer() const;
    /// Time goes by, up to the next timer at most; what is due then happens.
    void advance(Millis now);
    /// The process ends without a word and starts again: where the store is durable, with retained
    /// messages and the sessions that outlive their connection.
    void restart();
    /// From here on nothing becomes durable, until let_go() or a restart.
    void hold();
    void let_go();

    // --- where the specification leaves a choice ---

    /// The choices the next event makes: which member of a share group gets a message, in steps
    /// from one where `copies` says that it is; where queues are short, which group comes first;
    /// and what comes first of all that is due at one moment. Those not given are 0.
    void set_choices(std::vector<std::size_t> choices, Copies copies);
    /// How many possibilities each choice had since set_choices().
    [[nodiscard]] std::vector<std::size_t> const& possibilities() const { return possibilities_; }

    /// Compares what the broker did since the last check.
    [[nodiscard]] Finding check(Seen const& seen);
    /// Compares what is in the store when the process ends. If it held something back, this is the
    /// state behind one of the events since, the last of which may be stored in part, and `last`
    /// the one behind all of them; takes over which it is.
    [[nodiscard]] Finding check_store(SeenStore const& seen, Model const& last);

    // --- for whoever plays the clients ---

    [[nodiscard]] Millis now() const { return now_; }
    [[nodiscard]] Connection const* connection(LinkId link) const;
    /// Whether it has no CONNACK yet.
    [[nodiscard]] bool awaits_connack(LinkId link) const;
    /// Answers that are still to come.
    [[nodiscard]] std::size_t due_count(LinkId link) const;
    [[nodiscard]] Session const* session(std::string const& client) const;
    [[nodiscard]] std::map<std::string, Session> const& sessions() const { return sessions_; }
    /// Whether what comes next may be open: there are share groups.
    [[nodiscard]] bool has_choices() const;

private:
    // model.cpp: connections and sessions
    void take_over(Session& session);
    void detach(LinkId link);
    void close(LinkId link, mqtt::ReasonCode reason);
    void end_session(std::string const& client);
    void publish_will(std::string const& client, mqtt::Will const& will);
    void resume(Session& session);

    // model_packets.cpp: one for each packet
    void on(LinkId link, mqtt::Publish const& packet);
    void on(LinkId link, mqtt::PubAck const& packet);
    void on(LinkId link, mqtt::PubRec const& packet);
    void on(LinkId link, mqtt::PubRel const& packet);
    void on(LinkId link, mqtt::PubComp const& packet);
    void on(LinkId link, mqtt::Subscribe const& packet);
    void on(LinkId link, mqtt::Unsubscribe const& packet);
    void on(LinkId link, mqtt::Disconnect const& packet);
    [[nodiscard]] std::optional<std::string> topic_of(LinkId link, mqtt::Publish const& packet);
    [[nodiscard]] mqtt::ReasonCode subscribe(LinkId link, mqtt::Subscribe const& packet,
                                             mqtt::Subscription const& wanted);
    void acknowledge(LinkId link, mqtt::Publish const& packet, mqtt::ReasonCode reason);
    void reject(LinkId link, mqtt::Publish const& packet);
    void answer(LinkId link, mqtt::Packet packet) { due_[link].push_back({std::move(packet)}); }

    // model_routing.cpp: from a message to its receivers
    struct Routed {
        std::size_t receivers = 0;
        std::size_t rejected = 0;  // of them
    };
    /// `from`: the client on whose shard this is done.
    Routed route(MessageRef const& message, std::string const& from);
    void retain(MessageRef const& message);
    void replay_changed(MessageRef const& message);
    void start_replay(Session& session, Replay const& replay);
    /// False if the member's queue rejects it.
    [[nodiscard]] bool deliver_shared(std::string const& filter, std::vector<Session*> members,
                                      MessageRef const& message, std::set<std::string> const& full,
                                      bool comes_late = false);
    void pass_on(Session const& session);
    void shuffle(std::vector<std::string>& texts);
    [[nodiscard]] std::size_t choose(std::size_t count);
    [[nodiscard]] std::size_t choose(std::vector<Session*> const& members, Message const& message);
    void deliver(Session& session, Delivery delivery);
    /// Clients whose queues are known to be full where `from` has its session.
    [[nodiscard]] std::set<std::string> rejecting(std::string const& from) const;
    [[nodiscard]] std::set<std::string> rejecting_later(std::string const& from);
    [[nodiscard]] std::uint64_t room(Session const& session) const;
    void drop_oldest(Session& session);
    [[nodiscard]] bool is_full(Session const& session) const;
    [[nodiscard]] bool has_expired(Message const& message) const {
        return message.deadline <= now_;
    }

    // model_check.cpp
    enum class Fit { fits, may_fit, does_not_fit };
    [[nodiscard]] Fit fit(Delivery const& delivery, Connection const& connection) const;
    [[nodiscard]] bool may_be_sent(InFlight const& each, Connection const& connection) const;
    [[nodiscard]] Finding check_answers(LinkId link, std::vector<mqtt::Packet> const& packets);
    [[nodiscard]] bool take_release(LinkId link, mqtt::PubRel const& packet);
    [[nodiscard]] std::list<InFlight>::iterator pass_over(Session& session,
                                                          std::list<InFlight>::iterator each);
    [[nodiscard]] Finding take(LinkId link, mqtt::Publish packet);
    [[nodiscard]] Finding take_again(Session& session, Connection const& connection,
                                     std::list<InFlight>::iterator again,
                                     mqtt::Publish const& packet);
    [[nodiscard]] Finding take_new(Session& session, Connection const& connection,
                                   mqtt::Publish const& packet);
    [[nodiscard]] bool shows(mqtt::Publish const& packet, Delivery const& delivery,
                             Connection const& connection) const;
    [[nodiscard]] Finding check_rest(Session& session, Connection const& connection);
    [[nodiscard]] Finding check_rest(Session& session);
    [[nodiscard]] Finding check_session(Session& session, SeenSession const& seen) const;
    void take_held(Session& session, SeenSession const& seen) const;
    [[nodiscard]] static Finding take_order(Session& session, SeenSession const& seen);
    [[nodiscard]] Finding check_sessions(Seen const& seen);
    [[nodiscard]] Finding check_store(Seen const& seen) const;
    [[nodiscard]] Finding check_promises(Seen const& seen);
    [[nodiscard]] std::vector<std::string> stored_texts() const;
    [[nodiscard]] static Stored stored(Session const& session);
    static void take_unsent(Session& session, SeenSession const& seen);
    [[nodiscard]] Finding check_retained(Seen const& seen) const;
    [[nodiscard]] static std::uint32_t used_window(Session const& session);

    Rules rules_;
    Millis now_ = 0;
    std::map<std::string, Session> sessions_;
    std::map<LinkId, Connection> connections_;
    std::map<std::string, MessageRef> retained_;
    std::uint64_t releases_ = 0;
    std::uint64_t wills_ = 0;
    bool is_holding_ = false;
    std::vector<std::string> stored_before_;  // while it is holding
    // Since the last check.
    std::map<LinkId, std::vector<Due>> due_;
    std::map<LinkId, Connection> ended_;
    std::vector<std::size_t> choices_;
    std::vector<std::size_t> possibilities_;
    Copies copies_;
    Copies used_;
};

}  // namespace spoke::model
