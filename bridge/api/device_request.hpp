#pragma once

#include <optional>
#include <string_view>

#include "bridge/api/problem.hpp"
#include "bridge/command/device_record.hpp"

namespace spoke::bridge {

/// Reads the body of PUT or PATCH of a device into `record`: a member that is there replaces what
/// stood, null empties it (RFC 7396). For PUT, hand in an empty record.
[[nodiscard]] std::optional<RequestError> parse_device_record(std::string_view body,
                                                              DeviceRecord& record);

/// Whether a device can have this id: 1..128 bytes, one level of a topic.
[[nodiscard]] bool is_device_id(std::string_view id);

}  // namespace spoke::bridge
