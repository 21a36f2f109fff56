#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/will.hpp"

namespace spoke::mqtt {

/// PUBLISH (3.3) as a value that owns its bytes. The broker's hot path uses PublishView instead.
struct Publish {
    std::string topic;  // empty only with a topic alias
    Buffer payload{};
    Qos qos = Qos::at_most_once;
    bool retain = false;
    bool dup = false;
    PacketId id{};  // 0 for QoS 0

    // v5 only
    std::optional<std::uint16_t> topic_alias{};
    MessageProperties properties{};
    std::vector<std::uint32_t> subscription_identifiers{};  // server to client only
    friend bool operator==(Publish const&, Publish const&) = default;
};

}  // namespace spoke::mqtt
