#include "device-sim/load/traffic_plan.hpp"

#include <fmt/format.h>

namespace spoke::sim::load {
namespace {

TrafficPlan plan_pairs(Settings const& settings) {
    TrafficPlan plan{.publishers = settings.peers, .flows = {}, .receivers = {}};
    for (std::uint32_t i = 0; i < settings.peers; ++i) {
        auto topic = fmt::format("{}/p2p/{}", settings.topic_prefix, i);
        plan.flows.push_back({.publisher = i, .receivers = {i, i + 1}, .topic = topic});
        plan.receivers.push_back({.filter = topic, .flows = {i, i + 1}});
    }
    return plan;
}

TrafficPlan plan_fan_out(Settings const& settings) {
    auto topic = fmt::format("{}/fanout", settings.topic_prefix);
    TrafficPlan plan{.publishers = 1, .flows = {}, .receivers = {}};
    plan.flows.push_back({.publisher = 0, .receivers = {0, settings.peers}, .topic = topic});
    plan.receivers.assign(settings.peers, ReceiverPlan{.filter = topic, .flows = {0, 1}});
    return plan;
}

TrafficPlan plan_fan_in(Settings const& settings) {
    TrafficPlan plan{.publishers = settings.peers, .flows = {}, .receivers = {}};
    for (std::uint32_t i = 0; i < settings.peers; ++i) {
        plan.flows.push_back({.publisher = i,
                              .receivers = {0, 1},
                              .topic = fmt::format("{}/fanin/{}", settings.topic_prefix, i)});
    }
    plan.receivers.push_back(
        {.filter = fmt::format("{}/fanin/+", settings.topic_prefix), .flows = {0, settings.peers}});
    return plan;
}

TrafficPlan plan_push(Settings const& settings) {
    TrafficPlan plan{.publishers = 1, .flows = {}, .receivers = {}};
    for (std::uint32_t i = 0; i < settings.peers; ++i) {
        auto topic = fmt::format("{}/d/{}/cmd", settings.topic_prefix, i);
        plan.flows.push_back({.publisher = 0, .receivers = {i, i + 1}, .topic = topic});
        plan.receivers.push_back({.filter = topic, .flows = {i, i + 1}});
    }
    return plan;
}

}  // namespace

TrafficPlan plan_traffic(Settings const& settings) {
    if (settings.mode == Mode::fanout) return plan_fan_out(settings);
    if (settings.mode == Mode::fanin) return plan_fan_in(settings);
    if (settings.mode == Mode::push) return plan_push(settings);
    return plan_pairs(settings);
}

}  // namespace spoke::sim::load
