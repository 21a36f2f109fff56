#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::mqtt {

/// DISCONNECT (3.14). In 3.1.1 it is two bytes and goes from client to server only.
struct Disconnect {
    ReasonCode reason = ReasonCode::normal_disconnection;    // v5
    std::optional<std::uint32_t> session_expiry_interval{};  // v5, client to server, seconds
    std::optional<std::string> reason_string{};              // v5
    UserProperties user_properties{};                        // v5
    std::optional<std::string> server_reference{};           // v5, server to client
    friend bool operator==(Disconnect const&, Disconnect const&) = default;
};

}  // namespace spoke::mqtt
