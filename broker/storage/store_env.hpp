#pragma once

namespace rocksdb {
class Env;
}

namespace spoke::broker {

/// What RocksDB reads and writes files with. A program may link a store_env() of its own, which
/// comes before the one of this library.
[[nodiscard]] rocksdb::Env* store_env();

}  // namespace spoke::broker
