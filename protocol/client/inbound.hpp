#pragma once

#include <cstdint>
#include <unordered_map>
#include <vector>

#include "protocol/client/client_events.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

struct Wire;

/// What the client owes the server for messages with QoS 1 and 2: acknowledgements in the order of
/// arrival, the ids of QoS 2 messages that are taken and not released, and the client's own receive
/// maximum. The QoS 2 ids belong to the session, all else to the connection.
class Inbound {
public:
    /// A new connection: `receive_maximum` was announced in CONNECT.
    void begin(std::uint16_t receive_maximum) noexcept { receive_maximum_ = receive_maximum; }

    /// The connection is over.
    void on_disconnected() noexcept;

    /// The server has no session: ids of QoS 2 mean new messages from here on.
    void on_session_lost() noexcept { received_.clear(); }

    enum class Verdict : std::uint8_t {
        deliver,     // a message to hand over
        repetition,  // of a QoS 2 message which was handed over; its PUBREC follows when it may
        too_many,    // beyond the receive maximum [MQTT-3.3.4-9]
    };
    struct Arrival {
        Verdict verdict = Verdict::deliver;
        AckToken token{};
    };
    /// A PUBLISH with QoS 1 or 2 came.
    [[nodiscard]] Arrival on_publish(PacketId id, Qos qos);

    /// The application is done with a message. False if it is too late.
    bool acknowledge(AckToken token, ReasonCode reason) noexcept;

    /// Sends every PUBACK and PUBREC whose turn has come.
    void send_acks(Wire& wire);

    /// A PUBREL came: sends PUBCOMP, whether or not the id is known.
    /// Out  false, and nothing is sent, if the server did not wait for PUBREC.
    [[nodiscard]] bool on_pubrel(PacketId id, Wire& wire);

private:
    struct Received {  // a QoS 2 message, from its PUBLISH to its PUBREL
        AckToken token{};
        ReasonCode reason = ReasonCode::success;
        bool acknowledged = false;
        bool counted = false;  // against the receive maximum of this connection
        bool queued = false;   // in acks_
    };
    struct Ack {
        AckToken token{};  // QoS 1
        PacketId id{};
        Qos qos = Qos::at_least_once;
        ReasonCode reason = ReasonCode::success;
        bool ready = false;  // QoS 1; QoS 2 is ready when Received says so
    };

    [[nodiscard]] AckToken next_token(PacketId id) noexcept;
    [[nodiscard]] Arrival on_qos2(PacketId id);
    bool send_puback(Ack const& ack, Wire& wire);
    bool send_pubrec(Ack const& ack, Wire& wire);
    void drop_sent() noexcept;

    std::unordered_map<std::uint16_t, Received> received_;
    std::vector<Ack> acks_;       // in the order of arrival
    std::size_t acks_begin_ = 0;  // those before are sent; the vector is compacted now and then
    std::uint64_t arrivals_ = 0;
    std::uint32_t open_ = 0;  // counts against the receive maximum
    std::uint16_t receive_maximum_ = 65'535;
};

}  // namespace spoke::mqtt
