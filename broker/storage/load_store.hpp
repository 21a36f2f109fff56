#pragma once

#include <rocksdb/db.h>

#include <cstdint>
#include <functional>
#include <string_view>

#include "broker/core/ports/store.hpp"
#include "broker/storage/live_deliveries.hpp"
#include "broker/storage/records.hpp"

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

/// Is told of a record that cannot be read, before it is removed.
using DamagedRecord =
    std::function<void(std::string_view key, std::string_view value, RecordError error)>;

/// Reads all there is but the messages of deliveries, tells it to `visitor` in the order of
/// StoreVisitor, and notes the deliveries in `live`. Errors  of RocksDB: what was told so far is
/// not all.
[[nodiscard]] rocksdb::Status load_store(rocksdb::DB& database, WallTime now, StoreVisitor& visitor,
                                         LiveDeliveries& live, DamagedRecord const& on_damaged,
                                         LoadReport& report);

}  // namespace spoke::broker
