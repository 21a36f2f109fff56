#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// MQTT 5, table 2-4. All ids are below 128, so that each is one byte on the wire.
enum class PropertyId : std::uint8_t {
    payload_format_indicator = 0x01,
    message_expiry_interval = 0x02,
    content_type = 0x03,
    response_topic = 0x08,
    correlation_data = 0x09,
    subscription_identifier = 0x0B,
    session_expiry_interval = 0x11,
    assigned_client_identifier = 0x12,
    server_keep_alive = 0x13,
    authentication_method = 0x15,
    authentication_data = 0x16,
    request_problem_information = 0x17,
    will_delay_interval = 0x18,
    request_response_information = 0x19,
    response_information = 0x1A,
    server_reference = 0x1C,
    reason_string = 0x1F,
    receive_maximum = 0x21,
    topic_alias_maximum = 0x22,
    topic_alias = 0x23,
    maximum_qos = 0x24,
    retain_available = 0x25,
    user_property = 0x26,
    maximum_packet_size = 0x27,
    wildcard_subscription_available = 0x28,
    subscription_identifiers_available = 0x29,
    shared_subscription_available = 0x2A,
};

/// Where a property field can stand: in a packet (the number is that of PacketType), or before a
/// will.
enum class Place : std::uint8_t {
    will = 0,
    connect,
    connack,
    publish,
    puback,
    pubrec,
    pubrel,
    pubcomp,
    subscribe,
    suback,
    unsubscribe,
    unsuback,
    disconnect = 14,
    auth,
};

/// A set of places, one bit each.
using PlaceSet = std::uint16_t;

template <class... Places>
[[nodiscard]] constexpr PlaceSet in(Places... places) noexcept {
    return static_cast<PlaceSet>((0u | ... | (1u << static_cast<unsigned>(places))));
}

/// How the value is written (MQTT 5, 1.5).
enum class Wire : std::uint8_t { u8, u16, u32, variable_byte_integer, utf8, utf8_pair, binary };

/// How often a property may stand in one field.
enum class Times : std::uint8_t { once, many, many_in_publish };

/// What the value may be.
enum class Values : std::uint8_t { any, zero_or_one, not_zero, topic_name };

struct PropertyRow {
    PropertyId id;
    Wire wire;
    Times times;
    PlaceSet places;
    Values values = Values::any;
    ReasonCode bad_value = ReasonCode::protocol_error;
    PlaceSet client_only{};          // of `places`: those where a server must not send it
    PlaceSet server_only{};          // of `places`: those where a client must not send it
    std::string_view value_rule{};   // broken by a wrong value, where it has a number
    std::string_view sender_rule{};  // broken by a wrong sender, where it has a number
};

