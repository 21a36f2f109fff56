#pragma once

#include <rocksdb/db.h>
#include <rocksdb/status.h>

#include <memory>

#include "broker/storage/store_settings.hpp"

namespace spoke::broker {

/// Opens the database in the directory of `settings`, or makes one, with the meta records that
/// every store has. Blocks. Errors  `database` is null.
[[nodiscard]] rocksdb::Status open_database(StoreSettings const& settings,
                                            std::unique_ptr<rocksdb::DB>& database);

}  // namespace spoke::broker
