#include "broker/storage/rebuild.hpp"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/write_batch.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string_view>

#include "broker/storage/files.hpp"
#include "broker/storage/quarantine.hpp"
#include "broker/storage/record_check.hpp"

namespace spoke::broker {
namespace {

using rocksdb::Status;

constexpr std::size_t kBatchBytes = 1U << 20;

/// Whether a change is to be believed: one in a block with a wrong checksum may be anything.
bool is_credible(Change const& change) {
    if (change.is_proven) return true;
    return change.is_removal ? is_key(change.key) : has_right_checksum(change.key, change.value);
}

/// Which change of each key is the latest.
class Latest {
public:
    void add(Change const& change) { entries_.push_back({hash(change), change.sequence}); }

    void finish() {
        std::sort(entries_.begin(), entries_.end(), [](Entry const& a, Entry const& b) {
            return a.hash != b.hash ? a.hash < b.hash : a.sequence > b.sequence;
        });
        auto const end =
            std::unique(entries_.begin(), entries_.end(),
                        [](Entry const& a, Entry const& b) { return a.hash == b.hash; });
        entries_.erase(end, entries_.end());
    }

    /// Whether it is, and is asked for the first time: the same may stand in a table and a log.
    [[nodiscard]] bool take(Change const& change) {
        auto const wanted = hash(change);
        auto const entry =
            std::lower_bound(entries_.begin(), entries_.end(), wanted,
                             [](Entry const& e, std::uint64_t value) { return e.hash < value; });
        if (entry == entries_.end() || entry->hash != wanted || entry->sequence != change.sequence)
            return false;
        entry->sequence = kTaken;
        return true;
    }

private:
    struct Entry {
        std::uint64_t hash;
        std::uint64_t sequence;
    };
    static constexpr std::uint64_t kTaken = UINT64_MAX;  // RocksDB's have 56 bits

    static std::uint64_t hash(Change const& change) {
        return std::hash<std::string_view>{}(change.key);
    }

    std::vector<Entry> entries_{};
};

class Writer {
public:
    explicit Writer(rocksdb::DB& database) : database_(database) { options_.disableWAL = true; }

    void put(Change const& change) {
        if (!status_.ok()) return;
        status_ = batch_.Put({change.key.data(), change.key.size()},
                             {change.value.data(), change.value.size()});
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
    Latest latest;
    auto status = visit_changes(
        env, source,
        [&](Change const& change) {
            if (is_credible(change)) latest.add(change);
        },
        result.damaged_files);
    if (!status.ok()) return status;
    latest.finish();
    Writer writer{target};
    std::vector<std::string> told_before;
    status = visit_changes(
        env, source,
        [&](Change const& change) {
            if (is_credible(change) && (!latest.take(change) || change.is_removal)) return;
            if (change.is_removal) return;
            if (!has_right_checksum(change.key, change.value))
                return quarantine.keep_record(change.key, change.value, "wrong checksum");
            writer.put(change);
            ++result.records;
        },
        told_before);
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
