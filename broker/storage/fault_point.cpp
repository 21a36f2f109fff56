#include "broker/storage/fault_point.hpp"

#ifdef SPOKE_FAULT_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace spoke::broker {
namespace {

struct Fault {
    std::string point{};
    long pass = 0;
};

Fault fault_from_environment() {
    auto const* given = std::getenv("SPOKE_FAULT");
    std::string_view text = given ? given : "";
    auto colon = text.rfind(':');
    if (colon == std::string_view::npos) return {};
    return {std::string{text.substr(0, colon)}, std::atol(text.data() + colon + 1)};
}

}  // namespace

void pass_fault_point(char const* name) noexcept {
    static Fault const fault = fault_from_environment();
    static std::atomic<long> passes{0};
    if (fault.point == name && passes.fetch_add(1) + 1 == fault.pass) std::raise(SIGKILL);
}

}  // namespace spoke::broker

#endif
