#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/event/need.hpp"
#include "bridge/store/audit_entry.hpp"

namespace spoke::bridge {

enum class HookFormat : std::uint8_t { plain, cloudevents };

enum class HookState : std::uint8_t {
    active,
    paused,    // by an administrator: its place in the log waits
    disabled,  // by its receiver, which has answered 410, or by an administrator
};

[[nodiscard]] std::string_view name_of(HookFormat format) noexcept;
[[nodiscard]] std::string_view name_of(HookState state) noexcept;

/// A webhook: events of these topics are sent to this URL.
struct Hook {
    std::string name;
    std::string url;
    std::vector<std::string> topics{};  // filters
    HookFormat format = HookFormat::plain;
    HookState state = HookState::active;
    std::string why{};         // of a state that nobody has asked for
    std::string secret{};      // "whsec_..."
    std::string old_secret{};  // signs as well until `old_secret_until`; empty: there is none
    WallTime old_secret_until{};
    std::uint64_t begin = 0;    // its place in the log when it was made
    std::uint32_t version = 0;  // grows with each change
    friend bool operator==(Hook const&, Hook const&) = default;
};

enum class DeliveryState : std::uint8_t {
    waiting,  // for its next attempt
    dead,     // there will be none
};

/// One event on its way to one hook, after its first attempt has failed.
struct HookDelivery {
    std::string hook;
    std::string id;            // of the event: the header webhook-id
    std::uint64_t offset = 0;  // of the event
    std::string topic{};
    std::string body{};  // as it is sent, in `format`
    HookFormat format = HookFormat::plain;
    DeliveryState state = DeliveryState::waiting;
    std::uint32_t attempts = 0;  // made so far
    WallTime made_at{};          // the first one
    WallTime due_at{};           // the next one
    std::string outcome{};       // of the last one: "503", "timeout"
    friend bool operator==(HookDelivery const&, HookDelivery const&) = default;
};

/// Keeps webhooks, and what they could not deliver yet.
/// Order   of writes is that of the calls.  Reads  show what has been committed.
/// Bound   that of its caller: deliveries are always taken, and wait in memory while the disk
///         fails.
/// Thread  the bridge's; completions come there, never before the call has returned.
class HookStore {
public:
    using Done = std::function<void(bool stored)>;

    virtual ~HookStore() = default;

    /// Writes the hook, new or in place of the older one.
    virtual void put_hook(Hook hook, AuditEntry audit, Need need, Done done) = 0;

    /// Removes the hook and its deliveries (`now_or_never`).
    virtual void erase_hook(std::string_view name, AuditEntry audit, Done done) = 0;

    /// Writes the delivery, new or in place of the older one with this hook and id, whose body
    /// stays as it is if the new one has none.
    virtual void put_delivery(HookDelivery delivery, Done done) = 0;
    virtual void erase_delivery(std::string_view hook, std::string_view id) = 0;

    [[nodiscard]] virtual std::optional<std::string> delivery_body(std::string_view hook,
                                                                   std::string_view id) const = 0;

    /// At the start: every hook; every delivery without its body, in order of hooks and offsets.
    virtual void visit_hooks(std::function<void(Hook&&)> const& visit) const = 0;
    virtual void visit_deliveries(std::function<void(HookDelivery&&)> const& visit) const = 0;
};

}  // namespace spoke::bridge
