// PUBLISH from a client (3.3, 4.3).
#include <fmt/format.h>

#include <utility>

#include "broker/core/receipt.hpp"
#include "broker/core/send.hpp"
#include "broker/core/shard_core.hpp"
#include "broker/core/topic_space.hpp"
#include "protocol/base/escaped.hpp"
#include "protocol/codec/publish_view.hpp"
#include "protocol/topic/topic.hpp"

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

/// As it goes on: without the property that asks for receipts.
MessagePtr make_with_request(mqtt::PublishView const& view, std::string_view topic,
                             Deadline deadline, ReceiptRequest const& request) {
    Buffer properties;
    mqtt::append_forwarded_without(view, kReceiptProperty, properties);
    return Message::make({.topic = topic,
                          .forwarded_properties = properties,
                          .payload = view.payload,
                          .qos = view.qos,
                          .retain = view.retain,
                          .deadline = deadline,
                          .receipt = request});
}

}  // namespace

void ShardCore::handle_publish(Link& link, std::span<std::byte> frame) {
    auto decoded = mqtt::decode_publish(frame, link.version, mqtt::Sender::client);
    if (!decoded) return on_bad_bytes(link, decoded.error());
    mqtt::PublishView& view = decoded.value();
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
        if (stores(session)) ticket = store_.last_ticket();
        return acknowledge(link, view, ReasonCode::success, ticket);
    }
    auto seen_topic = *topic;
    topic = permit(link, view, seen_topic);
    if (!topic || (view.retain && !take_retain(link, view, seen_topic))) return;
    ReceiptRequest request;
    if (link.may_ask_receipts && !take_request(link, view, request)) return;
    bool needs_store = view.retain || (view.qos == Qos::exactly_once && stores(session));
    if (needs_store && is_durable_ && !is_store_good()) return refuse_publish(link, view);
    if (view.qos == Qos::exactly_once) {
        session.inbound_qos2.insert(view.id);
        if (stores(session)) ticket = store_.put_inbound(session.number, view.id);
    }
    // A mounted topic does not stand in the frame, so that no receiver can have that as it is.
    if (link.mount_size > 0) frame = {};
    Deadline deadline = deadline_of(view, now_.wall);
    Publication publication = request.topic.empty()
                                  ? Publication(view, *topic, deadline, link.is_v5(), frame)
                                  : Publication(make_with_request(view, *topic, deadline, request));
    publication.publisher = session.ref();
    publication.has_publisher = true;
    bool retained = retain(publication, ticket);
    Routed routed = route(publication);
    ticket = std::max(ticket, routed.ticket);
    if (routed.refused) return refuse_publish(link, view);
    if (routed.rejected > 0) return reject_publish(link, view, ticket);
    if (!retained) {
        // Delivered all the same: only the wish to have it kept is refused. 3.1.1 cannot be told
        // and goes through the whole exchange.
        if (link.is_v5()) forget_inbound(session, view, ticket);
        return acknowledge(link, view, ReasonCode::quota_exceeded, ticket,
                           "the retained store is full");
    }
    acknowledge(link, view,
                routed.receivers == 0 ? ReasonCode::no_matching_subscribers : ReasonCode::success,
                ticket);
}

/// A command that is kept would be carried out whenever its device comes back. Who can be told is
/// refused; what a 3.1.1 client sends is delivered to who is there, and not kept.
bool ShardCore::take_retain(Link& link, mqtt::PublishView& view, std::string_view topic) {
    if (!is_command(settings_.command_topics, topic)) return true;
    counters_.retains_refused.add();
    if (!std::exchange(link.retain_logged, true) && port_.logs(LogLevel::warning)) {
        port_.log(
            LogLevel::warning,
            fmt::format("{} '{}' publishes to the command topic '{}' with RETAIN, which is "
                        "refused; further ones are not logged",
                        port_.peer_of(link), escaped(link.session->client_id()), escaped(topic)));
    }
    if (link.is_v5()) {
        acknowledge(link, view, ReasonCode::not_authorized, kNothingToWaitFor,
                    "no RETAIN on a command topic");
        return false;
    }
    view.retain = false;
    return true;
}

