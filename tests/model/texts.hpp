#pragma once

#include <fmt/format.h>

#include <string>

#include "tests/model/model.hpp"
#include "tests/support/script_packets.hpp"

namespace spoke::model {

inline std::string text_of(Delivery const& delivery, bool tells_replay = true) {
    std::string ids;
    for (auto id : delivery.identifiers) ids += fmt::format(" sub id {}", id);
    return fmt::format("'{}' '{}' QoS {}{}{}{}", delivery.message->topic,
                       delivery.message->payload.substr(0, 20), static_cast<int>(delivery.qos),
                       delivery.retain ? " RETAIN" : "", ids,
                       delivery.is_replay && tells_replay ? " (retained)" : "");
}

inline std::string text_of(SeenDelivery const& seen) {
    std::string ids;
    for (auto id : seen.identifiers) ids += fmt::format(" sub id {}", id);
    return fmt::format("'{}' '{}' QoS {}{}{}", seen.topic, seen.payload.substr(0, 20),
                       static_cast<int>(seen.qos), seen.retain ? " RETAIN" : "", ids);
}

}  // namespace spoke::model