namespace property_table {

using enum Place;

/// The only place which knows MQTT 5, table 2-4, and the value ranges of sections 3.x.2.
inline constexpr std::array kRows{
    PropertyRow{.id = PropertyId::payload_format_indicator,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(publish, will),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::message_expiry_interval,
                .wire = Wire::u32,
                .times = Times::once,
                .places = in(publish, will)},
    PropertyRow{.id = PropertyId::content_type,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(publish, will)},
    PropertyRow{.id = PropertyId::response_topic,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(publish, will),
                .values = Values::topic_name,
                .value_rule = "MQTT-3.3.2-14"},
    PropertyRow{.id = PropertyId::correlation_data,
                .wire = Wire::binary,
                .times = Times::once,
                .places = in(publish, will)},
    PropertyRow{.id = PropertyId::subscription_identifier,
                .wire = Wire::variable_byte_integer,
                .times = Times::many_in_publish,
                .places = in(publish, subscribe),
                .values = Values::not_zero,
                .server_only = in(publish),
                .sender_rule = "MQTT-3.3.4-6"},
    PropertyRow{.id = PropertyId::session_expiry_interval,
                .wire = Wire::u32,
                .times = Times::once,
                .places = in(connect, connack, disconnect),
                .client_only = in(disconnect),
                .sender_rule = "MQTT-3.14.2-2"},
    PropertyRow{.id = PropertyId::assigned_client_identifier,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(connack)},
    PropertyRow{.id = PropertyId::server_keep_alive,
                .wire = Wire::u16,
                .times = Times::once,
                .places = in(connack)},
    PropertyRow{.id = PropertyId::authentication_method,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(connect, connack, auth)},
    PropertyRow{.id = PropertyId::authentication_data,
                .wire = Wire::binary,
                .times = Times::once,
                .places = in(connect, connack, auth)},
    PropertyRow{.id = PropertyId::request_problem_information,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connect),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::will_delay_interval,
                .wire = Wire::u32,
                .times = Times::once,
                .places = in(will)},
    PropertyRow{.id = PropertyId::request_response_information,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connect),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::response_information,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(connack)},
    PropertyRow{.id = PropertyId::server_reference,
                .wire = Wire::utf8,
                .times = Times::once,
                .places = in(connack, disconnect),
                .server_only = in(disconnect)},
    PropertyRow{
        .id = PropertyId::reason_string,
        .wire = Wire::utf8,
        .times = Times::once,
        .places = in(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth)},
    PropertyRow{.id = PropertyId::receive_maximum,
                .wire = Wire::u16,
                .times = Times::once,
                .places = in(connect, connack),
                .values = Values::not_zero},
    PropertyRow{.id = PropertyId::topic_alias_maximum,
                .wire = Wire::u16,
                .times = Times::once,
                .places = in(connect, connack)},
    PropertyRow{.id = PropertyId::topic_alias,
                .wire = Wire::u16,
                .times = Times::once,
                .places = in(publish),
                .values = Values::not_zero,
                .bad_value = ReasonCode::topic_alias_invalid,
                .value_rule = "MQTT-3.3.2-8"},
    PropertyRow{.id = PropertyId::maximum_qos,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connack),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::retain_available,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connack),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::user_property,
                .wire = Wire::utf8_pair,
                .times = Times::many,
                .places = in(will, connect, connack, publish, puback, pubrec, pubrel, pubcomp,
                             subscribe, suback, unsubscribe, unsuback, disconnect, auth)},
    PropertyRow{.id = PropertyId::maximum_packet_size,
                .wire = Wire::u32,
                .times = Times::once,
                .places = in(connect, connack),
                .values = Values::not_zero},
    PropertyRow{.id = PropertyId::wildcard_subscription_available,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connack),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::subscription_identifiers_available,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connack),
                .values = Values::zero_or_one},
    PropertyRow{.id = PropertyId::shared_subscription_available,
                .wire = Wire::u8,
                .times = Times::once,
                .places = in(connack),
                .values = Values::zero_or_one},
};

}  // namespace property_table

inline constexpr auto& kPropertyTable = property_table::kRows;

/// Ids are below this, so that a set of them fits one 64-bit word.
inline constexpr std::size_t kPropertyIdEnd = 0x2B;

namespace property_table {

/// For each id one more than the index of its row; 0 where there is none.
inline constexpr auto kIndex = [] {
    std::array<std::uint8_t, kPropertyIdEnd> index{};
    for (std::size_t row = 0; row < kRows.size(); ++row) {
        index[static_cast<std::size_t>(kRows[row].id)] = static_cast<std::uint8_t>(row + 1);
    }
    return index;
}();

}  // namespace property_table

/// The row of the property whose id is `byte`, or null for an unknown one.
[[nodiscard]] constexpr PropertyRow const* find_property_row(std::uint8_t byte) noexcept {
    if (byte >= kPropertyIdEnd || property_table::kIndex[byte] == 0) return nullptr;
    return &kPropertyTable[property_table::kIndex[byte] - 1u];
}

[[nodiscard]] constexpr PropertyRow const& property_row(PropertyId id) noexcept {
    return *find_property_row(static_cast<std::uint8_t>(id));
}

[[nodiscard]] constexpr bool may_stand(PropertyRow const& row, Place place) noexcept {
    return (row.places & in(place)) != 0;
}

[[nodiscard]] constexpr bool may_send(PropertyRow const& row, Place place, Sender sender) noexcept {
    return ((sender == Sender::client ? row.server_only : row.client_only) & in(place)) == 0;
}

[[nodiscard]] constexpr bool may_repeat(PropertyRow const& row, Place place) noexcept {
    return row.times == Times::many ||
           (row.times == Times::many_in_publish && place == Place::publish);
}

}  // namespace spoke::mqtt
