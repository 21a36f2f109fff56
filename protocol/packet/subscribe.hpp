#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// When retained messages are sent for a subscription (MQTT 5, 3.8.3.1).
enum class RetainHandling : std::uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

struct SubscriptionOptions {
    Qos qos = Qos::at_most_once;
    bool no_local = false;             // v5
    bool retain_as_published = false;  // v5
    RetainHandling retain_handling = RetainHandling::send;
    friend bool operator==(SubscriptionOptions const&, SubscriptionOptions const&) = default;
};

struct Subscription {
    std::string filter;
    SubscriptionOptions options{};
    friend bool operator==(Subscription const&, Subscription const&) = default;
};

/// SUBSCRIBE (3.8). At least one subscription. The codec checks the filters for UTF-8 and U+0000
/// only; whether a filter is well formed decides whoever takes it (3.8.4: answered per filter).
struct Subscribe {
    PacketId id{};
    std::vector<Subscription> subscriptions{};
    std::optional<std::uint32_t> subscription_identifier{};  // v5, 1..268435455
    UserProperties user_properties{};                        // v5
    friend bool operator==(Subscribe const&, Subscribe const&) = default;
};

}  // namespace spoke::mqtt
