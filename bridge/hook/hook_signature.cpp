#include "bridge/hook/hook_signature.hpp"

#include <fmt/format.h>

#include <optional>

#include "bridge/access/encoding.hpp"
#include "protocol/base/base64.hpp"

namespace spoke::bridge {
namespace {

constexpr std::string_view kPrefix = "whsec_";

std::optional<std::string> key_of(std::string_view secret) {
    if (!secret.starts_with(kPrefix)) return std::nullopt;
    return from_base64(secret.substr(kPrefix.size()));
}

}  // namespace

bool is_hook_secret(std::string_view text) {
    constexpr std::size_t kBytesMin = 24;
    constexpr std::size_t kBytesMax = 64;
    auto key = key_of(text);
    return key && key->size() >= kBytesMin && key->size() <= kBytesMax;
}

std::string make_hook_secret(std::function<std::uint64_t()> const& random) {
    constexpr std::size_t kBytes = 32;
    std::string key;
    while (key.size() < kBytes) {
        auto word = random();
        for (std::size_t i = 0; i < sizeof word; ++i, word >>= 8) {
            key.push_back(static_cast<char>(word & 0xFF));
        }
    }
    return std::string{kPrefix} + to_base64(key);
}

std::string hook_signature(std::string_view secret, std::string_view id, std::int64_t timestamp,
                           std::string_view body) {
    auto signed_text = fmt::format("{}.{}.{}", id, timestamp, body);
    auto hash = hmac_sha256(key_of(secret).value_or(std::string{}), signed_text);
    return "v1," + to_base64(bytes_of(hash));
}

HookRequest make_hook_request(Hook const& hook, HookDelivery delivery, WallTime now) {
    auto timestamp =
        std::chrono::duration_cast<std::chrono::seconds>(now.time_since_epoch()).count();
    auto signature = hook_signature(hook.secret, delivery.id, timestamp, delivery.body);
    if (!hook.old_secret.empty() && now < hook.old_secret_until) {
        signature += " " + hook_signature(hook.old_secret, delivery.id, timestamp, delivery.body);
    }
    auto const* type = delivery.format == HookFormat::cloudevents ? "application/cloudevents+json"
                                                                  : "application/json";
    HookRequest request;
    request.url = hook.url;
    request.headers = {{"Content-Type", type},
                       {"Webhook-Id", std::move(delivery.id)},
                       {"Webhook-Timestamp", std::to_string(timestamp)},
                       {"Webhook-Signature", std::move(signature)}};
    request.body = std::move(delivery.body);
    return request;
}

}  // namespace spoke::bridge
