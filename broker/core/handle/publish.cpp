// PUBLISH from a client (3.3, 4.3).
#include <fmt/format.h>

#include <utility>

#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
#include "protocol/base/escaped.hpp"
#include "protocol/codec/publish_view.hpp"

namespace spoke::broker {

namespace {

using mqtt::Qos;
using mqtt::ReasonCode;

/// Absolute, so that no queue and no wait can prolong it. An interval of 0 has passed when it
/// arrives.
Deadline deadline_of(mqtt::PublishView const& view, WallTime now) noexcept {
    if (!view.message_expiry_interval) return kNever;
    return now.time_since_epoch().count() + Deadline{*view.message_expiry_interval} * 1000;
}

}  // namespace

void ShardCore::handle_publish(Link& link, std::span<std::byte> frame) {
    auto decoded = mqtt::decode_publish(frame, link.version, mqtt::Sender::client);
    if (!decoded) return on_bad_bytes(link, decoded.error());
    mqtt::PublishView const& view = decoded.value();
    counters_.publishes_received.add();
    auto topic = resolve_alias(link, view);
    if (!topic || !is_offered(link, view)) return;

    StoreTicket ticket = kNothingToWaitFor;
    Session& session = *link.session;
    bool is_open = view.qos == Qos::exactly_once && session.inbound_qos2.is_current(view.id);
    if (view.qos != Qos::at_most_once && !is_open &&
        open_publishes(link) >= link.settings->receive_maximum) {
        return close_link(link, ReasonCode::receive_maximum_exceeded, "MQTT-3.3.4-7");
    }
    if (view.qos == Qos::exactly_once && session.inbound_qos2.contains(view.id)) {
        session.inbound_qos2.insert(view.id);  // delivered before [MQTT-4.3.3-10]
        return acknowledge(link, view, ReasonCode::success, kNothingToWaitFor);
    }
    topic = permit(link, view, *topic);
    if (!topic) return;
    if (view.qos == Qos::exactly_once) {
        session.inbound_qos2.insert(view.id);
        if (session.is_kept()) ticket = store_.put_inbound(session, view.id, true);
    }
    // A mounted topic does not stand in the frame, so that no receiver can have that as it is.
    if (link.mount_size > 0) frame = {};
    Publication publication(view, *topic, deadline_of(view, now_.wall), link.is_v5(), frame);
    publication.publisher = session.ref();
    publication.has_publisher = true;
    bool retained = retain(publication);
    std::uint32_t receivers = route(publication, &ticket);
    if (!retained) {
        // Delivered all the same: only the wish to have it kept is refused. After a PUBREC that
        // says so the id is new again [MQTT-4.3.3-9]; 3.1.1 cannot be told and goes through the
        // whole exchange.
        if (link.is_v5() && view.qos == Qos::exactly_once) {
            session.inbound_qos2.erase(view.id);
            if (session.is_kept()) ticket = store_.put_inbound(session, view.id, false);
        }
        return acknowledge(link, view, ReasonCode::quota_exceeded, ticket);
    }
    acknowledge(link, view,
                receivers == 0 ? ReasonCode::no_matching_subscribers : ReasonCode::success, ticket);
}

std::optional<std::string_view> ShardCore::resolve_alias(Link& link,
                                                         mqtt::PublishView const& view) {
    if (!view.topic_alias) {
        if (!view.topic.empty()) return view.topic;
        close_link(link, ReasonCode::protocol_error, "empty topic without topic alias");
        return std::nullopt;
    }
    if (!link.aliases_in)
        link.aliases_in = std::make_unique<InboundAliases>(link.settings->topic_alias_max);
    if (!link.aliases_in->allows(*view.topic_alias)) {
        close_link(link, ReasonCode::topic_alias_invalid, "MQTT-3.3.2-9");
        return std::nullopt;
    }
    if (!view.topic.empty()) {
        link.aliases_in->set(*view.topic_alias, view.topic);
        return view.topic;
    }
    auto topic = link.aliases_in->find(*view.topic_alias);
    if (!topic.empty()) return topic;
    close_link(link, ReasonCode::protocol_error, "MQTT-3.3.2-7");
    return std::nullopt;
}

bool ShardCore::is_offered(Link& link, mqtt::PublishView const& view) {
    if (view.qos > link.settings->maximum_qos) {
        close_link(link, ReasonCode::qos_not_supported, "MQTT-3.2.2-11");
        return false;
    }
    if (view.retain && !link.settings->retain_available) {
        close_link(link, ReasonCode::retain_not_supported, "MQTT-3.2.2-14");
        return false;
    }
    return true;
}

std::uint32_t ShardCore::open_publishes(Link const& link) noexcept {
    return link.session->inbound_qos2.current_count() + link.last_answers_waiting;
}

std::optional<std::string_view> ShardCore::permit(Link& link, mqtt::PublishView const& view,
                                                  std::string_view topic) {
    auto whole = topic;
    if (link.mount_size > 0) {
        mounted_.assign(link.settings->mount_point).append(topic);
        whole = mounted_;
    }
    if (whole.size() > kTopicSizeMax) {
        acknowledge(link, view, ReasonCode::topic_name_invalid, kNothingToWaitFor);
        return std::nullopt;
    }
    bool reserved = is_reserved(*link.settings, topic);
    if (!reserved && link.session->may_publish(whole)) return whole;
    counters_.publishes_denied.add();
    if (!std::exchange(link.denial_logged, true) && port_.logs(LogLevel::warning)) {
        port_.log(
            LogLevel::warning,
            fmt::format("{} '{}' may not publish to '{}'; further topics are not logged",
                        port_.peer_of(link), escaped(link.session->client_id()), escaped(topic)));
    }
    // MQTT 3.1.1 has no word for it: acknowledged as any other, and goes nowhere [MQTT-3.3.5-2].
    acknowledge(link, view, ReasonCode::not_authorized, kNothingToWaitFor);
    return std::nullopt;
}

void ShardCore::acknowledge(Link& link, mqtt::PublishView const& view, ReasonCode reason,
                            StoreTicket ticket) {
    if (link.state != LinkState::connected || view.qos == Qos::at_most_once) return;
    auto type =
        view.qos == Qos::at_least_once ? mqtt::PacketType::puback : mqtt::PacketType::pubrec;
    std::string_view why = reason == ReasonCode::not_authorized   ? "not allowed to publish there"
                           : reason == ReasonCode::quota_exceeded ? "the retained store is full"
                                                                  : "";
    send_ack(link, type, view.id, reason, ticket, why);
}

}  // namespace spoke::broker
