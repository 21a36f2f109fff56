#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "broker/core/ports/store.hpp"
#include "broker/storage/committer.hpp"
#include "broker/storage/database.hpp"
#include "broker/storage/live_deliveries.hpp"
#include "broker/storage/load_store.hpp"
#include "broker/storage/reader.hpp"
#include "broker/storage/rocksdb_shard.hpp"
#include "broker/storage/store_settings.hpp"
#include "protocol/base/time.hpp"

namespace spoke::broker {

/// The store that survives the process, in a RocksDB database (FORMAT.md). Two threads of its own:
/// the Committer writes, the Reader reads.
class RocksDbStore final : public Store {
public:
    /// Opens the database, or makes one, and counts the start. Throws StoreError.
    explicit RocksDbStore(StoreSettings settings);
    ~RocksDbStore() override;

    [[nodiscard]] ShardStore& of_shard(std::uint8_t shard) override;
    /// Throws StoreError if the disk cannot be read.
    void load(StoreVisitor& visitor, WallTime now) override;
    [[nodiscard]] std::uint64_t hash_seed() const noexcept override { return meta_.hash_seed; }
    void start(Outside outside) override;
    void stop() override;

    /// Any thread.
    [[nodiscard]] StoreStatistics statistics() const;
    /// Everything that was submitted is written, or need not be: the ends of deliveries too, which
    /// nobody waits for. A shard is woken when something has been written.
    [[nodiscard]] bool has_settled() { return committer_.has_settled(); }
    /// Of the last load().
    [[nodiscard]] LoadReport const& load_report() const noexcept { return load_report_; }

private:
    [[nodiscard]] std::uint64_t read_meta(MetaField field);
    void count_start();
    [[noreturn]] void fail(std::string const& what) const;

    SteadyTime begun_ = SteadyTime::clock::now();
    StoreSettings settings_;
    Database database_;
    StoreNumbers numbers_{};
    LiveDeliveries live_{};
    StoreShards shards_{};
    Committer committer_;
    Reader reader_;
    LoadReport load_report_{};
    StoreMeta meta_{};
};

}  // namespace spoke::broker
