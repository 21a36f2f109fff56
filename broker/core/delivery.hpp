#pragma once

#include <cstdint>
#include <string_view>

#include "broker/core/message.hpp"
#include "broker/core/stored_as.hpp"
#include "broker/core/subscription_ids.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// The user property, first of its name, of a PUBLISH of QoS 1 or 2 to a client that may know
/// which delivery it is: hexadecimal, 16 digits. The same whenever the delivery comes again, with
/// whatever packet id, and never another's; zeros: it is not stored, and ends with the broker.
inline constexpr std::string_view kDeliveryProperty = "spoke-delivery";
/// That of a CONNECT which asks for it, and of the CONNACK which grants it.
inline constexpr std::string_view kDeliveriesProperty = "spoke-deliveries";

/// A message on its way to one session: what the subscription made of it.
struct Delivery {
    MessagePtr message{};  // null: it is in the store alone, or need not be sent again
    SubscriptionIds ids{};
    ShareId share{};  // whose member the session got it as; if its session ends, another may get it
    DeliveryNumber number{};
    std::uint32_t message_back = 0;
    std::uint32_t size = 0;                   // Message::footprint(), once it is queued or sent
    mqtt::Qos qos = mqtt::Qos::at_most_once;  // the lower of published and granted [MQTT-3.8.4-8]
    bool retain = false;                      // the RETAIN flag as it will be sent
    bool is_lost = false;                     // the store no longer has its message
    bool is_over = false;                     // told and stored as such: to be passed over
    bool wants_receipt = false;               // its publisher is told what becomes of it

    [[nodiscard]] StoredAs as() const noexcept { return {number, message_back}; }
    [[nodiscard]] bool is_stored() const noexcept { return number.value != 0; }
    /// Its message must be read from the store before it can be sent.
    [[nodiscard]] bool is_on_disk() const noexcept { return !message && is_stored() && !is_lost; }
};

}  // namespace spoke::broker
