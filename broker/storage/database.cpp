#include "broker/storage/database.hpp"

#include <utility>

#include "broker/storage/open_database.hpp"

namespace spoke::broker {

rocksdb::Status Database::open() {
    std::unique_ptr<rocksdb::DB> opened;
    auto status = open_database(settings_, opened);
    std::unique_lock lock{closing_};
    database_ = std::move(opened);
    return status;
}

void Database::close() {
    std::unique_ptr<rocksdb::DB> closed;
    {
        std::unique_lock lock{closing_};
        closed = std::move(database_);
    }
    // What could not be written is known to its writer already.
    if (closed) closed->Close().PermitUncheckedError();
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
