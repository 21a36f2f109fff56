#include "broker/storage/store_reader.hpp"

#include <fmt/format.h>
#include <rocksdb/env.h>

#include <utility>
#include <vector>

#include "broker/storage/database_options.hpp"
#include "broker/storage/files.hpp"
#include "broker/storage/manifest_scan.hpp"
#include "broker/storage/meta.hpp"
#include "broker/storage/records.hpp"
#include "broker/storage/salvage.hpp"
#include "broker/storage/store_directory.hpp"
#include "broker/storage/store_env.hpp"
#include "broker/storage/wal_repair.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

/// RocksDB would make a file for it.
class NoLog final : public rocksdb::Logger {
public:
    using rocksdb::Logger::Logv;
    void Logv(char const*, va_list) override {}
};

std::string without_slash_at_end(std::string directory) {
    while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
    return directory;
}

}  // namespace

StoreReader::StoreReader(std::string directory)
    : directory_(without_slash_at_end(std::move(directory))), env_(*store_env()) {
    found_ = find_store(env_, directory_);
    if (!found_.has_database)
        throw StoreError{fmt::format("there is no store in '{}'", directory_)};
    lock_ = std::make_unique<StoreLock>(directory_, StoreLock::Kind::shared);
    auto const rebuilt = directory_ + "/" + kRebuiltName;
    database_ = exists(env_, rebuilt) ? rebuilt : directory_ + "/" + kDatabaseName;
    if (!found_.version) found_.version = format_version_of_records(env_, database_);
    auto version = found_.version.value_or(kFormatVersion);
    if (version < kFormatReadable || version > kFormatVersion)
        throw StoreError{fmt::format("the store '{}' is of format {}, and this program reads {}",
                                     directory_, *found_.version, kFormatVersion)};
    open();
}

void StoreReader::open() {
    auto const status = try_open();
    if (status.ok()) return;
    opened_.reset();
    if (!StoreDirectory::is_damage(status))
        throw StoreError{
            fmt::format("the store '{}' cannot be read: {}", directory_, status.ToString())};
    damage_ = status.ToString();
}

Status StoreReader::try_open() {
    WalDamage logs;
    auto status = check_wals(env_, database_, logs);
    if (!status.ok()) return status;
    if (logs.pieces > 0) return Status::Corruption("the log is damaged in the middle");
    status = check_files(env_, database_);
    if (!status.ok()) return status;
    auto options = database_options({});
    options.create_if_missing = false;
    options.info_log = std::make_shared<NoLog>();
    rocksdb::DB* opened = nullptr;
    status = rocksdb::DB::OpenForReadOnly(options, database_, &opened);
    opened_.reset(opened);
    return status;
}

void StoreReader::for_each(std::string_view prefix, Visit const& visit) {
    std::string last;
    if (opened_) {
        rocksdb::ReadOptions options;
        options.fill_cache = false;
        options.readahead_size = 1U << 20;
        std::unique_ptr<rocksdb::Iterator> at{opened_->NewIterator(options)};
        rocksdb::Slice const begin{prefix.data(), prefix.size()};
        for (at->Seek(begin); at->Valid() && at->key().starts_with(begin); at->Next()) {
            visit(at->key().ToStringView(), at->value().ToStringView());
            last.assign(at->key().data(), at->key().size());
        }
        if (at->status().ok()) return;
        if (!StoreDirectory::is_damage(at->status()))
            throw StoreError{fmt::format("the store '{}' cannot be read: {}", directory_,
                                         at->status().ToString())};
        damage_ = at->status().ToString();
    }
    salvage_behind(last, prefix, visit);
}

void StoreReader::salvage_behind(std::string const& last, std::string_view prefix,
                                 Visit const& visit) const {
    DatabaseFiles files;
    DamagedTables damaged;
    auto status = find_files(env_, database_, files);
    if (status.ok())
        status = salvage(env_, files,
                         {.on_record =
                              [&](std::string_view key, std::string_view value) {
                                  if (key > last && key.starts_with(prefix)) visit(key, value);
                              },
                          .on_damaged = [](std::string_view, std::string_view) {}},
                         damaged);
    if (!status.ok())
        throw StoreError{
            fmt::format("the store '{}' cannot be read: {}", directory_, status.ToString())};
}

}  // namespace spoke::broker
