// DISCONNECT from a client (3.14).
#include <algorithm>

#include "broker/core/shard_core.hpp"

namespace spoke::broker {

void ShardCore::handle_disconnect(Link& link, mqtt::Disconnect const& packet) {
    Session& session = *link.session;
    if (packet.session_expiry_interval) {
        bool was_0 = session.expiry_interval == 0 && link.settings->session_expiry_max > 0;
        if (was_0 && *packet.session_expiry_interval != 0) {
            return close_link(link, mqtt::ReasonCode::protocol_error,
                              "session expiry interval raised from 0 by DISCONNECT");
        }
        session.expiry_interval =
            std::min(*packet.session_expiry_interval, link.settings->session_expiry_max);
    }
    bool normal = packet.reason == mqtt::ReasonCode::normal_disconnection;
    if (normal) {
        session.will.reset();  // [MQTT-3.14.4-3]
    }
    log_end(link, normal ? "disconnected" : name_of(packet.reason));
    LinkEnd end{.by = LinkEnd::By::client, .reason = packet.reason};
    if (packet.reason_string) end.detail = *packet.reason_string;
    detach(link, normal ? Will::discard : Will::publish, end);
    link.state = LinkState::closing;
    touch(link);
}

}  // namespace spoke::broker
