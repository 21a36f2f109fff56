#pragma once

#include <optional>
#include <string>
#include <vector>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// SUBACK (3.9): one reason per filter, in their order. In 3.1.1 every error is written as 0x80.
struct SubAck {
    PacketId id{};
    std::vector<ReasonCode> reasons{};
    std::optional<std::string> reason_string{};  // v5
    UserProperties user_properties{};            // v5
    friend bool operator==(SubAck const&, SubAck const&) = default;
};

}  // namespace spoke::mqtt
