#include "broker/storage/database_options.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/env.h>
#include <rocksdb/slice_transform.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>

#include "broker/storage/records.hpp"
#include "broker/storage/store_env.hpp"

namespace spoke::broker {
namespace {

/// Deliveries and messages come in the order of their keys within each session. RocksDB is told
/// what goes together, remembers where each sequence ended and need not search: a third of the
/// time.
class QueueOfKey final : public rocksdb::SliceTransform {
public:
    [[nodiscard]] char const* Name() const override { return "spoke.queue"; }
    [[nodiscard]] rocksdb::Slice Transform(rocksdb::Slice const& key) const override {
        return {key.data(), kPrefix};
    }
    [[nodiscard]] bool InDomain(rocksdb::Slice const& key) const override {
        return key.size() > kPrefix && (key[0] == static_cast<char>(RecordFamily::delivery) ||
                                        key[0] == static_cast<char>(RecordFamily::message));
    }

private:
    static constexpr std::size_t kPrefix = 6;  // family and session
};

/// A table in which half of so many records in a row only say that something is gone is compacted.
constexpr std::size_t kRemovalsWindow = 8192;

std::shared_ptr<rocksdb::TableFactory> table_factory(StoreSettings const& settings) {
    rocksdb::BlockBasedTableOptions table;
    table.block_cache = rocksdb::NewLRUCache(settings.block_cache_bytes, 2);
    // Queues are read from one end to the other, and large blocks need a small index.
    table.block_size = 16U << 10;
    // What is not in the cache does not count against it: a store of any size takes the same.
    table.cache_index_and_filter_blocks = true;
    // These two are part of the format of the store: table_scan.cpp reads what RocksDB cannot.
    table.format_version = 5;
    table.checksum = rocksdb::kCRC32c;
    return std::shared_ptr<rocksdb::TableFactory>{rocksdb::NewBlockBasedTableFactory(table)};
}

}  // namespace

rocksdb::Options database_options(StoreSettings const& settings) {
    rocksdb::Options options;
    options.env = store_env();
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    options.table_factory = table_factory(settings);
    options.paranoid_checks = true;
    options.max_open_files = 256;
    options.max_background_jobs = 2;

    options.write_buffer_size = settings.memtable_bytes;
    options.max_write_buffer_number = 2;
    options.arena_block_size = 256U << 10;
    options.target_file_size_base = 32U << 20;
    options.max_bytes_for_level_base = 128U << 20;
    options.bytes_per_sync = 1U << 20;  // a sync of the log must not wait for a whole table

    // Queues are filled and drained. Without this, what was removed keeps its space until enough is
    // written on top of it: an empty store may be as large as it ever was.
    options.table_properties_collector_factories.push_back(
        rocksdb::NewCompactOnDeletionCollectorFactory(kRemovalsWindow, kRemovalsWindow / 2, 0.5));

    // One thread writes.
    options.allow_concurrent_memtable_write = false;
    options.enable_write_thread_adaptive_yield = false;
    options.memtable_insert_with_hint_prefix_extractor = std::make_shared<QueueOfKey>();

    // What lies behind a damaged piece of the log may have been acknowledged.
    options.wal_recovery_mode = rocksdb::WALRecoveryMode::kSkipAnyCorruptedRecords;
    options.avoid_unnecessary_blocking_io = true;

    options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
    options.keep_log_file_num = 4;
    options.max_log_file_size = 1U << 20;
    options.stats_dump_period_sec = 0;
    options.stats_persist_period_sec = 0;
    return options;
}

}  // namespace spoke::broker
