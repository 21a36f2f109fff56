// PUBREC of a delivery (3.5).
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::handle_pubrec(Link& link, mqtt::PubRec const& packet) {
    using Answer = OutboundWindow::Answer;
    Session& session = *link.session;
    bool is_error = mqtt::is_error(packet.reason);
    OutboundWindow::Settled settled;
    switch (session.window.on_pubrec(packet.id, is_error, &settled)) {
        case Answer::released:
            // Durable first: after PUBREL the client has forgotten the id, and would take a PUBLISH
            // that is sent again for a new one.
            send_ack(link, mqtt::PacketType::pubrel, packet.id, mqtt::ReasonCode::success,
                     store_progress(session, *session.window.find(packet.id)));  // [MQTT-4.3.3-4]
            return;
        case Answer::settled:
            finish(session, settled, mqtt::Qos::exactly_once, packet.reason);
            pump(session);
            return;
        case Answer::wrong_exchange:
            close_link(link, mqtt::ReasonCode::protocol_error, "PUBREC for a QoS 1 delivery");
            return;
        case Answer::unknown:
            // Without an answer a client that lost its PUBCOMP would ask for ever.
            if (!is_error) {
                send_ack(link, mqtt::PacketType::pubrel, packet.id,
                         mqtt::ReasonCode::packet_identifier_not_found, kNothingToWaitFor);
            }
            return;
    }
}

}  // namespace spoke::broker
