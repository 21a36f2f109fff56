#pragma once

#include <chrono>
#include <cstdint>
#include <optional>

#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"

namespace spoke::mqtt {

/// How long a publish lives.
enum class PublishScope : std::uint8_t {
    session,          // QoS 1, 2: over as many connections as it takes. QoS 0: as this_connection.
    this_connection,  // never sent again once this connection is gone; refused without a connection
};

struct PublishOptions {
    PublishToken token{};
    PublishScope scope = PublishScope::session;
    /// From this time on it is not handed to the transport; finer than the message expiry interval
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
    /// Of incoming packets; announced in v5 unless CONNECT names its own.
    std::uint32_t packet_size_max = 4 << 20;
    /// Publishes that wait to be sent, and the bytes of their topic, payload and properties: one
    /// more ends as queue_full.
    std::uint32_t queue_messages_max = 1000;
    std::uint32_t queue_bytes_max = 1 << 20;
    /// QoS 1 and 2 unanswered, at most 32767; the server's receive maximum if that is lower.
    std::uint16_t in_flight_max = 1000;
    /// SUBSCRIBE and UNSUBSCRIBE unanswered, at most 16383.
    std::uint16_t requests_max = 1000;
    /// Outgoing aliases to use; the server's maximum if that is lower.
    std::uint16_t topic_aliases_max = 0;
    SessionLost session_lost = SessionLost::resend;
    /// Goes on if the server has a session of which this machine knows nothing, because an earlier
    /// process left it; otherwise that is an error [MQTT-3.2.2-4]. Publish QoS 1, not 2, over such
    /// a session: the server may remember packet ids of the earlier process and take a QoS 2
    /// message for its repetition.
    bool may_inherit_session = false;
};

}  // namespace spoke::mqtt
