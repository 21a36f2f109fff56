#pragma once

#include "broker/core/ports/cluster_bus.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// The cluster of one: no other node exists, so none can have subscribed.
class SingleNodeBus final : public ClusterBus {
public:
    void forward(std::uint32_t, MessagePtr const&) override {
        MQ_ASSERT(!"a node beside this one");
    }
};

}  // namespace spoke::broker
