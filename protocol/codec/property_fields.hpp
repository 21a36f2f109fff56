#pragma once

#include <concepts>
#include <type_traits>

#include "protocol/packet/packet.hpp"
#include "protocol/packet/property_table.hpp"

namespace spoke::mqtt {

/// Lists a packet's properties with the members they are kept in, in the order they are written.
/// Decoder and encoder both go by these lists, so that they cannot differ. `packet` may be const;
/// `visit(id, member)`.
template <class Packet, class... Wanted>
concept OneOf = (std::same_as<std::remove_const_t<Packet>, Wanted> || ...);

template <class Visit>
constexpr void for_each_property(OneOf<Connect> auto& packet, Visit&& visit) {
    using enum PropertyId;
    visit(session_expiry_interval, packet.session_expiry_interval);
    visit(receive_maximum, packet.receive_maximum);
    visit(maximum_packet_size, packet.maximum_packet_size);
    visit(topic_alias_maximum, packet.topic_alias_maximum);
    visit(request_response_information, packet.request_response_information);
    visit(request_problem_information, packet.request_problem_information);
    visit(user_property, packet.user_properties);
    visit(authentication_method, packet.authentication_method);
    visit(authentication_data, packet.authentication_data);
}

template <class Visit>
constexpr void for_each_property(OneOf<MessageProperties> auto& properties, Visit&& visit) {
    using enum PropertyId;
    visit(payload_format_indicator, properties.payload_format_indicator);
    visit(message_expiry_interval, properties.message_expiry_interval);
    visit(content_type, properties.content_type);
    visit(response_topic, properties.response_topic);
    visit(correlation_data, properties.correlation_data);
    visit(user_property, properties.user_properties);
}

template <class Visit>
constexpr void for_each_property(OneOf<Will> auto& will, Visit&& visit) {
    visit(PropertyId::will_delay_interval, will.will_delay_interval);
    for_each_property(will.properties, visit);
}

template <class Visit>
constexpr void for_each_property(OneOf<Publish> auto& packet, Visit&& visit) {
    visit(PropertyId::topic_alias, packet.topic_alias);
    visit(PropertyId::subscription_identifier, packet.subscription_identifiers);
    for_each_property(packet.properties, visit);
}

template <class Visit>
constexpr void for_each_property(OneOf<ConnAck> auto& packet, Visit&& visit) {
    using enum PropertyId;
    visit(session_expiry_interval, packet.session_expiry_interval);
    visit(receive_maximum, packet.receive_maximum);
    visit(maximum_qos, packet.maximum_qos);
    visit(retain_available, packet.retain_available);
    visit(maximum_packet_size, packet.maximum_packet_size);
    visit(assigned_client_identifier, packet.assigned_client_identifier);
    visit(topic_alias_maximum, packet.topic_alias_maximum);
    visit(reason_string, packet.reason_string);
    visit(user_property, packet.user_properties);
    visit(wildcard_subscription_available, packet.wildcard_subscription_available);
    visit(subscription_identifiers_available, packet.subscription_identifiers_available);
    visit(shared_subscription_available, packet.shared_subscription_available);
    visit(server_keep_alive, packet.server_keep_alive);
    visit(response_information, packet.response_information);
    visit(server_reference, packet.server_reference);
    visit(authentication_method, packet.authentication_method);
    visit(authentication_data, packet.authentication_data);
}

template <class Visit>
constexpr void for_each_property(
    OneOf<PubAck, PubRec, PubRel, PubComp, SubAck, UnsubAck> auto& packet, Visit&& visit) {
    visit(PropertyId::reason_string, packet.reason_string);
    visit(PropertyId::user_property, packet.user_properties);
}

template <class Visit>
constexpr void for_each_property(OneOf<Subscribe> auto& packet, Visit&& visit) {
    visit(PropertyId::subscription_identifier, packet.subscription_identifier);
    visit(PropertyId::user_property, packet.user_properties);
}

template <class Visit>
constexpr void for_each_property(OneOf<Unsubscribe> auto& packet, Visit&& visit) {
    visit(PropertyId::user_property, packet.user_properties);
}

template <class Visit>
constexpr void for_each_property(OneOf<Disconnect> auto& packet, Visit&& visit) {
    visit(PropertyId::session_expiry_interval, packet.session_expiry_interval);
    visit(PropertyId::reason_string, packet.reason_string);
    visit(PropertyId::user_property, packet.user_properties);
    visit(PropertyId::server_reference, packet.server_reference);
}

template <class Visit>
constexpr void for_each_property(OneOf<Auth> auto& packet, Visit&& visit) {
    visit(PropertyId::authentication_method, packet.authentication_method);
    visit(PropertyId::authentication_data, packet.authentication_data);
    visit(PropertyId::reason_string, packet.reason_string);
    visit(PropertyId::user_property, packet.user_properties);
}

}  // namespace spoke::mqtt
