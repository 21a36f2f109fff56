#pragma once

#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// AUTH (3.15), MQTT 5 only.
struct Auth {
    ReasonCode reason = ReasonCode::success;
    std::optional<std::string> authentication_method{};
    std::optional<Buffer> authentication_data{};
    std::optional<std::string> reason_string{};
    UserProperties user_properties{};
    friend bool operator==(Auth const&, Auth const&) = default;
};

}  // namespace spoke::mqtt
