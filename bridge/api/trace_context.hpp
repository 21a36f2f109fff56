#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace spoke::bridge {

/// Whether `text` is a traceparent that can be passed on (W3C Trace Context, 3.2): version 00, or
/// a later one that looks the same.
[[nodiscard]] bool is_traceparent(std::string_view text) noexcept;

/// A new one, sampled.
[[nodiscard]] std::string make_traceparent(std::function<std::uint64_t()> const& random);

/// Whether a peer's Request-Id is taken over: 1..128 letters, digits and "-_.:/+=".
[[nodiscard]] bool is_request_id(std::string_view text) noexcept;

}  // namespace spoke::bridge
