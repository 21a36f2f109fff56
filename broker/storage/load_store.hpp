#pragma once

#include <rocksdb/status.h>

#include <cstdint>

#include "broker/core/ports/store.hpp"
#include "broker/storage/live_deliveries.hpp"
#include "broker/storage/store_directory.hpp"

namespace spoke::broker {

/// What was found and left out when a store was loaded; all of it is removed from it.
struct LoadReport {
    std::uint64_t sessions = 0;
    std::uint64_t subscriptions = 0;
    std::uint64_t deliveries = 0;
    std::uint64_t retained = 0;
    std::uint64_t orphans = 0;  // of sessions that are not there
    std::uint64_t expired = 0;  // retained
    std::uint64_t damaged = 0;
};

/// Reads all there is but the messages of deliveries, tells it to `visitor` in the order of
/// StoreVisitor, and notes the deliveries in `live`. Damaged records go to quarantine. Errors  of
/// the disk: what was told so far is not all.
[[nodiscard]] rocksdb::Status load_store(StoreDirectory& directory, WallTime now,
                                         StoreVisitor& visitor, LiveDeliveries& live,
                                         LoadReport& report);

}  // namespace spoke::broker
