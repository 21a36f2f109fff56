#pragma once

#include <rocksdb/options.h>

#include "broker/storage/store_settings.hpp"

namespace spoke::broker {

/// How the store uses RocksDB: one key space, no compression, memory within what the settings say.
[[nodiscard]] rocksdb::Options database_options(StoreSettings const& settings);

}  // namespace spoke::broker
