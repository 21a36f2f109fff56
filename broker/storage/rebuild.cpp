#include "broker/storage/rebuild.hpp"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <memory>
#include <string_view>

#include "broker/storage/files.hpp"
#include "broker/storage/quarantine.hpp"
#include "broker/storage/salvage.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

constexpr std::size_t kBatchBytes = 1U << 20;

class Writer {
public:
    explicit Writer(rocksdb::DB& database) : database_(database) { options_.disableWAL = true; }

    void put(std::string_view key, std::string_view value) {
        if (!status_.ok()) return;
        status_ = batch_.Put({key.data(), key.size()}, {value.data(), value.size()});
        if (status_.ok() && batch_.GetDataSize() >= kBatchBytes) write();
    }

    Status finish() {
        if (status_.ok()) write();
        return status_.ok() ? database_.Flush({}) : status_;
    }

private:
    void write() {
        status_ = database_.Write(options_, &batch_);
        batch_.Clear();
    }

    rocksdb::DB& database_;
    rocksdb::WriteOptions options_{};
    rocksdb::WriteBatch batch_{};
    Status status_{};
};

Status open_new(rocksdb::Options options, std::string const& target,
                std::unique_ptr<rocksdb::DB>& database) {
    auto status = remove_tree(*options.env, target);
    if (!status.ok()) return status;
    options.create_if_missing = true;
    options.error_if_exists = true;
    options.disable_auto_compactions = true;
    options.write_buffer_size = kRebuildMemtable;
    rocksdb::DB* opened = nullptr;
    status = rocksdb::DB::Open(options, target, &opened);
    database.reset(opened);
    return status;
}

Status copy_records(rocksdb::Env& env, DatabaseFiles const& source, rocksdb::DB& target,
                    Quarantine& quarantine, RebuildResult& result) {
    Writer writer{target};
    auto const status = salvage(env, source,
                                {.on_record =
                                     [&](std::string_view key, std::string_view value) {
                                         writer.put(key, value);
                                         ++result.records;
                                     },
                                 .on_damaged =
                                     [&](std::string_view key, std::string_view value) {
                                         quarantine.keep_record(key, value, "wrong checksum");
                                     }},
                                result.damaged);
    quarantine.count(result.damaged.pieces);
    return status.ok() ? writer.finish() : status;
}

}  // namespace

Status rebuild(rocksdb::Options const& options, DatabaseFiles const& source,
               std::string const& target, Quarantine& quarantine, RebuildResult& result) {
    std::unique_ptr<rocksdb::DB> database;
    auto status = open_new(options, target, database);
    if (status.ok()) status = copy_records(*options.env, source, *database, quarantine, result);
    if (database) {
        auto const closed = database->Close();
        if (status.ok()) status = closed;
    }
    return status.ok() ? sync_directory(*options.env, target) : status;
}

}  // namespace spoke::broker
