#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "protocol/base/strong.hpp"

namespace spoke::mqtt {

/// Protocol level as it stands in CONNECT.
enum class Version : std::uint8_t { v3_1 = 3, v3_1_1 = 4, v5 = 5 };

enum class Qos : std::uint8_t { at_most_once = 0, at_least_once = 1, exactly_once = 2 };

/// The high four bits of the fixed header (MQTT 5, 2.1.2).
enum class PacketType : std::uint8_t {
    connect = 1,
    connack = 2,
    publish = 3,
    puback = 4,
    pubrec = 5,
    pubrel = 6,
    pubcomp = 7,
    subscribe = 8,
    suback = 9,
    unsubscribe = 10,
    unsuback = 11,
    pingreq = 12,
    pingresp = 13,
    disconnect = 14,
    auth = 15,
};

/// Which end of the connection wrote a packet: some properties, packets and reason codes go one way
/// only.
enum class Sender : std::uint8_t { client, server };

/// Packet identifier, 1..65535; 0 stands for "none" (QoS 0).
using PacketId = Strong<std::uint16_t, struct PacketIdTag>;

struct UserProperty {
    std::string name;
    std::string value;
    friend bool operator==(UserProperty const&, UserProperty const&) = default;
};

/// In the order they stand in the packet, names may repeat (MQTT 5, 3.3.2.3.7).
using UserProperties = std::vector<UserProperty>;

/// Largest value of a variable byte integer, and so of a remaining length (MQTT 5, 1.5.5).
inline constexpr std::uint32_t kVariableByteIntegerMax = 268'435'455;

/// A session expiry interval which means: never (MQTT 5, 3.1.2.11.2).
inline constexpr std::uint32_t kSessionNeverExpires = 0xFFFF'FFFF;

}  // namespace spoke::mqtt
