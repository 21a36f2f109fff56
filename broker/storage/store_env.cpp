#include "broker/storage/store_env.hpp"

#include <rocksdb/env.h>

namespace spoke::broker {

rocksdb::Env* store_env() {
    return rocksdb::Env::Default();
}

}  // namespace spoke::broker
