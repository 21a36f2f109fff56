#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "bridge/api/problem.hpp"
#include "bridge/command/command.hpp"

namespace spoke::bridge {

/// Reads the body of `POST /v1/devices/{id}/commands` and fills in the defaults of the verb.
/// Out     the error, or nullopt with `out` filled.
[[nodiscard]] std::optional<RequestError> parse_command_request(std::string_view body,
                                                                std::string_view device,
                                                                CommandRequest& out);

/// The Idempotency-Key header: a structured field string (`"4b1c"`), or the bare text.
/// Out     the error, or nullopt with `out` filled; empty if there is no such header.
[[nodiscard]] std::optional<RequestError> parse_idempotency_key(std::string_view header,
                                                                std::string& out);

}  // namespace spoke::bridge
