#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "protocol/base/bytes.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/will.hpp"

namespace spoke::mqtt {

/// CONNECT (3.1). The one packet that carries its version.
struct Connect {
    Version version = Version::v5;
    std::string client_id{};
    bool clean_start = true;       // 3.1.1: clean session
    std::uint16_t keep_alive = 0;  // seconds, 0 is off
    std::optional<Will> will{};
    std::optional<std::string> user_name{};
    std::optional<Buffer> password{};

    // v5 only
    std::optional<std::uint32_t> session_expiry_interval{};  // seconds
    std::optional<std::uint16_t> receive_maximum{};
    std::optional<std::uint32_t> maximum_packet_size{};
    std::optional<std::uint16_t> topic_alias_maximum{};
    std::optional<bool> request_response_information{};
    std::optional<bool> request_problem_information{};
    std::optional<std::string> authentication_method{};
    std::optional<Buffer> authentication_data{};
    UserProperties user_properties{};
    friend bool operator==(Connect const&, Connect const&) = default;
};

}  // namespace spoke::mqtt
