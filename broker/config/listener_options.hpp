#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "protocol/options/option_table.hpp"

namespace spoke::broker {

struct ListenerConfig;

/// The rows of a [[listener]] about its sockets and what is spoken on them below MQTT.
void socket_options(options::OptionTable& table, ListenerConfig& c);
void unix_options(options::OptionTable& table, ListenerConfig& c);
void proxy_options(options::OptionTable& table, ListenerConfig& c);
void websocket_options(options::OptionTable& table, ListenerConfig& c);

/// Checks what one of these options alone cannot show.
/// Errors  options::OptionError.
void check_transport(ListenerConfig const& c);

/// Permissions of a file in octal digits: "0660", "600"; nothing if they are none.
[[nodiscard]] std::optional<std::uint32_t> file_mode(std::string_view text) noexcept;

}  // namespace spoke::broker
