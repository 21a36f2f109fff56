// SUBSCRIBE (3.8). The packet is refused whole if any part of it is malformed or asks for what is
// not offered; from there on each filter is judged by itself.
#include <algorithm>
#include <iterator>

#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
#include "protocol/topic/topic.hpp"

namespace spoke::broker {

namespace {

using mqtt::ReasonCode;

bool has_wildcard(std::string_view filter) noexcept {
    return filter.find_first_of("+#") != std::string_view::npos;
}

/// Whether the listener offers what the filter asks for.
ReasonCode judge_offer(LinkSettings const& settings, std::string_view filter) noexcept {
    if (auto shared = mqtt::parse_shared(filter)) {
        if (!settings.shared_subscription_available) {
            return ReasonCode::shared_subscriptions_not_supported;
        }
        filter = shared->filter;
    }
    if (!settings.wildcard_subscription_available && has_wildcard(filter)) {
        return ReasonCode::wildcard_subscriptions_not_supported;
    }
    return ReasonCode::success;
}

/// [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2]
bool is_well_formed(std::string_view filter) noexcept {
    return mqtt::is_shared(filter) ? mqtt::parse_shared(filter).has_value()
                                   : mqtt::is_valid_topic_filter(filter);
}

}  // namespace

void ShardCore::handle_subscribe(Link& link, mqtt::Subscribe const& packet) {
    if (packet.subscription_identifier && !link.settings->subscription_identifiers_available) {
        return close_link(link, ReasonCode::subscription_identifiers_not_supported,
                          "subscription identifiers are switched off");
    }
    for (auto const& wanted : packet.subscriptions) {
        if (!is_well_formed(wanted.filter)) {
            return close_link(link, ReasonCode::malformed_packet, "topic filter is malformed");
        }
        if (wanted.options.no_local && mqtt::is_shared(wanted.filter)) {
            return close_link(link, ReasonCode::protocol_error, "MQTT-3.8.3-4");
        }
        auto reason = judge_offer(*link.settings, wanted.filter);
        if (link.is_v5() && mqtt::is_error(reason)) {
            return close_link(link, reason, "CONNACK said that this is not offered");
        }
    }
    Session& session = *link.session;
    mqtt::SubAck suback{.id = packet.id};
    StoreTicket ticket = kNothingToWaitFor;
    std::vector<RetainedReplay> replays;
    for (auto const& wanted : packet.subscriptions) {
        ReasonCode reason = session.inbound_qos2.contains(packet.id) && link.is_v5()
                                ? ReasonCode::packet_identifier_in_use
                                : judge_filter(session, wanted.filter);
        if (!mqtt::is_error(reason)) reason = subscribe(session, packet, wanted, ticket, replays);
        suback.reasons.push_back(reason);
    }
    if (!send(link, std::move(suback), ticket)) return;
    if (link.waiting > 0) {  // behind SUBACK
        std::ranges::move(replays, std::back_inserter(session.replays));
        return;
    }
    for (auto& replay : replays) start_replay(session, std::move(replay));
}

ReasonCode ShardCore::judge_filter(Session& session, std::string_view filter) const {
    LinkSettings const& settings = *session.settings;
    if (filter.size() + settings.mount_point.size() > kTopicSizeMax) {
        return ReasonCode::topic_filter_invalid;
    }
    auto offered = judge_offer(settings, filter);
    if (mqtt::is_error(offered)) return offered;
    if (stores(session) && !is_store_good()) return store_refusal().reason;
    if (auto shared = mqtt::parse_shared(filter)) filter = shared->filter;
    if (session.rights) {
        bool may = settings.mount_point.empty()
                       ? session.may_subscribe(filter)
                       : session.may_subscribe(settings.mount_point + std::string{filter});
        if (!may) return ReasonCode::not_authorized;
    }
    return ReasonCode::success;
}

ReasonCode ShardCore::subscribe(Session& session, mqtt::Subscribe const& packet,
                                mqtt::Subscription const& wanted, StoreTicket& ticket,
                                std::vector<RetainedReplay>& replays) {
    Subscriber subscriber;
    subscriber.slot = session.ref().slot;
    subscriber.generation = session.ref().generation;
    subscriber.shard = session.ref().shard;
    subscriber.is_kept = session.is_stored();
    subscriber.identifier = packet.subscription_identifier.value_or(0) & 0x0FFF'FFFF;
    subscriber.qos = static_cast<std::uint32_t>(wanted.options.qos) & 3;
    subscriber.no_local = wanted.options.no_local;
    subscriber.retain_as_published = wanted.options.retain_as_published;
    std::string filter = mounted_filter(*session.settings, wanted.filter);
    auto added = index_.subscribe(filter, subscriber);
    if (added.was_new) {
        if (session.subscriptions.size() >= settings_.subscriptions_per_session_max) {
            index_.unsubscribe(added.node, session.ref());
            return ReasonCode::quota_exceeded;
        }
        session.add_subscription(added.node);
    }
    if (stores(session)) {
        ticket =
            store_.put_subscription(session.number, filter,
                                    {.identifier = subscriber.identifier,
                                     .qos = wanted.options.qos,
                                     .no_local = wanted.options.no_local,
                                     .retain_as_published = wanted.options.retain_as_published});
    }

    bool wants_retained =
        wanted.options.retain_handling == mqtt::RetainHandling::send ||
        (wanted.options.retain_handling == mqtt::RetainHandling::send_if_new && added.was_new);
    if (wants_retained && !mqtt::is_shared(wanted.filter)) {
        replays.push_back({.filter = std::move(filter),
                           .identifier = subscriber.identifier,
                           .qos = wanted.options.qos});
    }
    return static_cast<ReasonCode>(wanted.options.qos);
}

}  // namespace spoke::broker
