#include "bridge/store/hook_store.hpp"

namespace spoke::bridge {

std::string_view name_of(HookFormat format) noexcept {
    switch (format) {
        case HookFormat::plain:
            return "plain";
        case HookFormat::cloudevents:
            return "cloudevents";
    }
    return "plain";
}

std::string_view name_of(HookState state) noexcept {
    switch (state) {
        case HookState::active:
            return "active";
        case HookState::paused:
            return "paused";
        case HookState::disabled:
            return "disabled";
    }
    return "disabled";
}

}  // namespace spoke::bridge
