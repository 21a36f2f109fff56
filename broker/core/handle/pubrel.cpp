// PUBREL of a publish (3.6).
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::handle_pubrel(Link& link, mqtt::PubRel const& packet) {
    Session& session = *link.session;
    bool known = session.inbound_qos2.erase(packet.id);
    StoreTicket ticket = kNothingToWaitFor;
    // One that is not known may have been released on the last connection, and be on its way to the
    // disk: after PUBCOMP the client uses the id for another message.
    if (stores(session))
        ticket = known ? store_.remove_inbound(session.number, packet.id) : store_.last_ticket();
    // Unknown ones are answered too, or a client that lost a PUBCOMP would hang [MQTT-4.3.3-11].
    send_ack(link, mqtt::PacketType::pubcomp, packet.id,
             known ? mqtt::ReasonCode::success : mqtt::ReasonCode::packet_identifier_not_found,
             ticket);
}

}  // namespace spoke::broker
