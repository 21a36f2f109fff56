#pragma once

#include <rocksdb/status.h>

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/file_changes.hpp"

namespace spoke::broker {

/// Takes what salvage() finds, in no order. Views hold until the call returns.
struct SalvageVisitor {
    std::function<void(std::string_view key, std::string_view value)> on_record{};
    /// Is not what was written; its key may not be either.
    std::function<void(std::string_view key, std::string_view value)> on_damaged{};
};

/// Finds the records of a database by its tables and logs alone: of each key the latest change, if
/// that is a record.
/// Memory  16 bytes for each change, the largest table.
/// Errors  of reading; damage is none.
[[nodiscard]] rocksdb::Status salvage(rocksdb::Env& env, DatabaseFiles const& files,
                                      SalvageVisitor const& visitor, DamagedTables& damaged);

}  // namespace spoke::broker
