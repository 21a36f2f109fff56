#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// UNSUBACK (3.11). In 3.1.1 it carries the id alone and `reasons` is empty.
struct UnsubAck {
    PacketId id{};
    std::vector<ReasonCode> reasons{};           // v5
    std::optional<std::string> reason_string{};  // v5
    UserProperties user_properties{};            // v5
    friend bool operator==(UnsubAck const&, UnsubAck const&) = default;
};

}  // namespace spoke::mqtt
