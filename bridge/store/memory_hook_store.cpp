#include "bridge/store/memory_hook_store.hpp"

#include <algorithm>
#include <tuple>

namespace spoke::bridge {

void MemoryHookStore::finish(Done done) {
    if (done) defer_([done = std::move(done)] { done(true); });
}

void MemoryHookStore::put_hook(Hook hook, AuditEntry audit, Need, Done done) {
    auto name = hook.name;
    hooks_.insert_or_assign(std::move(name), std::move(hook));
    audit_(std::move(audit));
    finish(std::move(done));
}

void MemoryHookStore::erase_hook(std::string_view name, AuditEntry audit, Done done) {
    if (auto found = hooks_.find(name); found != hooks_.end()) hooks_.erase(found);
    std::erase_if(deliveries_, [&](auto const& item) { return item.first.first == name; });
    audit_(std::move(audit));
    finish(std::move(done));
}

void MemoryHookStore::put_delivery(HookDelivery delivery, Done done) {
    auto& kept = deliveries_[{delivery.hook, delivery.id}];
    if (delivery.body.empty()) delivery.body = std::move(kept.body);
    kept = std::move(delivery);
    finish(std::move(done));
}

void MemoryHookStore::erase_delivery(std::string_view hook, std::string_view id) {
    deliveries_.erase({std::string{hook}, std::string{id}});
}

std::optional<std::string> MemoryHookStore::delivery_body(std::string_view hook,
                                                          std::string_view id) const {
    auto found = deliveries_.find({std::string{hook}, std::string{id}});
    if (found == deliveries_.end()) return std::nullopt;
    return found->second.body;
}

void MemoryHookStore::visit_hooks(std::function<void(Hook&&)> const& visit) const {
    for (auto const& [name, hook] : hooks_) visit(Hook{hook});
}

void MemoryHookStore::visit_deliveries(std::function<void(HookDelivery&&)> const& visit) const {
    std::vector<HookDelivery> all;
    for (auto const& [key, delivery] : deliveries_) {
        all.push_back(delivery);
        all.back().body.clear();
    }
    std::ranges::sort(all, {}, [](auto const& d) { return std::tie(d.hook, d.offset, d.id); });
    for (auto& delivery : all) visit(std::move(delivery));
}

}  // namespace spoke::bridge
