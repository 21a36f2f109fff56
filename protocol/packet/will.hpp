#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// The application message properties that PUBLISH and the will share (MQTT 5, 3.3.2.3
/// and 3.1.3.2).
struct MessageProperties {
    std::optional<std::uint8_t> payload_format_indicator{};
    std::optional<std::uint32_t> message_expiry_interval{};  // seconds
    std::optional<std::string> content_type{};
    std::optional<std::string> response_topic{};
    std::optional<Buffer> correlation_data{};
    UserProperties user_properties{};
    friend bool operator==(MessageProperties const&, MessageProperties const&) = default;
};

struct Will {
    std::string topic;
    Buffer payload{};
    Qos qos = Qos::at_most_once;
    bool retain = false;
    std::optional<std::uint32_t> will_delay_interval{};  // v5, seconds
    MessageProperties properties{};                      // v5
    friend bool operator==(Will const&, Will const&) = default;
};

}  // namespace spoke::mqtt
