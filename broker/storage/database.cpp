#include "broker/storage/database.hpp"

#include <rocksdb/options.h>
#include <rocksdb/write_batch.h>

namespace spoke::broker {

Database::Database(StoreSettings const& settings)
    : directory_(std::make_unique<StoreDirectory>(settings)) {}

rocksdb::Status Database::reopen() {
    std::unique_lock lock{closing_};
    std::lock_guard damage_lock{damage_mutex_};
    auto status = is_damaged_ ? directory_->rebuild(damage_) : directory_->reopen();
    if (status.ok()) is_damaged_ = false;
    return status;
}

void Database::close() {
    std::unique_lock lock{closing_};
    directory_.reset();
}

void Database::report_damage(rocksdb::Status const& status) {
    if (!status.IsCorruption()) return;
    {
        std::lock_guard lock{damage_mutex_};
        damage_ = status.ToString();
        is_damaged_ = true;
    }
    if (on_damage_) on_damage_();
}

/// A compaction that meets damage lets every write after it fail.
rocksdb::Status Database::noted(rocksdb::Status status) {
    report_damage(status);
    return status;
}

rocksdb::Status Database::write(rocksdb::WriteBatch& batch, bool sync) {
    rocksdb::WriteOptions options;
    options.sync = sync;
    return noted(get()->Write(options, &batch));
}

rocksdb::Status Database::sync() {
    return noted(get()->SyncWAL());
}

}  // namespace spoke::broker
