#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "broker/core/message.hpp"
#include "protocol/packet/basics.hpp"
#include "protocol/packet/reason_code.hpp"

namespace spoke::broker {

/// The user property of a PUBLISH that asks for receipts; its value is the topic they go to. That
/// of a CONNACK which says that the client may ask.
inline constexpr std::string_view kReceiptProperty = "spoke-receipt";
inline constexpr std::string_view kReceiptsProperty = "spoke-receipts";

/// What happened to a message on its way to one receiver.
enum class ReceiptStep : std::uint8_t {
    sent,     // all of it is written to the socket
    acked,    // PUBACK or, at QoS 2, PUBCOMP has come
    refused,  // PUBACK or PUBREC with a reason of 0x80 or above
    expired,  // its time passed before a byte of it was written
    dropped,  // it will not be sent, or not again
};

/// A step with what explains it.
struct Fate {
    ReceiptStep step = ReceiptStep::dropped;
    std::string_view why{};  // of `dropped`; static storage
    bool was_sent = false;   // `dropped`: some of it was written before, or may have been
    bool dup = false;        // `sent`: not for the first time
    mqtt::ReasonCode reason = mqtt::ReasonCode::success;  // of the receiver's answer
};

/// Why a message was dropped; part of the format of receipts.
namespace why {
inline constexpr std::string_view kClean = "clean_start";  // its session, by the client's wish
inline constexpr std::string_view kConnectionLost = "connection_lost";  // QoS 0
inline constexpr std::string_view kEvicted = "evicted";  // the oldest, from a full queue
inline constexpr std::string_view kExpired = "expired";  // after it was sent, or may have been
inline constexpr std::string_view kMoved = "moved";      // to another member of the share group
inline constexpr std::string_view kNotAuthorized = "not_authorized";  // to read the topic
inline constexpr std::string_view kOffline = "offline";               // QoS 0
inline constexpr std::string_view kQueueFull = "queue_full";
inline constexpr std::string_view kSessionEnded = "session_ended";  // with its connection
inline constexpr std::string_view kSessionExpired = "session_expired";
inline constexpr std::string_view kSlowReceiver = "slow_receiver";  // QoS 0
inline constexpr std::string_view kTakenOver = "taken_over";        // its session ended with that
inline constexpr std::string_view kTooLarge = "too_large";          // for the client
}  // namespace why

/// What happened, to which message, on the way to whom.
struct Receipt {
    Message const& message;                       // which asks for receipts
    std::optional<std::string_view> client_id{};  // none: the session is gone
    mqtt::Qos qos = mqtt::Qos::at_most_once;      // of the delivery
    Fate fate{};
    std::int64_t at_us = 0;  // microseconds since 1970
};

/// The message that tells of it: QoS 0, not retained, to the topic that was asked for.
[[nodiscard]] MessagePtr make_receipt(Receipt const& receipt);

}  // namespace spoke::broker
