#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "bridge/hook/hook_client.hpp"
#include "bridge/store/hook_store.hpp"

namespace spoke::bridge {

/// A secret of Standard Webhooks: "whsec_" and the base64 of 24 to 64 bytes.
[[nodiscard]] bool is_hook_secret(std::string_view text);

/// A new one, of 32 bytes.
[[nodiscard]] std::string make_hook_secret(std::function<std::uint64_t()> const& random);

/// "v1," and the base64 of HMAC-SHA256 of "id.timestamp.body".
[[nodiscard]] std::string hook_signature(std::string_view secret, std::string_view id,
                                         std::int64_t timestamp, std::string_view body);

/// The request for one attempt, signed with the secret of the hook, and with its older one for as
/// long as that is good.
[[nodiscard]] HookRequest make_hook_request(Hook const& hook, HookDelivery delivery, WallTime now);

}  // namespace spoke::bridge
