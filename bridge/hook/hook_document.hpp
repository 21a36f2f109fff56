#pragma once

#include <string>
#include <string_view>

#include "bridge/event/event.hpp"
#include "bridge/store/hook_store.hpp"

namespace spoke::bridge {

/// An event as a webhook gets it: its document, or a CloudEvent 1.0 in structured JSON.
[[nodiscard]] std::string hook_body(HookFormat format, LoggedEvent const& event);

/// What tells a webhook that events may be missing: they have left the log before their turn came.
struct HookGap {
    std::string id;
    std::string_view reason;  // as readers are told
    std::string after;        // cursor: up to there nothing is missing
    std::string cursor;       // and from there on
    WallTime at{};
};

/// The same as an event of the type "reset".
[[nodiscard]] std::string hook_body(HookFormat format, HookGap const& gap);

/// An event on its way to a hook.
[[nodiscard]] HookDelivery make_hook_delivery(Hook const& hook, LoggedEvent const& event);

}  // namespace spoke::bridge
