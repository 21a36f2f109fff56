#include "device-sim/device/result.hpp"

namespace spoke::sim {

std::string_view to_text(Outcome outcome) noexcept {
    switch (outcome) {
        case Outcome::started:
            return "started";
        case Outcome::ok:
            return "ok";
        case Outcome::fail:
            return "fail";
        case Outcome::refused:
            return "refused";
        case Outcome::cancelled:
            return "cancelled";
    }
    return "";
}

std::string_view to_text(Why why) noexcept {
    switch (why) {
        case Why::none:
            return "";
        case Why::jam:
            return "jam";
        case Why::low_batt:
            return "low_batt";
        case Why::obstructed:
            return "obstructed";
        case Why::timeout_motor:
            return "timeout_motor";
        case Why::reboot:
            return "reboot";
        case Why::late:
            return "late";
        case Why::replay:
            return "replay";
        case Why::precondition:
            return "precondition";
        case Why::busy:
            return "busy";
        case Why::unknown_verb:
            return "unknown_verb";
        case Why::bad_args:
            return "bad_args";
        case Why::not_allowed:
            return "not_allowed";
    }
    return "";
}

std::string to_text(Result result) {
    std::string text{to_text(result.outcome)};
    if (result.why != Why::none) {
        text += ':';
        text += to_text(result.why);
    }
    return text;
}

}  // namespace spoke::sim
