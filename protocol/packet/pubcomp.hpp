#pragma once

#include <optional>
#include <string>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// PUBCOMP (3.7).
struct PubComp {
    PacketId id{};
    ReasonCode reason = ReasonCode::success;     // v5; always success in 3.1.1
    std::optional<std::string> reason_string{};  // v5
    UserProperties user_properties{};            // v5
    friend bool operator==(PubComp const&, PubComp const&) = default;
};

}  // namespace spoke::mqtt
