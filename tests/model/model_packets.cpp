// What each packet of a client does.
#include <algorithm>

#include "tests/model/matching.hpp"
#include "tests/model/model.hpp"

namespace spoke::model {

using mqtt::Qos;
using mqtt::ReasonCode;

// --- PUBLISH and its acknowledgements, from the client ---

/// Nothing: the connection is closed for it.
std::optional<std::string> Model::topic_of(LinkId link, mqtt::Publish const& packet) {
    auto& aliases = connections_.at(link).theirs;
    if (!packet.topic_alias) {
        if (!packet.topic.empty()) return packet.topic;
        close(link, ReasonCode::protocol_error);
        return std::nullopt;
    }
    if (*packet.topic_alias > rules_.topic_alias_max) {
        close(link, ReasonCode::topic_alias_invalid);
        return std::nullopt;
    }
    if (!packet.topic.empty()) aliases[*packet.topic_alias] = packet.topic;
    if (aliases.contains(*packet.topic_alias)) return aliases[*packet.topic_alias];
    close(link, ReasonCode::protocol_error);
    return std::nullopt;
}

void Model::on(LinkId link, mqtt::Publish const& packet) {
    auto topic = topic_of(link, packet);
    if (!topic) return;
    Connection& connection = connections_.at(link);
    Session& session = sessions_.at(connection.client);
    std::uint16_t id = packet.id.value;
    bool is_open = packet.qos == Qos::exactly_once && connection.open.contains(id);
    if (packet.qos != Qos::at_most_once && !is_open &&
        connection.open.size() >= rules_.receive_maximum) {
        return close(link, ReasonCode::receive_maximum_exceeded);
    }
    if (packet.qos == Qos::exactly_once && session.held.contains(id)) {
        connection.open.insert(id);
        return acknowledge(link, packet, ReasonCode::success);
    }
    if (first_level(*topic).level == "$SYS") {
        return acknowledge(link, packet, ReasonCode::not_authorized);
    }
    if (packet.qos == Qos::exactly_once) {
        session.held.insert(id);
        connection.open.insert(id);
    }
    Message message;
    message.publisher = session.client;
    message.topic = *topic;
    message.payload = as_text(packet.payload);
    message.qos = packet.qos;
    message.retain = packet.retain;
    message.properties = packet.properties;
    if (auto interval = packet.properties.message_expiry_interval) {
        message.deadline = now_ + Millis{*interval} * 1000;
    }
    auto shared = std::make_shared<Message const>(std::move(message));
    retain(shared);
    auto [receivers, rejected] = route(shared, session.client);
    if (rejected > 0) return reject(link, packet);
    acknowledge(link, packet,
                receivers == 0 ? ReasonCode::no_matching_subscribers : ReasonCode::success);
}

/// Not for all who should have it was there room.
void Model::reject(LinkId link, mqtt::Publish const& packet) {
    Connection& connection = connections_.at(link);
    if (packet.qos == Qos::exactly_once) {
        sessions_.at(connection.client).held.erase(packet.id.value);
        connection.open.erase(packet.id.value);
    }
    if (connection.is_v5()) return acknowledge(link, packet, ReasonCode::quota_exceeded);
    if (rules_.rejection_closes_v3) close(link, ReasonCode::quota_exceeded);
}

void Model::acknowledge(LinkId link, mqtt::Publish const& packet, ReasonCode reason) {
    if (!connections_.at(link).is_v5()) reason = ReasonCode::success;
    if (packet.qos == Qos::at_least_once) answer(link, mqtt::PubAck{packet.id, reason, {}, {}});
    if (packet.qos == Qos::exactly_once) answer(link, mqtt::PubRec{packet.id, reason, {}, {}});
}

void Model::on(LinkId link, mqtt::PubRel const& packet) {
    Connection& connection = connections_.at(link);
    bool is_known = sessions_.at(connection.client).held.erase(packet.id.value) > 0;
    connection.open.erase(packet.id.value);
    auto reason = is_known || !connection.is_v5() ? ReasonCode::success
                                                  : ReasonCode::packet_identifier_not_found;
    answer(link, mqtt::PubComp{packet.id, reason, {}, {}});
}

// --- Acknowledgements of what the broker sent ---

namespace {

std::list<InFlight>::iterator find(Session& session, mqtt::PacketId id) {
    return std::ranges::find(session.in_flight, id.value, &InFlight::id);
}

}  // namespace

void Model::on(LinkId link, mqtt::PubAck const& packet) {
    Session& session = sessions_.at(connections_.at(link).client);
    auto found = find(session, packet.id);
    if (found == session.in_flight.end()) return;
    if (found->stage != Stage::awaiting_puback) return close(link, ReasonCode::protocol_error);
    session.in_flight.erase(found);  // whatever the reason
}

void Model::on(LinkId link, mqtt::PubRec const& packet) {
    Connection const& connection = connections_.at(link);
    Session& session = sessions_.at(connection.client);
    auto found = find(session, packet.id);
    bool is_error = mqtt::is_error(packet.reason);
    if (found == session.in_flight.end()) {
        if (is_error) return;
        auto reason =
            connection.is_v5() ? ReasonCode::packet_identifier_not_found : ReasonCode::success;
        return answer(link, mqtt::PubRel{packet.id, reason, {}, {}});
    }
    if (found->stage == Stage::awaiting_puback) return close(link, ReasonCode::protocol_error);
    if (found->stage == Stage::awaiting_pubrec) {
        if (is_error) {
            session.in_flight.erase(found);
            return;
        }
        found->stage = Stage::awaiting_pubcomp;
        found->released = ++releases_;
    }
    answer(link, mqtt::PubRel{packet.id, ReasonCode::success, {}, {}});
}

void Model::on(LinkId link, mqtt::PubComp const& packet) {
    Session& session = sessions_.at(connections_.at(link).client);
    auto found = find(session, packet.id);
    if (found == session.in_flight.end()) return;
    if (found->stage == Stage::awaiting_puback) return close(link, ReasonCode::protocol_error);
    if (found->stage == Stage::awaiting_pubcomp) session.in_flight.erase(found);
}

// --- Subscriptions ---

void Model::on(LinkId link, mqtt::Subscribe const& packet) {
    // Options first, which a decoder sees.
    for (auto const& wanted : packet.subscriptions) {
        if (wanted.options.no_local && is_shared(wanted.filter)) {
            return close(link, ReasonCode::protocol_error);
        }
    }
    for (auto const& wanted : packet.subscriptions) {
        if (!is_valid_filter(wanted.filter)) {
            return close(link, ReasonCode::malformed_packet);
        }
    }
    mqtt::SubAck suback{.id = packet.id};
    for (auto const& wanted : packet.subscriptions) {
        suback.reasons.push_back(subscribe(link, packet, wanted));
    }
    answer(link, suback);
}

ReasonCode Model::subscribe(LinkId link, mqtt::Subscribe const& packet,
                            mqtt::Subscription const& wanted) {
    auto version = connections_.at(link).version;
    bool v5 = version == mqtt::Version::v5;
    Session& session = sessions_.at(connections_.at(link).client);
    auto refused = [version](ReasonCode reason) {
        if (version == mqtt::Version::v3_1) return ReasonCode::granted_qos_0;  // it has no failure
        return version == mqtt::Version::v5 ? reason : ReasonCode::unspecified_error;
    };
    if (v5 && session.held.contains(packet.id.value)) return ReasonCode::packet_identifier_in_use;
    bool is_new = !session.subscriptions.contains(wanted.filter);
    if (is_new && session.subscriptions.size() >= rules_.subscriptions_per_session_max) {
        return refused(ReasonCode::quota_exceeded);
    }
    std::uint32_t identifier = packet.subscription_identifier.value_or(0);
    session.subscriptions[wanted.filter] = {wanted.options, identifier};
    auto handling = wanted.options.retain_handling;
    bool wants_retained =
        !is_shared(wanted.filter) && (handling == mqtt::RetainHandling::send ||
                                      (handling == mqtt::RetainHandling::send_if_new && is_new));
    if (wants_retained) start_replay(session, {wanted.filter, wanted.options.qos, identifier});
    return static_cast<ReasonCode>(wanted.options.qos);
}

void Model::on(LinkId link, mqtt::Unsubscribe const& packet) {
    Connection const& connection = connections_.at(link);
    Session& session = sessions_.at(connection.client);
    mqtt::UnsubAck unsuback{.id = packet.id};
    for (auto const& filter : packet.filters) {
        auto reason = ReasonCode::success;
        if (connection.is_v5() && session.held.contains(packet.id.value)) {
            reason = ReasonCode::packet_identifier_in_use;
        } else if (session.subscriptions.erase(filter) == 0) {
            reason = ReasonCode::no_subscription_existed;
        } else {
            // Queued messages still come, retained ones that waited for their turn do not.
            std::erase_if(session.replays, [&](auto const& each) { return each.filter == filter; });
            session.waiting.remove_if(
                [&](auto const& each) { return each.is_replay && each.replay == filter; });
        }
        if (connection.is_v5()) unsuback.reasons.push_back(reason);
    }
    answer(link, unsuback);
}

// --- DISCONNECT ---

void Model::on(LinkId link, mqtt::Disconnect const& packet) {
    Session& session = sessions_.at(connections_.at(link).client);
    if (packet.session_expiry_interval) {
        if (session.expiry == 0 && *packet.session_expiry_interval > 0) {
            return close(link, ReasonCode::protocol_error);
        }
        session.expiry = std::min(*packet.session_expiry_interval, rules_.session_expiry_max);
    }
    if (packet.reason == ReasonCode::normal_disconnection) session.will.reset();
    detach(link);
}

}  // namespace spoke::model
