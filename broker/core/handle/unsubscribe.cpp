// UNSUBSCRIBE (3.10).
#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"

namespace spoke::broker {

void ShardCore::handle_unsubscribe(Link& link, mqtt::Unsubscribe const& packet) {
    Session& session = *link.session;
    bool is_refused = stores(session) && !is_store_good();
    if (is_refused) {
        counters_.store_refused.add();
        if (!link.is_v5()) {  // has no word for it
            return close_link(link, store_refusal().reason, store_refusal().text);
        }
    }
    mqtt::UnsubAck unsuback{.id = packet.id};
    // Of a subscription that is not there the end may be on its way to the disk, since the last
    // connection.
    StoreTicket ticket = stores(session) ? store_.last_ticket() : kNothingToWaitFor;
    for (auto const& wanted : packet.filters) {
        std::string filter = mounted_filter(*session.settings, wanted);
        auto reason = mqtt::ReasonCode::no_subscription_existed;
        if (session.inbound_qos2.contains(packet.id) && link.is_v5()) {
            reason = mqtt::ReasonCode::packet_identifier_in_use;
        } else if (is_refused) {
            reason = mqtt::ReasonCode::implementation_specific_error;
        } else if (FilterNode const* node = index_.unsubscribe(filter, session.ref())) {
            session.remove_subscription(node);
            std::erase_if(session.replays,
                          [&](auto const& replay) { return replay.filter == filter; });
            if (stores(session)) ticket = store_.remove_subscription(session.number, filter);
            reason = mqtt::ReasonCode::success;
        }
        unsuback.reasons.push_back(reason);
    }
    send(link, std::move(unsuback), ticket);
}

}  // namespace spoke::broker