/// Whether the client may have what it asks for with the property, if that is there; if not, the
/// publish is refused: without receipts its client would wait for them.
bool ShardCore::take_request(Link& link, mqtt::PublishView const& view, ReceiptRequest& request) {
    auto topic = mqtt::find_user_property(view.properties, kReceiptProperty);
    if (!topic) return true;
    receipt_topic_.assign(link.settings->mount_point).append(*topic);
    if (!mqtt::is_valid_topic_name(*topic) || receipt_topic_.size() > kTopicSizeMax) {
        acknowledge(link, view, ReasonCode::topic_name_invalid, kNothingToWaitFor,
                    "the topic for receipts is not valid");
        return false;
    }
    if (is_reserved(*link.settings, *topic) || !link.session->may_publish(receipt_topic_)) {
        note_denied(link, *topic);
        acknowledge(link, view, ReasonCode::not_authorized, kNothingToWaitFor,
                    "not allowed to have receipts published there");
        return false;
    }
    request = {receipt_topic_, link.mount_size};
    return true;
}

/// After a PUBREC that is an error, and where none comes, the id is new again [MQTT-4.3.3-9].
void ShardCore::forget_inbound(Session& session, mqtt::PublishView const& view,
                               StoreTicket& ticket) {
    if (view.qos != Qos::exactly_once || !session.inbound_qos2.erase(view.id)) return;
    if (stores(session)) ticket = store_.remove_inbound(session.number, view.id);
}

/// The store takes no changes, and nobody got the message.
void ShardCore::refuse_publish(Link& link, mqtt::PublishView const& view) {
    counters_.store_refused.add();
    StoreTicket ticket;
    forget_inbound(*link.session, view, ticket);
    if (view.qos == Qos::at_most_once) return;
    if (!link.is_v5()) return close_link(link, store_refusal().reason, store_refusal().text);
    acknowledge(link, view, store_refusal().reason, kNothingToWaitFor, store_refusal().text);
}

/// Some receivers did not get it, as their queues are full; the others did.
void ShardCore::reject_publish(Link& link, mqtt::PublishView const& view, StoreTicket ticket) {
    constexpr std::string_view kWhy = "the queue of a receiver is full";
    forget_inbound(*link.session, view, ticket);
    if (link.is_v5()) return acknowledge(link, view, ReasonCode::quota_exceeded, ticket, kWhy);
    // 3.1.1 has no word for it, and an acknowledgement would say that it was taken.
    if (settings_.rejection_closes_v3) close_link(link, ReasonCode::quota_exceeded, kWhy);
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
    note_denied(link, topic);
    // MQTT 3.1.1 has no word for it: acknowledged as any other, and goes nowhere [MQTT-3.3.5-2].
    acknowledge(link, view, ReasonCode::not_authorized, kNothingToWaitFor,
                "not allowed to publish there");
    return std::nullopt;
}

void ShardCore::note_denied(Link& link, std::string_view topic) {
    counters_.publishes_denied.add();
    if (std::exchange(link.denial_logged, true) || !port_.logs(LogLevel::warning)) return;
    port_.log(LogLevel::warning,
              fmt::format("{} '{}' may not publish to '{}'; further topics are not logged",
                          port_.peer_of(link), escaped(link.session->client_id()), escaped(topic)));
}

void ShardCore::acknowledge(Link& link, mqtt::PublishView const& view, ReasonCode reason,
                            StoreTicket ticket, std::string_view why) {
    if (link.state != LinkState::connected || view.qos == Qos::at_most_once) return;
    auto type =
        view.qos == Qos::at_least_once ? mqtt::PacketType::puback : mqtt::PacketType::pubrec;
    send_ack(link, type, view.id, reason, ticket, why);
}

}  // namespace spoke::broker
