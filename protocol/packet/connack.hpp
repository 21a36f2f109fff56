#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// CONNACK (3.2). In 3.1.1 the reason is mapped to and from the return codes 0..5.
struct ConnAck {
    bool session_present = false;
    ReasonCode reason = ReasonCode::success;

    // v5 only; an absent value means what table 3.2.2.3 says
    std::optional<std::uint32_t> session_expiry_interval{};  // seconds
    std::optional<std::uint16_t> receive_maximum{};
    std::optional<Qos> maximum_qos{};
    std::optional<bool> retain_available{};
    std::optional<std::uint32_t> maximum_packet_size{};
    std::optional<std::string> assigned_client_identifier{};
    std::optional<std::uint16_t> topic_alias_maximum{};
    std::optional<std::string> reason_string{};
    UserProperties user_properties{};
    std::optional<bool> wildcard_subscription_available{};
    std::optional<bool> subscription_identifiers_available{};
    std::optional<bool> shared_subscription_available{};
    std::optional<std::uint16_t> server_keep_alive{};  // seconds
    std::optional<std::string> response_information{};
    std::optional<std::string> server_reference{};
    std::optional<std::string> authentication_method{};
    std::optional<Buffer> authentication_data{};
    friend bool operator==(ConnAck const&, ConnAck const&) = default;
};

}  // namespace spoke::mqtt
