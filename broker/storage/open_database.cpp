#include "broker/storage/open_database.hpp"

#include <rocksdb/write_batch.h>

#include <random>
#include <string>

#include "broker/storage/database_options.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

rocksdb::Status make_store(rocksdb::DB& database) {
    rocksdb::WriteBatch batch;
    std::string value;
    auto put = [&](MetaField field, std::uint64_t number) {
        auto key = meta_key(field);
        encode_meta(key, number, value);
        batch.Put(key, value);
    };
    put(MetaField::format_version, kFormatVersion);
    put(MetaField::hash_seed, random_seed());
    put(MetaField::session_mark, 1);
    put(MetaField::starts, 0);
    rocksdb::WriteOptions options;
    options.sync = true;
    return database.Write(options, &batch);
}

}  // namespace

rocksdb::Status open_database(StoreSettings const& settings,
                              std::unique_ptr<rocksdb::DB>& database) {
    database.reset();
    rocksdb::DB* opened = nullptr;
    auto status = rocksdb::DB::Open(database_options(settings), settings.directory, &opened);
    if (!status.ok()) return status;
    database.reset(opened);
    std::string version;
    status = database->Get({}, meta_key(MetaField::format_version), &version);
    if (status.IsNotFound()) status = make_store(*database);
    if (!status.ok()) database.reset();
    return status;
}

}  // namespace spoke::broker
