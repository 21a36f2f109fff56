#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/api/http_message.hpp"
#include "bridge/api/problem.hpp"
#include "bridge/api/target.hpp"
#include "protocol/base/time.hpp"

namespace spoke::bridge {

/// How long a request wants to be held.
struct WaitWish {
    std::chrono::seconds wait{0};
    std::string applied{};  // "wait=8", "respond-async": for Preference-Applied; empty: none

    /// Says in the response which preference was followed.
    void note_in(HttpResponse& response) const;
};

inline constexpr std::chrono::seconds kWaitMax{55};  // below the 60 s at which proxies cut

/// `?wait=8`, else `Prefer: wait=8` or `respond-async` (RFC 7240); more than kWaitMax counts as
/// kWaitMax. A preference that cannot be read is no error, a parameter is.
[[nodiscard]] std::optional<RequestError> parse_wait(HttpRequest const& request,
                                                     Target const& target, WaitWish& out);

/// Reads a decimal number; nullopt unless the whole text is one, within the bounds.
[[nodiscard]] std::optional<std::uint64_t> parse_number(std::string_view text, std::uint64_t min,
                                                        std::uint64_t max) noexcept;

/// `?limit=`, from 1 to 1000. Out: the error, or nullopt with `out` as it was or as asked for.
[[nodiscard]] std::optional<RequestError> parse_limit(Target const& target, std::size_t& out);

/// true, false, 1 or 0.
[[nodiscard]] std::optional<RequestError> parse_flag(Target const& target, std::string_view name,
                                                     bool& out);

/// The error for a query parameter that is not one of `known`; nullopt if there is none.
[[nodiscard]] std::optional<RequestError> check_parameters(
    Target const& target, std::vector<std::string_view> const& known);

/// 415 unless the body says that it is JSON, or says nothing.
[[nodiscard]] std::optional<Problem> check_json(HttpRequest const& request);

/// Whether If-Match or If-None-Match names `etag`: `*`, or one of a list, weak or not.
[[nodiscard]] bool names_etag(std::string_view header, std::string_view etag);

/// Whether the peer asks for one JSON document per line.
[[nodiscard]] bool wants_lines(HttpRequest const& request);

/// 2026-11-22T19:00:00Z, or with up to three digits of a second.
[[nodiscard]] std::optional<WallTime> parse_rfc3339(std::string_view text);

}  // namespace spoke::bridge
