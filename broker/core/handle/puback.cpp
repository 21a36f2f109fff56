// PUBACK of a delivery (3.4).
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::handle_puback(Link& link, mqtt::PubAck const& packet) {
    Session& session = *link.session;
    OutboundWindow::Settled settled;
    switch (session.window.on_puback(packet.id, &settled)) {
        case OutboundWindow::Answer::settled:  // whatever the reason [MQTT-4.4.0-2]
            finish(session, settled, mqtt::Qos::at_least_once, packet.reason);
            pump(session);
            return;
        case OutboundWindow::Answer::wrong_exchange:
            close_link(link, mqtt::ReasonCode::protocol_error, "PUBACK for a QoS 2 delivery");
            return;
        case OutboundWindow::Answer::unknown:  // left over from before; changes no quota
                                               // [MQTT-4.9.0-2]
        case OutboundWindow::Answer::released:
            return;
    }
}

}  // namespace spoke::broker
