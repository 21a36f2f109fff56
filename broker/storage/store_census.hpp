#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/stored_as.hpp"

namespace spoke::broker {

class StoreReader;

/// How much of what is in a store.
struct StoreCensus {
    struct Kind {
        std::uint64_t records = 0;
        std::uint64_t bytes = 0;  // of keys and values
    };
    struct Queue {
        std::string client_id{};
        std::uint64_t messages = 0;
        std::uint64_t bytes = 0;  // as limits count them
        DeliveryNumber oldest{};
    };
    struct Files {
        std::uint64_t number = 0;
        std::uint64_t bytes = 0;
    };
    std::map<char, Kind> kinds{};  // by RecordFamily
    std::uint64_t connected = 0;   // sessions, when the broker stopped
    std::uint64_t starts = 0;
    std::vector<Queue> largest_queues{};  // the first has most messages
    Queue oldest{};                 // the one with the message that waits longest; may be empty
    Deadline next_expiry = kNever;  // of what waits and was not sent
    Files tables{};
    Files logs{};
    Files other{};
    Files quarantine{};
    std::uint64_t damaged = 0;  // records
};

/// Memory  some 100 bytes for each session.  Errors  StoreError.
[[nodiscard]] StoreCensus take_census(StoreReader& reader, std::size_t largest_queues_max);

}  // namespace spoke::broker
