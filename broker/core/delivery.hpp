#pragma once

#include <cstdint>

#include "broker/core/message.hpp"
#include "broker/core/subscription_ids.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// A message on its way to one session: what the subscription made of it.
struct Delivery {
    MessagePtr message{};
    SubscriptionIds ids{};
    mqtt::Qos qos = mqtt::Qos::at_most_once;  // the lower of published and granted [MQTT-3.8.4-8]
    bool retain = false;                      // the RETAIN flag as it will be sent
    ShareId share{};  // whose member the session got it as; if its session ends, another may get it
};

}  // namespace spoke::broker
