#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "bridge/command/command_id.hpp"

namespace spoke::bridge {

/// What the broker did with one copy of an order for one receiver.
enum class ReceiptStep : std::uint8_t {
    sent,     // written to the receiver's socket
    acked,    // PUBACK of the receiver
    refused,  // the same, with an error
    expired,  // its time passed in the broker
    dropped,
};

/// A delivery receipt of the broker.
struct Receipt {
    CommandId id;
    ReceiptStep step{};
    std::string client{};    // the receiver; empty: not known
    std::int64_t at_us = 0;  // by the broker's clock, unix time
    std::uint8_t reason = 0;
    std::string why{};             // dropped: "queue_full"
    bool was_sent_before = false;  // expired, dropped: it had been written to a socket already
};

/// The broker tells of a connection, `$SYS/brokers/<node>/clients/<id>/connected` or
/// `.../disconnected`.
struct ClientEvent {
    std::string client;
    bool connected = false;
    std::uint64_t connection = 0;  // grows from one connection to the next
    std::chrono::seconds keep_alive{};
};

/// Read a payload. Unknown members are passed over; nullopt if one that is needed is missing or has
/// a wrong type.
[[nodiscard]] std::optional<Receipt> parse_receipt(std::string_view payload);
[[nodiscard]] std::optional<ClientEvent> parse_client_event(std::string_view payload,
                                                            bool connected);

}  // namespace spoke::bridge
