#pragma once

#include <string>
#include <vector>

#include "protocol/packet/publish.hpp"

namespace spoke {

/// What the packets carry, in their order.
inline std::vector<std::string> payloads(std::vector<mqtt::Publish> const& packets) {
    std::vector<std::string> all;
    for (auto const& packet : packets) all.emplace_back(as_text(packet.payload));
    return all;
}

}  // namespace spoke
