#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "bridge/api/problem.hpp"
#include "bridge/event/event_store.hpp"
#include "bridge/hook/hooks.hpp"

namespace spoke::bridge {

/// Where webhooks may be sent to.
struct HookRules {
    bool allow_http = false;
    bool allow_private = false;
};

/// Reads the body of PUT of a webhook. Topics must be such as are recorded.
[[nodiscard]] std::optional<RequestError> parse_hook(std::string_view body, HookRules rules,
                                                     std::vector<EventClass> const& recorded,
                                                     HookWish& out);

/// 1 to 64 letters, digits, '-', '_', '.'.
[[nodiscard]] bool is_hook_name(std::string_view name);

}  // namespace spoke::bridge
