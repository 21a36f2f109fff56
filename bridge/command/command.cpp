#include "bridge/command/command.hpp"

#include <algorithm>

namespace spoke::bridge {

std::string_view name_of(CommandState state) noexcept {
    switch (state) {
        case CommandState::queued:
            return "queued";
        case CommandState::sent:
            return "sent";
        case CommandState::delivered:
            return "delivered";
        case CommandState::running:
            return "running";
        case CommandState::unknown:
            return "unknown";
        case CommandState::succeeded:
            return "succeeded";
        case CommandState::failed:
            return "failed";
        case CommandState::rejected:
            return "rejected";
        case CommandState::expired:
            return "expired";
        case CommandState::cancelled:
            return "cancelled";
        case CommandState::superseded:
            return "superseded";
        case CommandState::abandoned:
            return "abandoned";
    }
    return "invalid";
}

std::optional<std::chrono::milliseconds> Command::reached(CommandState wanted) const noexcept {
    auto entry = std::ranges::find(timeline, wanted, &TimelineEntry::state);
    if (entry == timeline.end()) return std::nullopt;
    return entry->t;
}

}  // namespace spoke::bridge
