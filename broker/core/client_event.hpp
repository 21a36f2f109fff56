#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "broker/core/message.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::broker {

/// How a connection ended.
struct LinkEnd {
    enum class By : std::uint8_t { client, broker, network };
    By by = By::network;
    /// That of the DISCONNECT which either side sent or would have sent; none if the connection
    /// broke.
    std::optional<mqtt::ReasonCode> reason{};
    std::string_view detail{};  // the rule that was broken, or what the transport says
};

/// What is told when a client has connected.
struct ClientConnected {
    std::string_view client_id{};
    std::optional<std::string_view> user_name{};
    std::string_view address{};
    mqtt::Version version = mqtt::Version::v5;
    std::uint16_t keep_alive = 0;  // seconds, as it is enforced
    bool clean_start = false;
    bool session_present = false;
    std::int64_t connection = 0;
    std::int64_t at_us = 0;
};

/// What is told when its connection has ended.
struct ClientDisconnected {
    std::string_view client_id{};
    LinkEnd end{};
    std::int64_t connection = 0;
    std::int64_t connected_at_us = 0;
    std::int64_t at_us = 0;
};

/// As one level of a topic: '/', '+', '#', '%' and control characters as %2F and so on.
[[nodiscard]] std::string as_topic_level(std::string_view text);

/// Writes `$SYS/brokers/NODE/clients/CLIENT/WHAT` over `topic`.
void write_client_topic(std::string_view node, std::string_view client_id, std::string_view what,
                        std::string& topic);

/// The events: QoS 0, not retained.
[[nodiscard]] MessagePtr make_event(std::string_view topic, ClientConnected const& event);
[[nodiscard]] MessagePtr make_event(std::string_view topic, ClientDisconnected const& event);

}  // namespace spoke::broker
