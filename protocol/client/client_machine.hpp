#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// How long a publish lives.
enum class PublishScope : std::uint8_t {
    session,          // QoS 1, 2: over as many connections as it takes. QoS 0: as this_connection.
    this_connection,  // never sent again once this connection is gone; refused without a connection
};

struct PublishOptions {
    PublishToken token{};
    PublishScope scope = PublishScope::session;
    /// Not handed to the transport at or after this time; finer than the message expiry interval
    /// and good for 3.1.1 too. Whichever of the two is earlier counts.
    std::optional<SteadyTime> deadline{};
};

/// What happens to publishes of a session that the server no longer knows.
enum class SessionLost : std::uint8_t {
    resend,     // all go out as new ones
    fail_sent,  // those that may have arrived end as unknown, the others go out
    fail_all,   // those that may have arrived end as unknown, the others as not_sent
};

/// What a machine does by itself. The same for many machines as a rule.
struct ClientOptions {
    std::chrono::milliseconds connect_timeout{10'000};  // from open() to CONNACK
    std::chrono::milliseconds ping_timeout{10'000};     // from PINGREQ, or the last byte after it
    std::uint32_t packet_size_max =
        4 << 20;  // incoming; announced in v5 unless CONNECT names its own
    std::uint32_t queue_messages_max =
        1000;  // publishes waiting to be sent: one more ends as queue_full
    std::uint32_t queue_bytes_max = 1 << 20;  // of topic, payload and properties: likewise
    std::uint16_t in_flight_max =
        1000;  // QoS 1, 2 unanswered; the server's receive maximum if lower
    std::uint16_t requests_max = 1000;    // SUBSCRIBE and UNSUBSCRIBE unanswered
    std::uint16_t topic_aliases_max = 0;  // outgoing aliases to use; the server's maximum if lower
    SessionLost session_lost = SessionLost::resend;
    /// Goes on if the server has a session of which this machine knows nothing, because an earlier
    /// process left it; otherwise that is an error [MQTT-3.2.2-4]. Publish QoS 1, not 2, over such
    /// a session: the server may remember packet ids of the earlier process and take a QoS 2
    /// message for its repetition.
    bool may_inherit_session = false;
};

/// MQTT client as a state machine, versions 3.1.1 and 5: bytes, time and wishes in, bytes and
/// events out. Owns   the client's half of the session: queue, in-flight publishes, received QoS 2
/// ids. Lives over
///        many connections: open() begins one, on_closed() ends it, state stays for the next.
/// States closed -> connecting (CONNECT is out) -> connected -> closed.
/// Output is pulled: after any call, has_output() says whether take_output() has something, so that
/// the
///        transport gathers one loop turn into one write, and expiry is checked at the moment of
///        the write.
/// Memory about half a KiB idle, no buffers.
/// Thread one at a time.
class ClientMachine {
public:
    /// In  `events` outlives the machine.
    ClientMachine(ClientOptions const& options, ClientEvents& events);
    ClientMachine(ClientMachine const&) = delete;
    ClientMachine& operator=(ClientMachine const&) = delete;
    ~ClientMachine();

    // The transport's side.

    /// A transport is up: begins a connection with this CONNECT. The machine must be closed.
    /// clean_start gives up what the session holds (SessionLost decides about its publishes). With
    /// an empty client id and without clean_start the id that the server assigned last time is
    /// used.
    void open(Connect const& packet, Now now);

    /// Bytes from the server, cut anyhow. Ignored when closed.
    void on_bytes(Bytes bytes, Now now);

    /// The transport failed or the server closed it. `why` goes into Closed::text. Ignored when
    /// closed.
    void on_transport_closed(std::string_view why, Now now);

    /// Whether take_output() would give bytes.
    [[nodiscard]] bool has_output() const noexcept;

    /// Bytes encoded and not yet taken: a transport which cannot write should stop reading above a
    /// bound.
    [[nodiscard]] std::size_t output_bytes() const noexcept { return outbox_.size(); }

    /// Appends to `out` what goes to the socket next, whole packets, about 64 KiB at most. What was
    /// taken counts as handed to the socket. Until on_written() further publishes wait in the
    /// queue, where they can still expire.
    void take_output(Buffer& out, Now now);

    /// All that was taken has been written.
    void on_written() noexcept { writing_ = false; }

    /// When on_deadline() wants to be called; nullopt if never. Changes with every call: compare
    /// with the timer that runs, and let a timer which fires too early just ask again.
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const noexcept;

    /// Time has passed: keep alive, time-outs, expiry in the queue. May be called at any time.
    void on_deadline(Now now);

    // The application's side.

    /// Sends or queues a message. Exactly one on_published() with `options.token` follows, perhaps
    /// at once. In      `packet`: topic, payload, QoS, retain and properties; id, dup and alias are
    /// the machine's.
    ///         The message expiry interval counts from now; what goes out is the rest of it (v5).
    /// Bound   ClientOptions::queue_messages_max, queue_bytes_max: not_sent, queue_full.
    void publish(Publish const& packet, PublishOptions const& options, Now now);

    /// Sends SUBSCRIBE; its id is the machine's. One on_subscribed() or on_request_failed()
    /// follows.
    void subscribe(Subscribe const& packet, RequestToken token, Now now);

    /// Sends UNSUBSCRIBE; its id is the machine's. One on_unsubscribed() or on_request_failed()
    /// follows.
    void unsubscribe(Unsubscribe const& packet, RequestToken token, Now now);

    /// Acknowledges a message taken with Acknowledge::later. PUBACK and PUBREC leave in the order
    /// in which the messages came [MQTT-4.6.0-2] [MQTT-4.6.0-3], so one that waits holds back those
    /// behind it. In      `reason`: of the table of PUBACK and PUBREC (v5; 3.1.1 knows only
    /// success). Out     false if it is too late: the connection of a QoS 1 message is gone (it
    /// will come again), or
    ///         the session of a QoS 2 message.
    bool acknowledge(AckToken token, ReasonCode reason, Now now);

    /// Sends AUTH (v5, with the authentication method of CONNECT). Ignored when closed.
    void authenticate(Auth const& packet, Now now);

    /// Ends the connection politely: DISCONNECT is the last output, on_closed(requested) comes at
    /// once. The session stays. Ignored when closed.
    void disconnect(Disconnect const& packet, Now now);

    /// Gives up every publish that waits or is in flight (not_sent or unknown) and forgets the
    /// session. The machine must be closed.
    void abandon();

    [[nodiscard]] bool is_closed() const noexcept { return state_ == State::closed; }
    [[nodiscard]] bool is_connected() const noexcept { return state_ == State::connected; }
    /// Publishes that wait to be sent.
    [[nodiscard]] std::size_t queued() const noexcept;
    /// Publishes QoS 1, 2 that are sent and not answered.
    [[nodiscard]] std::size_t in_flight() const noexcept;
    /// The id that the server assigned; empty if it never did.
    [[nodiscard]] std::string_view assigned_client_id() const noexcept;

private:
    enum class State : std::uint8_t { closed, connecting, connected };

    State state_ = State::closed;
    bool writing_ = false;
    Buffer outbox_;
};

}  // namespace spoke::mqtt
