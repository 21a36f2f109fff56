#pragma once

#include <string_view>

namespace spoke::mqtt {

/// Whether `text` is well-formed UTF-8 without surrogates [MQTT-1.5.4-1] and without U+0000
/// [MQTT-1.5.4-2]. Control characters and noncharacters are let through: the text leaves it open,
/// and refusing them would cut off clients that other brokers serve. U+FEFF is a character like any
/// other [MQTT-1.5.4-3].
[[nodiscard]] bool is_valid_utf8(std::string_view text) noexcept;

}  // namespace spoke::mqtt
