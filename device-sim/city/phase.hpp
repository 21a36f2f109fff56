#pragma once

#include <cstdint>
#include <string_view>

namespace spoke::sim {

/// Where a run of a city is.
enum class Phase : std::uint8_t {
    starting,
    connecting,
    running,
    going_home,
    settling,
    auditing,
    over,
};

[[nodiscard]] constexpr std::string_view to_text(Phase phase) noexcept {
    switch (phase) {
        case Phase::starting:
            return "starting";
        case Phase::connecting:
            return "connect";
        case Phase::running:
            return "running";
        case Phase::going_home:
            return "home";
        case Phase::settling:
            return "settling";
        case Phase::auditing:
            return "auditing";
        case Phase::over:
            return "over";
    }
    return "";
}

}  // namespace spoke::sim
