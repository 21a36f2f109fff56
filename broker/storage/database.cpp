#include "broker/storage/database.hpp"

#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

namespace spoke::broker {

Database::Database(StoreSettings const& settings)
    : directory_(std::make_unique<StoreDirectory>(settings)), database_(directory_->get()) {}

rocksdb::Status Database::reopen() {
    std::unique_lock lock{closing_};
    auto status = directory_->reopen();
    database_ = directory_->get();
    return status;
}

void Database::close() {
    std::unique_lock lock{closing_};
    database_ = nullptr;
    directory_.reset();
}

rocksdb::Status Database::write(rocksdb::WriteBatch& batch, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return database_->Write(options, &batch);
}

rocksdb::Status Database::sync() {
    return database_->SyncWAL();
}

}  // namespace spoke::broker
