#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "device-sim/load/settings.hpp"

namespace spoke::sim::load {

/// Half-open range of indices.
struct IndexRange {
    std::uint32_t begin = 0;
    std::uint32_t end = 0;

    [[nodiscard]] std::uint32_t size() const noexcept { return end - begin; }
    [[nodiscard]] bool contains(std::uint32_t index) const noexcept {
        return index >= begin && index < end;
    }
    friend bool operator==(IndexRange const&, IndexRange const&) = default;
};

/// A stream of numbered messages of one publisher on one topic.
struct FlowPlan {
    std::uint32_t publisher = 0;
    IndexRange receivers;
    std::string topic;
};

struct ReceiverPlan {
    std::string filter;
    IndexRange flows;  // what it must get, and nothing else
};

/// Who sends what to whom in p2p, fanout, fanin and push.
struct TrafficPlan {
    std::uint32_t publishers = 0;
    std::vector<FlowPlan> flows;
    std::vector<ReceiverPlan> receivers;
};

/// In      `settings.mode` is one of the four.
[[nodiscard]] TrafficPlan plan_traffic(Settings const& settings);

}  // namespace spoke::sim::load
