#include "bridge/command/verb.hpp"

#include <algorithm>
#include <array>

namespace spoke::bridge {
namespace {

using namespace std::chrono_literals;

constexpr std::array kVerbs{
    Verb{"unlock", 8s, IfOffline::fail, Deliver::once, "lock", true},
    Verb{"lock", 8s, IfOffline::fail, Deliver::once, "lock", true},
    Verb{"grant", 60s, IfOffline::wait, Deliver::once, "lock", true},
    Verb{"locate", 60s, IfOffline::wait, Deliver::until, "info", false},
    Verb{"ring", 20s, IfOffline::fail, Deliver::once, "info", true},
    Verb{"state", 10s, IfOffline::fail, Deliver::once, "info", false},
    Verb{"alarm", 60s, IfOffline::wait, Deliver::until, "config", false},
    Verb{"config", 24h, IfOffline::wait, Deliver::until, "config", false},
    Verb{"update", 24h, IfOffline::wait, Deliver::until, "config", false},
    Verb{"reboot", 30s, IfOffline::fail, Deliver::once, "config", true},
    Verb{"sleep", 30s, IfOffline::fail, Deliver::once, "config", true},
    Verb{"cancel", 5s, IfOffline::fail, Deliver::once, "", false},
};

constexpr Verb kUnknownVerb{"", 10s, IfOffline::fail, Deliver::once, "other", true};

}  // namespace

Verb const& verb_of(std::string_view name) noexcept {
    auto row = std::ranges::find(kVerbs, name, &Verb::name);
    return row == kVerbs.end() ? kUnknownVerb : *row;
}

}  // namespace spoke::bridge
