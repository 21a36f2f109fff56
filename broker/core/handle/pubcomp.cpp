// PUBCOMP of a delivery (3.7).
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::handle_pubcomp(Link& link, mqtt::PubComp const& packet) {
    OutboundWindow::Settled settled;
    switch (link.session->window.on_pubcomp(packet.id, &settled)) {
        case OutboundWindow::Answer::settled:  // taken with PUBREC, whatever the reason
            finish(*link.session, settled, mqtt::Qos::exactly_once, mqtt::ReasonCode::success);
            pump(*link.session);
            return;
        case OutboundWindow::Answer::wrong_exchange:
            close_link(link, mqtt::ReasonCode::protocol_error, "PUBCOMP for a QoS 1 delivery");
            return;
        case OutboundWindow::Answer::unknown:
        case OutboundWindow::Answer::released:
            return;
    }
}

}  // namespace spoke::broker
