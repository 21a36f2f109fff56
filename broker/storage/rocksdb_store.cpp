#include "broker/storage/rocksdb_store.hpp"

#include <fmt/format.h>
#include <rocksdb/write_batch.h>

#include <chrono>
#include <utility>

#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

/// Bits of a delivery number below those that count the starts.
constexpr unsigned kNumberBits = 40;

}  // namespace

RocksDbStore::RocksDbStore(StoreSettings settings)
    : settings_(std::move(settings)),
      database_(settings_),
      committer_({settings_, database_, numbers_, live_, shards_}),
      reader_({settings_, database_, shards_}) {
    for (std::size_t shard = 0; shard < shards_.size(); ++shard) {
        shards_[shard] = std::make_unique<RocksDbShard>(
            RocksDbShard::Parts{committer_, reader_, numbers_}, static_cast<std::uint8_t>(shard));
    }
    meta_.hash_seed = read_meta(MetaField::hash_seed);
    meta_.session_mark = read_meta(MetaField::session_mark);
    numbers_.next_session = meta_.session_mark;
    count_start();
}

RocksDbStore::~RocksDbStore() {
    stop();
}

ShardStore& RocksDbStore::of_shard(std::uint8_t shard) {
    shards_[shard]->is_used = true;
    return *shards_[shard];
}

void RocksDbStore::load(StoreVisitor& visitor, WallTime now) {
    load_report_ = {};
    auto status = load_store(database_.directory(), now, visitor, live_, load_report_);
    if (!status.ok()) fail(status.ToString());
    if (load_report_.orphans > 0)
        settings_.log(LogLevel::warning,
                      fmt::format("store: removed {} records of sessions that are not there",
                                  load_report_.orphans));
    auto const took = SteadyTime::clock::now() - begun_;
    settings_.log(
        LogLevel::info,
        fmt::format("store opened: {} sessions, {} subscriptions, {} deliveries, {} "
                    "retained messages, {} records quarantined, in {} ms",
                    load_report_.sessions, load_report_.subscriptions, load_report_.deliveries,
                    load_report_.retained, database_.directory().quarantined(),
                    std::chrono::duration_cast<std::chrono::milliseconds>(took).count()));
}

void RocksDbStore::start(Outside outside) {
    reader_.start(outside.wake);
    committer_.start(std::move(outside), meta_);
}

void RocksDbStore::stop() {
    reader_.stop();
    committer_.stop();
    database_.close();
}

StoreStatistics RocksDbStore::statistics() const {
    auto statistics = committer_.statistics();
    statistics.read_errors = reader_.errors();
    return statistics;
}

std::uint64_t RocksDbStore::read_meta(MetaField field) {
    auto key = meta_key(field);
    std::string value;
    auto status = database_.get()->Get({}, key, &value);
    if (!status.ok()) {
        fail(fmt::format("meta record '{}': {}", static_cast<char>(field), status.ToString()));
    }
    auto record = decode_meta(key, value);
    if (!record) {
        fail(fmt::format("meta record '{}': {}", static_cast<char>(field),
                         describe(record.error())));
    }
    return record->number;
}

void RocksDbStore::count_start() {
    meta_.starts = read_meta(MetaField::starts) + 1;
    auto key = meta_key(MetaField::starts);
    std::string value;
    encode_meta(key, meta_.starts, value);
    rocksdb::WriteBatch batch;
    auto status = batch.Put(key, value);
    if (status.ok()) status = database_.write(batch, true);
    if (!status.ok()) fail(status.ToString());
    numbers_.last_delivery = meta_.starts << kNumberBits;
}

void RocksDbStore::fail(std::string const& what) const {
    throw StoreError{fmt::format("store {}: {}", settings_.directory, what)};
}

}  // namespace spoke::broker
