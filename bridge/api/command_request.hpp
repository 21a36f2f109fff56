#pragma once

#include <boost/system/result.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/api/http_message.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/target.hpp"
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

/// How long a request wants to be held.
struct WaitWish {
    std::chrono::seconds wait{0};
    bool from_preference = false;  // then the answer says Preference-Applied
};

inline constexpr std::chrono::seconds kWaitMax{55};  // below the 60 s at which proxies cut

/// `?wait=8`, else `Prefer: wait=8` (RFC 7240); more than kWaitMax counts as kWaitMax. A preference
/// that cannot be read is no error, a parameter is.
[[nodiscard]] std::optional<RequestError> parse_wait(HttpRequest const& request,
                                                     Target const& target, WaitWish& out);

/// Reads a decimal number; nullopt unless the whole text is one, within the bounds.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t min,
                                                        std::uint64_t max) noexcept;

/// The error for a query parameter that is not one of `known`; nullopt if there is none.
[[nodiscard]] std::optional<RequestError> check_parameters(
    Target const& target, std::vector<std::string_view> const& known);

}  // namespace spoke::bridge
