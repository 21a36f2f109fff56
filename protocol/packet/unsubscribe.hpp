#pragma once

#include <string>
#include <vector>

#include "protocol/packet/basics.hpp"

namespace spoke::mqtt {

/// UNSUBSCRIBE (3.10). At least one filter.
struct Unsubscribe {
    PacketId id{};
    std::vector<std::string> filters{};
    UserProperties user_properties{};  // v5
    friend bool operator==(Unsubscribe const&, Unsubscribe const&) = default;
};

}  // namespace spoke::mqtt
