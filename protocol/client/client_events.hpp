#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/bytes.hpp"
#include "protocol/base/strong.hpp"
#include "protocol/base/time.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/packet/packet.hpp"

namespace spoke::mqtt {

/// Names one publish in its outcome. Chosen by the caller; the machine only hands it back.
using PublishToken = Strong<std::uint64_t, struct PublishTokenTag>;

/// Names one SUBSCRIBE or UNSUBSCRIBE in its answer. Chosen by the caller.
using RequestToken = Strong<std::uint64_t, struct RequestTokenTag>;

/// Names one received message until it is acknowledged. Chosen by the machine; 0 for QoS 0.
using AckToken = Strong<std::uint64_t, struct AckTokenTag>;

/// How a publish ended.
enum class PublishStatus : std::uint8_t {
    sent,          // QoS 0: handed to the transport; nothing more will ever be known
    acknowledged,  // PUBACK or PUBCOMP came; `reason` may still say no_matching_subscribers
    refused,       // the server answered with an error; `reason` is the server's
    not_sent,      // no byte was handed to the transport and none will be; `cause` says why
    unknown,       // handed to the transport, no answer, and it will not be sent again
};

/// Why a publish was not sent.
enum class NotSent : std::uint8_t {
    none,                  // it was sent
    not_connected,         // QoS 0, or for this connection only, and there is no connection
    queue_full,            // a bound of ClientOptions was reached
    expired,               // its message expiry or its deadline passed while it waited
    too_large,             // above the server's maximum packet size
    qos_not_supported,     // above the server's maximum QoS
    retain_not_supported,  // RETAIN, but the server keeps no retained messages
    topic_invalid,         // empty, too long, not UTF-8, or with a wildcard
    property_invalid,  // a property that MQTT cannot carry: longer than 65535 bytes or not UTF-8
    connection_lost,   // it was for this connection only, which ended before its turn came
    session_lost,      // the server forgot the session and SessionLost says to fail
    abandoned,         // abandon() was called
};

/// The end of one publish. Views live for the call.
struct PublishOutcome {
    PublishStatus status = PublishStatus::not_sent;
    NotSent cause = NotSent::none;
    ReasonCode reason = ReasonCode::success;  // of PUBACK, PUBREC or PUBCOMP
    std::string_view reason_string{};         // of the same packet
};

/// "expired", "queue full": for logs and error bodies.
[[nodiscard]] std::string_view name_of(NotSent cause) noexcept;

/// Why a SUBSCRIBE or UNSUBSCRIBE got no answer.
enum class RequestFailure : std::uint8_t {
    not_connected,    // nothing was sent
    filter_invalid,   // no filter, or one that is no topic filter; nothing was sent
    too_many,         // ClientOptions::requests_max are open already; nothing was sent
    too_large,        // above the server's maximum packet size; nothing was sent
    not_supported,    // a wildcard, share or identifier that the server lacks; nothing was sent
    connection_lost,  // sent perhaps; whether it took effect is unknown
};

/// "not connected": for logs.
[[nodiscard]] std::string_view name_of(RequestFailure why) noexcept;

/// Whether the machine acknowledges a received message itself.
enum class Acknowledge : std::uint8_t {
    now,    // PUBACK or PUBREC success goes out (behind earlier ones that still wait)
    later,  // the application calls ClientMachine::acknowledge()
};

/// A message from the server. Everything in it lives for the call.
struct ReceivedMessage {
    PublishView publish;  // its topic is resolved: never empty, also if an alias came
    Bytes frame;          // the packet as it came
    Version version{};
    AckToken token{};

    /// A copy with all properties and the resolved topic.
    [[nodiscard]] Publish to_publish() const;
};

/// Why a connection ended.
enum class CloseCause : std::uint8_t {
    requested,           // disconnect() was called
    refused,             // CONNACK with an error; `reason` is the server's
    server_disconnect,   // DISCONNECT came; `reason` is the server's
    transport,           // the transport ended or failed
    connect_timeout,     // no CONNACK in time
    keep_alive_timeout,  // nothing came, not even PINGRESP
    server_error,        // the server broke the protocol; `reason` is what it was told
};

/// The end of one connection.
struct Closed {
    CloseCause cause = CloseCause::transport;
    ReasonCode reason = ReasonCode::success;
    std::string text{};              // "server refused the connection: not authorized (0x87)"
    std::string server_reference{};  // v5: another server to use, as the server gave it
};

/// What the client machine tells its owner. Every function may call back into the machine (publish,
/// subscribe, acknowledge, disconnect, ...) but must not destroy it.
/// Thread  whichever calls the machine.
class ClientEvents {
public:
    virtual ~ClientEvents() = default;

    /// CONNACK success. `packet.session_present` says whether subscriptions are still there.
    virtual void on_connected(ConnAck const& packet) = 0;

    /// A message. A QoS 2 message is handed over once, at its first PUBLISH.
    virtual Acknowledge on_message(ReceivedMessage const& message) = 0;

    /// Exactly once per publish(), perhaps before publish() returns.
    virtual void on_published(PublishToken token, PublishOutcome const& outcome) = 0;

    /// SUBACK: one reason per filter.
    virtual void on_subscribed(RequestToken token, SubAck const& packet) = 0;

    /// UNSUBACK: one reason per filter in v5, none in 3.1.1.
    virtual void on_unsubscribed(RequestToken token, UnsubAck const& packet) = 0;

    /// The request will get no answer. Perhaps before subscribe() or unsubscribe() returns.
    virtual void on_request_failed(RequestToken token, RequestFailure why) = 0;

    /// AUTH of the server (v5, only with an authentication method in CONNECT).
    /// The answer is ClientMachine::authenticate().
    virtual void on_auth(Auth const& packet);

    /// The connection is over: exactly once per open(). Write what take_output() still gives, then
    /// close.
    virtual void on_closed(Closed const& closed) = 0;
};

}  // namespace spoke::mqtt
