#include "device-sim/judge/verdict.hpp"

namespace spoke::sim {

std::string_view to_text(Invariant invariant) noexcept {
    switch (invariant) {
        case Invariant::double_open:
            return "double_open";
        case Invariant::late_open:
            return "late_open";
        case Invariant::open_without_order:
            return "open_without_order";
        case Invariant::answer_contradicts_lock:
            return "answer_contradicts_lock";
        case Invariant::succeeded_but_locked:
            return "succeeded_but_locked";
        case Invariant::expired_but_opened:
            return "expired_but_opened";
        case Invariant::error_status_but_opened:
            return "error_status_but_opened";
        case Invariant::order_reordered:
            return "order_reordered";
        case Invariant::settled_changed:
            return "settled_changed";
        case Invariant::record_lost:
            return "record_lost";
        case Invariant::left_open:
            return "left_open";
    }
    return "";
}

}  // namespace spoke::sim
