#pragma once

#include <rocksdb/env.h>

#include <functional>
#include <memory>

namespace spoke::test {

/// An Env that calls `before_step` before each change that it makes to a file or directory, but to
/// RocksDB's log for people.
[[nodiscard]] std::unique_ptr<rocksdb::Env> make_step_env(
    std::shared_ptr<rocksdb::FileSystem> below, std::function<void()> before_step);

/// An Env that never syncs: for tests in which nothing is cut off, and which open many stores.
[[nodiscard]] std::unique_ptr<rocksdb::Env> make_hasty_env();

}  // namespace spoke::test
