#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace spoke::bridge {

/// Where a webhook is sent to, taken apart.
struct HookUrl {
    bool is_tls = true;
    std::string host;  // a name or an address, that of IPv6 without brackets
    std::uint16_t port = 443;
    std::string target = "/";  // path and query

    /// As the header Host has it: with brackets, and the port unless it is that of the scheme.
    [[nodiscard]] std::string authority() const;
};

/// Errors  nullopt unless it is http:// or https:// with a host, perhaps a port, path and query,
///         2048 bytes at most; no user, no fragment, no blanks, no control characters.
[[nodiscard]] std::optional<HookUrl> parse_hook_url(std::string_view text);

/// Whether an address (4 or 16 bytes) is one of the public network: not loopback, private, shared,
/// link-local, multicast, unspecified, reserved or for documentation, nor one of IPv6 that stands
/// for such an address of IPv4.
[[nodiscard]] bool is_public_address(std::span<std::uint8_t const> bytes) noexcept;

}  // namespace spoke::bridge
