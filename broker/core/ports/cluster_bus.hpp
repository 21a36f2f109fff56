#pragma once

#include <cstdint>

#include "broker/core/message.hpp"

namespace spoke::broker {

/// A subscription of this shard number stands for another node of the cluster; its slot is the
/// node's number. So a remote node is one more kind of subscriber, and sessions know nothing of it.
inline constexpr std::uint8_t kRemoteNode = 0xFF;

/// How messages reach other nodes. Called from every shard's thread; no call blocks.
class ClusterBus {
public:
    virtual ~ClusterBus() = default;

    /// `node` has subscribers for the message; at most one call per message and node.
    virtual void forward(std::uint32_t node, MessagePtr const& message) = 0;
};

}  // namespace spoke::broker
