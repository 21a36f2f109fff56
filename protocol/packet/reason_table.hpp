#pragma once

#include <array>
#include <cstdint>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// A set of packet types, one bit each.
using PacketSet = std::uint16_t;

template <class... Types>
[[nodiscard]] constexpr PacketSet packets(Types... types) noexcept {
    return static_cast<PacketSet>((0u | ... | (1u << static_cast<unsigned>(types))));
}

/// In which packets a reason code may stand, by who sends them.
struct ReasonRow {
    ReasonCode code;
    PacketSet from_client;
    PacketSet from_server;
};

namespace reason_table {

using enum PacketType;
using enum ReasonCode;

/// MQTT 5, table 2-6, split by sender as
/// sections 3.2.2.2, 3.4.2.1, 3.5.2.1, 3.6.2.1, 3.7.2.1, 3.9.3, 3.11.3, 3.14.2.1 and 3.15.2.1 do.
/// The only place which knows it. Table 2-6 lets 0x8C stand in DISCONNECT, section 3.14.2.1 does
/// not name it: a client takes it from a server.
inline constexpr std::array kRows{
    ReasonRow{
        success, packets(puback, pubrec, pubrel, pubcomp, disconnect),
        packets(connack, puback, pubrec, pubrel, pubcomp, suback, unsuback, disconnect, auth)},
    ReasonRow{granted_qos_1, packets(), packets(suback)},
    ReasonRow{granted_qos_2, packets(), packets(suback)},
    ReasonRow{disconnect_with_will_message, packets(disconnect), packets()},
    ReasonRow{no_matching_subscribers, packets(puback, pubrec), packets(puback, pubrec)},
    ReasonRow{no_subscription_existed, packets(), packets(unsuback)},
    ReasonRow{continue_authentication, packets(auth), packets(auth)},
    ReasonRow{re_authenticate, packets(auth), packets()},
    ReasonRow{unspecified_error, packets(puback, pubrec, disconnect),
              packets(connack, puback, pubrec, suback, unsuback, disconnect)},
    ReasonRow{malformed_packet, packets(disconnect), packets(connack, disconnect)},
    ReasonRow{protocol_error, packets(disconnect), packets(connack, disconnect)},
    ReasonRow{implementation_specific_error, packets(puback, pubrec, disconnect),
              packets(connack, puback, pubrec, suback, unsuback, disconnect)},
    ReasonRow{unsupported_protocol_version, packets(), packets(connack)},
    ReasonRow{client_identifier_not_valid, packets(), packets(connack)},
    ReasonRow{bad_user_name_or_password, packets(), packets(connack)},
    ReasonRow{not_authorized, packets(puback, pubrec),
              packets(connack, puback, pubrec, suback, unsuback, disconnect)},
    ReasonRow{server_unavailable, packets(), packets(connack)},
    ReasonRow{server_busy, packets(), packets(connack, disconnect)},
    ReasonRow{banned, packets(), packets(connack)},
    ReasonRow{server_shutting_down, packets(), packets(disconnect)},
    ReasonRow{bad_authentication_method, packets(), packets(connack, disconnect)},
    ReasonRow{keep_alive_timeout, packets(), packets(disconnect)},
    ReasonRow{session_taken_over, packets(), packets(disconnect)},
    ReasonRow{topic_filter_invalid, packets(), packets(suback, unsuback, disconnect)},
    ReasonRow{topic_name_invalid, packets(puback, pubrec, disconnect),
              packets(connack, puback, pubrec, disconnect)},
    ReasonRow{packet_identifier_in_use, packets(puback, pubrec),
              packets(puback, pubrec, suback, unsuback)},
    ReasonRow{packet_identifier_not_found, packets(pubrel, pubcomp), packets(pubrel, pubcomp)},
    ReasonRow{receive_maximum_exceeded, packets(disconnect), packets(disconnect)},
    ReasonRow{topic_alias_invalid, packets(disconnect), packets(disconnect)},
    ReasonRow{packet_too_large, packets(disconnect), packets(connack, disconnect)},
    ReasonRow{message_rate_too_high, packets(disconnect), packets(disconnect)},
    ReasonRow{quota_exceeded, packets(puback, pubrec, disconnect),
              packets(connack, puback, pubrec, suback, disconnect)},
    ReasonRow{administrative_action, packets(disconnect), packets(disconnect)},
    ReasonRow{payload_format_invalid, packets(puback, pubrec, disconnect),
              packets(connack, puback, pubrec, disconnect)},
    ReasonRow{retain_not_supported, packets(), packets(connack, disconnect)},
    ReasonRow{qos_not_supported, packets(), packets(connack, disconnect)},
    ReasonRow{use_another_server, packets(), packets(connack, disconnect)},
    ReasonRow{server_moved, packets(), packets(connack, disconnect)},
    ReasonRow{shared_subscriptions_not_supported, packets(), packets(suback, disconnect)},
    ReasonRow{connection_rate_exceeded, packets(), packets(connack, disconnect)},
    ReasonRow{maximum_connect_time, packets(), packets(disconnect)},
    ReasonRow{subscription_identifiers_not_supported, packets(), packets(suback, disconnect)},
    ReasonRow{wildcard_subscriptions_not_supported, packets(), packets(suback, disconnect)},
};

}  // namespace reason_table

inline constexpr auto& kReasonTable = reason_table::kRows;

namespace reason_table {

/// For each code one more than the index of its row; 0 where there is none.
inline constexpr auto kIndex = [] {
    std::array<std::uint8_t, 256> index{};
    for (std::size_t row = 0; row < kRows.size(); ++row) {
        index[static_cast<std::size_t>(kRows[row].code)] = static_cast<std::uint8_t>(row + 1);
    }
    return index;
}();

}  // namespace reason_table

/// Whether `sender` may put `code` into a packet of this type.
[[nodiscard]] constexpr bool may_stand(ReasonCode code, PacketType packet, Sender sender) noexcept {
    auto index = reason_table::kIndex[static_cast<std::size_t>(code)];
    if (index == 0) return false;
    auto const& row = kReasonTable[index - 1u];
    return ((sender == Sender::client ? row.from_client : row.from_server) & packets(packet)) != 0;
}

}  // namespace spoke::mqtt
