#pragma once

#include <optional>
#include <string>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// PUBREC (3.5).
struct PubRec {
    PacketId id{};
    ReasonCode reason = ReasonCode::success;     // v5; always success in 3.1.1
    std::optional<std::string> reason_string{};  // v5
    UserProperties user_properties{};            // v5
    friend bool operator==(PubRec const&, PubRec const&) = default;
};

}  // namespace spoke::mqtt
