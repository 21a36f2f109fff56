#include "bridge/store/fault_point.hpp"

#ifdef SPOKE_FAULT_POINTS

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <string>
#include <string_view>

namespace spoke::bridge {
namespace {

struct Fault {
    std::string point{};
    long pass = 0;
    std::atomic<long> passes{0};
};

Fault& the_fault() {
    static Fault fault;
    static bool const is_read = [] {
        auto const* given = std::getenv("SPOKE_FAULT");
        std::string_view text = given ? given : "";
        auto colon = text.rfind(':');
        if (colon == std::string_view::npos) return false;
        fault.point = text.substr(0, colon);
        fault.pass = std::atol(text.data() + colon + 1);
        return true;
    }();
    static_cast<void>(is_read);
    return fault;
}

}  // namespace

void pass_fault_point(char const* name) noexcept {
    auto& fault = the_fault();
    if (fault.point == name && fault.passes.fetch_add(1) + 1 == fault.pass) std::raise(SIGKILL);
}

void arm_fault_point(char const* name, long pass) {
    auto& fault = the_fault();
    fault.point = name;
    fault.pass = pass;
    fault.passes = 0;
}

}  // namespace spoke::bridge

#endif
