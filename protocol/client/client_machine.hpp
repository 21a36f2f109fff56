#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/base/bytes.hpp"
#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"
#include "protocol/client/client_options.hpp"
#include "protocol/client/inbound.hpp"
#include "protocol/client/keep_alive.hpp"
#include "protocol/client/outbound.hpp"
#include "protocol/client/topic_aliases.hpp"
#include "protocol/client/wire.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// MQTT client as a state machine, versions 3.1.1 and 5: bytes, time and wishes in, events out.
/// Owns    the client's half of the session: queue, publishes in flight, received QoS 2 ids. It
///         lives over many connections: open() begins one, on_closed() ends it.
/// States  closed -> connecting (CONNECT is out) -> connected -> closed.
/// Output  is pulled: after any call has_output() says whether take_output() has something. So the
///         transport gathers a loop turn into one write, and expiry is checked when it writes.
/// Memory  below 1 KiB when idle, no buffers.
/// Thread  one at a time.
class ClientMachine {
public:
    /// In  `events` outlives the machine.
    ClientMachine(ClientOptions const& options, ClientEvents& events);
    ClientMachine(ClientMachine const&) = delete;
    ClientMachine& operator=(ClientMachine const&) = delete;
    ~ClientMachine() = default;

    // The transport's side.

    /// A transport is up: begins a connection with this CONNECT. The machine must be closed, and
    /// the call must not come out of an event. clean_start gives up what the session holds
    /// (SessionLost decides about its publishes). With an empty client id and without clean_start
    /// the id that the server assigned last time is used.
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
    [[nodiscard]] std::size_t output_bytes() const noexcept { return wire_.outbox.size(); }

    /// Appends to `out` what goes to the socket next, whole packets, about 64 KiB at most. What was
    /// taken counts as handed to the socket. Until on_written() further publishes wait in the
    /// queue, where they can still expire.
    void take_output(Buffer& out, Now now);

    /// All that was taken has been written.
    void on_written() noexcept { wire_.writing = false; }

    /// When on_deadline() wants to be called; nullopt if never. Changes with every call: compare
    /// with the timer that runs, and let a timer which fires too early just ask again.
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const noexcept;

    /// Time has passed: keep alive, time-outs, expiry in the queue. May be called at any time.
    void on_deadline(Now now);

    // The application's side.

    /// Sends or queues a message. One on_published() with `options.token` follows, perhaps at once.
    /// In      `packet`: topic, payload, QoS, retain and properties; id, dup and alias are the
    ///         machine's. The message expiry interval counts from now (0 has passed already), and
    ///         what goes out is the rest of it (v5).
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
    /// behind it.
    /// In      `reason`: of the table of PUBACK and PUBREC (v5; 3.1.1 knows only success).
    /// Out     false if it is too late: the connection of a QoS 1 message is gone (it will come
    ///         again), or the session of a QoS 2 message.
    bool acknowledge(AckToken token, ReasonCode reason, Now now);

    /// Sends AUTH (v5, with the authentication method of CONNECT). Ignored when closed.
    void authenticate(Auth const& packet, Now now);

    /// Ends the connection politely: DISCONNECT is the last output, on_closed(requested) comes at
    /// once. The session stays. Ignored when closed.
    void disconnect(Disconnect const& packet, Now now);

    /// Gives up every publish without an outcome: not_sent (abandoned) or unknown. The session
    /// itself stays. The machine must be closed.
    void abandon();

    [[nodiscard]] bool is_closed() const noexcept { return state_ == State::closed; }
    [[nodiscard]] bool is_connected() const noexcept { return state_ == State::connected; }
    /// Publishes that wait to be sent.
    [[nodiscard]] std::size_t queued() const noexcept { return outbound_.queued(); }
    /// Publishes QoS 1, 2 that are sent and not answered.
    [[nodiscard]] std::size_t in_flight() const noexcept { return outbound_.in_flight(); }
    /// The id that the server assigned; empty if it never did.
    [[nodiscard]] std::string_view assigned_client_id() const noexcept;

private:
    enum class State : std::uint8_t { closed, connecting, connected };
    enum class LastBytes : std::uint8_t { flush, drop };  // output at the end of a connection
    struct Request {
        RequestToken token{};
        PacketId id{};
        bool is_subscribe = true;
        std::uint32_t filters = 0;
    };
    struct Text {  // rarely used strings, to keep the idle machine small
        std::string assigned_client_id{};
        std::string authentication_method{};
    };

    void consume(Bytes bytes, Now now);
    [[nodiscard]] std::size_t complete_partial(Bytes bytes, Now now);
    void handle_frame(Bytes frame, Now now);
    void handle_publish(Bytes frame, Now now);
    [[nodiscard]] std::optional<std::string_view> resolve_alias(PublishView const& publish,
                                                                ReasonCode& reason);
    void deliver(ReceivedMessage const& message);

    void handle(ConnAck const& packet, Now now);
    void handle(PubAck const& packet, Now now);
    void handle(PubRec const& packet, Now now);
    void handle(PubRel const& packet, Now now);
    void handle(PubComp const& packet, Now now);
    void handle(SubAck const& packet, Now now);
    void handle(UnsubAck const& packet, Now now);
    void handle(PingResp packet, Now now);
    void handle(Disconnect const& packet, Now now);
    void handle(Auth const& packet, Now now);
    template <class Other>
    void handle(Other const& packet, Now now);

    void refuse(ConnAck const& packet);
    [[nodiscard]] bool is_session_plausible(ConnAck const& packet) const noexcept;
    [[nodiscard]] bool has_right_method(std::optional<std::string> const& method) const noexcept;
    void remember_assigned_id(ConnAck const& packet);
    [[nodiscard]] bool can_request(RequestToken token);
    template <class Packet>
    void send_request(Packet packet, RequestToken token, std::size_t filters);
    [[nodiscard]] Request* find_request(PacketId id, bool is_subscribe) noexcept;
    [[nodiscard]] RequestToken take(Request& request);
    void ping(Now now);
    void break_off(ReasonCode reason, std::string_view what);
    void close(Closed closed, LastBytes last);

    ClientOptions options_;
    ClientEvents& events_;
    Wire wire_;
    Outbound outbound_;
    Inbound inbound_;
    IncomingAliases aliases_;
    KeepAlive keep_alive_;
    Buffer partial_;  // the packet which has not come in full
    std::vector<Request> requests_;
    std::unique_ptr<Text> text_;
    SteadyTime connack_due_{};
    std::uint32_t packet_size_max_ = 0;
    std::uint16_t keep_alive_wanted_ = 0;  // seconds, of CONNECT
    State state_ = State::closed;
    bool clean_start_ = false;
    bool has_session_ = false;
    bool consuming_ = false;
};

}  // namespace spoke::mqtt
