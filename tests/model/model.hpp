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

/// The settings of the broker that a client can notice.
struct Rules {
    std::uint16_t receive_maximum = 1024;
    std::uint16_t inflight_max = 128;
    std::uint16_t topic_alias_max = 64;
    std::uint16_t keep_alive_max = 0;
    std::uint32_t queue_messages_max = 10'000;
    std::uint32_t session_expiry_max = mqtt::kSessionNeverExpires;
    std::uint32_t subscriptions_per_session_max = 100'000;
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
    int share_number = 0;                      // of the groups of that filter one after another
    std::string replay{};                      // filter whose SUBSCRIBE asked for it, if retained
    bool is_replay = false;
    bool is_optional = false;  // it may come or not: its topic changed before its turn
};

enum class Stage { awaiting_puback, awaiting_pubrec, awaiting_pubcomp };

struct InFlight {
    std::uint16_t id = 0;
    Stage stage = Stage::awaiting_puback;
    Delivery delivery;
    bool is_sent = true;         // on the connection there is now
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
    std::uint32_t expiry = 0;  // seconds
    Millis expires_at = kNever;
    std::optional<mqtt::Will> will{};
    Millis will_at = kNever;
    std::map<std::string, Subscription> subscriptions{};
    std::set<std::uint16_t> held{};   // QoS 2 publishes that the client has not released
    std::list<InFlight> in_flight{};  // in the order of their first sending
    std::list<Delivery> waiting{};    // in the order they came
    std::vector<Replay> replays{};    // that have not ended
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
struct SeenSession {
    std::vector<SeenDelivery> queue{};
    std::map<std::uint16_t, Stage> window{};
};

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
    /// The process ends without a word and starts again. `is_durable`: sessions that outlive their
    /// connection and retained messages are there again.
    void restart(bool is_durable);

    // --- where the specification leaves a choice ---

    /// The choices the next event makes: which member of a share group gets a message, in steps
    /// from one where `copies` says that it is; and, where queues are short, which group comes
    /// first. Those not given are 0.
    void set_choices(std::vector<std::size_t> choices, Copies copies);
    /// How many possibilities each choice had since set_choices().
    [[nodiscard]] std::vector<std::size_t> const& possibilities() const { return possibilities_; }

    /// Compares what the broker did since the last check.
    [[nodiscard]] Finding check(Seen const& seen);

    // --- for whoever plays the clients ---

    [[nodiscard]] Millis now() const { return now_; }
    [[nodiscard]] Connection const* connection(LinkId link) const;
    [[nodiscard]] Session const* session(std::string const& client) const;
    [[nodiscard]] std::map<std::string, Session> const& sessions() const { return sessions_; }
    [[nodiscard]] bool has_share_groups() const;

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
    void answer(LinkId link, mqtt::Packet packet) { due_[link].push_back(std::move(packet)); }

    // model_routing.cpp: from a message to its receivers
    std::size_t route(MessageRef const& message);
    void retain(MessageRef const& message);
    void replay_changed(MessageRef const& message);
    void start_replay(Session& session, Replay const& replay);
    void deliver_shared(std::string const& filter, std::vector<Session*> members,
                        MessageRef const& message);
    void pass_on(Session const& session);
    void shuffle(std::vector<std::string>& texts);
    [[nodiscard]] std::size_t choose(std::size_t count);
    [[nodiscard]] std::size_t choose(std::vector<Session*> const& members, Message const& message);
    void deliver(Session& session, Delivery delivery);
    [[nodiscard]] bool is_full(Session const& session) const;
    [[nodiscard]] bool has_expired(Message const& message) const {
        return message.deadline <= now_;
    }

    // model_check.cpp
    enum class Fit { fits, may_fit, does_not_fit };
    [[nodiscard]] Fit fit(Delivery const& delivery, Connection const& connection) const;
    [[nodiscard]] Finding check_answers(LinkId link, std::vector<mqtt::Packet> const& packets);
    [[nodiscard]] Finding take(LinkId link, mqtt::Publish packet);
    [[nodiscard]] Finding take_again(Session& session, Connection const& connection,
                                     std::list<InFlight>::iterator again,
                                     mqtt::Publish const& packet);
    [[nodiscard]] Finding take_new(Session& session, Connection const& connection,
                                   mqtt::Publish const& packet);
    [[nodiscard]] bool shows(mqtt::Publish const& packet, Delivery const& delivery,
                             Connection const& connection) const;
    [[nodiscard]] Finding check_rest(Session& session, Connection const& connection);
    [[nodiscard]] Finding check_session(Session const& session, SeenSession const& seen) const;
    [[nodiscard]] Finding check_sessions(Seen const& seen) const;
    [[nodiscard]] Finding check_retained(Seen const& seen) const;
    [[nodiscard]] static std::uint32_t used_window(Session const& session);

    Rules rules_;
    Millis now_ = 0;
    std::map<std::string, Session> sessions_;
    std::map<LinkId, Connection> connections_;
    std::map<std::string, MessageRef> retained_;
    std::map<std::string, int> groups_;  // how many there were of each shared filter
    std::uint64_t releases_ = 0;
    std::uint64_t wills_ = 0;
    // Since the last check.
    std::map<LinkId, std::vector<mqtt::Packet>> due_;
    std::vector<std::size_t> choices_;
    std::vector<std::size_t> possibilities_;
    Copies copies_;
    Copies used_;
};

}  // namespace spoke::model
