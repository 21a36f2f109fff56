#pragma once

#include <cstdint>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/session_ref.hpp"
#include "broker/core/stored_as.hpp"
#include "broker/core/subscription_ids.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

/// One receiver of a message on another shard.
struct Receiver {
    std::uint32_t slot = 0;
    std::uint16_t generation = 0;
    mqtt::Qos qos = mqtt::Qos::at_most_once;  // already the lower of published and granted
    bool retain = false;
    bool is_rejected = false;  // its queue is full: the publisher is told so, and nothing delivered
    SubscriptionIds ids{};
    ShareId share{};
    SessionNumber session_number{};
    StoredAs as{};
};

/// What one shard has for another at the end of a turn: immutable values, in the order they were
/// routed.
struct ShardBatch {
    struct Routed {
        MessagePtr message;
        std::uint32_t receivers;  // how many of `receivers` are its, in order
    };
    std::vector<Routed> routed;
    std::vector<Receiver> receivers;

    [[nodiscard]] bool empty() const noexcept { return routed.empty(); }
    void clear() noexcept {
        routed.clear();
        receivers.clear();
    }
};

}  // namespace spoke::broker
