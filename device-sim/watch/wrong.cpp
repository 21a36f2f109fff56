#include "device-sim/watch/wrong.hpp"

#include <utility>

namespace spoke::sim {

std::string_view to_text(Wrong wrong) noexcept {
    switch (wrong) {
        case Wrong::events_lost:
            return "events_lost";
        case Wrong::events_doubled:
            return "events_doubled";
        case Wrong::events_reordered:
            return "events_reordered";
        case Wrong::events_altered:
            return "events_altered";
        case Wrong::written_lost:
            return "written_lost";
        case Wrong::written_doubled:
            return "written_doubled";
        case Wrong::unread_wrong:
            return "unread_wrong";
        case Wrong::reset_untold:
            return "reset_untold";
    }
    return "";
}

void WatchVerdict::add(WrongExample example) {
    auto& count = counts[static_cast<std::size_t>(example.wrong)];
    if (++count <= kExamplesMax) examples.push_back(std::move(example));
}

}  // namespace spoke::sim
