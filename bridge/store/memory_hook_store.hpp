#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>

#include "bridge/store/hook_store.hpp"

namespace spoke::bridge {

/// Webhooks without a disk: they end with the process. Their audit entries go to whoever keeps the
/// trail.
class MemoryHookStore final : public HookStore {
public:
    using Defer = std::function<void(std::function<void()>)>;
    using Audit = std::function<void(AuditEntry)>;

    /// `defer` runs a function soon, after the present one has returned.
    MemoryHookStore(Defer defer, Audit audit)
        : defer_(std::move(defer)), audit_(std::move(audit)) {}

    void put_hook(Hook hook, AuditEntry audit, Need need, Done done) override;
    void erase_hook(std::string_view name, AuditEntry audit, Done done) override;
    void put_delivery(HookDelivery delivery, Done done) override;
    void erase_delivery(std::string_view hook, std::string_view id) override;
    [[nodiscard]] std::optional<std::string> delivery_body(std::string_view hook,
                                                           std::string_view id) const override;
    void visit_hooks(std::function<void(Hook&&)> const& visit) const override;
    void visit_deliveries(std::function<void(HookDelivery&&)> const& visit) const override;

private:
    void finish(Done done);

    Defer defer_;
    Audit audit_;
    std::map<std::string, Hook, std::less<>> hooks_;
    std::map<std::pair<std::string, std::string>, HookDelivery> deliveries_;  // by hook and id
};

}  // namespace spoke::bridge
