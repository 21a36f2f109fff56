#include "bridge/hook/hook_run.hpp"

#include <algorithm>

namespace spoke::bridge {

void HookRun::begin(std::uint64_t offset, std::string const& id) {
    window_.push_back({offset, id});
}

void HookRun::end(std::string const& id) {
    auto found = std::ranges::find(window_, id, &Begun::id);
    if (found != window_.end()) found->is_over = true;
    while (!window_.empty() && window_.front().is_over) window_.pop_front();
}

std::uint64_t HookRun::place() const {
    if (!window_.empty()) return window_.front().offset - 1;
    if (!taken.empty()) return taken.front().offset - 1;
    return reader->position();
}

void HookRun::keep(HookDelivery delivery) {
    drop(delivery.id);
    delivery.body.clear();
    if (delivery.state == DeliveryState::dead) {
        dead_.push_back(delivery.id);
    } else {
        due_.emplace(delivery.due_at, delivery.id);
    }
    auto id = delivery.id;
    kept_.emplace(std::move(id), std::move(delivery));
}

std::optional<HookDelivery> HookRun::drop(std::string const& id) {
    auto node = kept_.extract(id);
    if (node.empty()) return std::nullopt;
    due_.erase({node.mapped().due_at, id});
    if (node.mapped().state == DeliveryState::dead) std::erase(dead_, id);
    return std::move(node.mapped());
}

HookDelivery const* HookRun::kept(std::string const& id) const {
    auto found = kept_.find(id);
    return found == kept_.end() ? nullptr : &found->second;
}

std::optional<std::pair<WallTime, std::string>> HookRun::next_due() const {
    if (due_.empty()) return std::nullopt;
    return *due_.begin();
}

void HookRun::set_sending(std::string const& id) {
    due_.erase({kept_.at(id).due_at, id});
}

void HookRun::add_report(HookReport report) {
    constexpr std::size_t kReportsMax = 100;
    reports_.push_back(std::move(report));
    if (reports_.size() > kReportsMax) reports_.pop_front();
}

}  // namespace spoke::bridge
