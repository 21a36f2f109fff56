#include "tests/unit/broker/storage/used_env.hpp"

#include <rocksdb/env.h>

#include <atomic>

#include "broker/storage/store_env.hpp"

namespace spoke {
namespace {

std::atomic<rocksdb::Env*> used_env{nullptr};  // null: the usual one

}  // namespace

namespace test {

UsedEnv::UsedEnv(rocksdb::Env& env) : before_(used_env.exchange(&env)) {}

UsedEnv::~UsedEnv() {
    used_env = before_;
}

}  // namespace test

/// In this program, in place of that of the storage library.
rocksdb::Env* broker::store_env() {
    auto* used = used_env.load();
    return used ? used : rocksdb::Env::Default();
}

}  // namespace spoke
