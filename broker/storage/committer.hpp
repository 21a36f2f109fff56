#pragma once

#include <array>
#include <atomic>
#include <bitset>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/storage/batch_builder.hpp"
#include "broker/storage/change_batch.hpp"
#include "broker/storage/database.hpp"
#include "broker/storage/live_deliveries.hpp"
#include "broker/storage/rocksdb_shard.hpp"
#include "broker/storage/store_settings.hpp"
#include "protocol/base/time.hpp"

namespace spoke::broker {

using StoreShards = std::array<std::unique_ptr<RocksDbShard>, 256>;

/// What a store has done since it was opened.
struct StoreStatistics {
    std::uint64_t writes = 0;      // batches written
    std::uint64_t syncs = 0;       // writes that were synced, and syncs alone
    std::uint64_t cancelled = 0;   // deliveries that were done with before they were written
    std::uint64_t deliveries = 0;  // stored now
    std::uint64_t messages = 0;
    std::uint64_t message_bytes = 0;
    std::uint64_t read_errors = 0;  // of the disk, each tried again
};

/// What the meta records say, beside the version of the format.
struct StoreMeta {
    std::uint64_t hash_seed = 0;
    std::uint64_t session_mark = 0;
    std::uint64_t starts = 0;
};

/// Writes what shards submit: takes all there is, makes one batch of it, writes and syncs it,
/// tells the shards how far they are, and begins anew. Changes that nobody waits for are written
/// with the next that somebody does, or after a while, and are not synced for their own sake.
/// Deliveries that were sent lie with their shard for a moment, because most are done with before
/// they must be written (PendingChanges); whatever is more urgent takes them along.
///
/// When a write or sync fails, what is on disk is not known. The batch is kept, the database opened
/// anew about once a second until the batch is written; all of it may be written twice.
class Committer {
public:
    /// All outlive this.
    struct Parts {
        StoreSettings const& settings;
        Database& database;
        StoreNumbers& numbers;
        LiveDeliveries& live;
        StoreShards& shards;
    };
    explicit Committer(Parts parts);
    ~Committer();
    Committer(Committer const&) = delete;
    Committer& operator=(Committer const&) = delete;

    /// `meta`: as it is stored.
    void start(Store::Outside outside, StoreMeta const& meta);
    /// Writes all there is, if that is possible, and ends the thread.
    void stop();

    /// A shard has something that is so urgent. Any thread.
    void announce(Urgency urgency);
    [[nodiscard]] StoreHealth health() const noexcept {
        return health_.load(std::memory_order_relaxed);
    }
    [[nodiscard]] StoreStatistics statistics() const;
    /// Everything that was submitted is written, or need not be. Any thread.
    [[nodiscard]] bool has_settled();

private:
    using Batches = std::vector<std::unique_ptr<ChangeBatch>>;
    void run();
    /// Waits for something to do; false if there will not be anything more.
    [[nodiscard]] bool await_work();
    /// What the shards have, and when it must be written.
    [[nodiscard]] PendingChanges::Due look();
    [[nodiscard]] bool has_pending();
    void each_shard(auto&& visit) const;
    /// Moves what was submitted to the queue.
    void take_submitted();
    void commit();
    void build();
    /// Writes what was built, however long it takes. False: the store is stopped before it could.
    [[nodiscard]] bool write_for_good(bool sync);
    void complete();
    void sync_if_due();

    [[nodiscard]] bool recover(rocksdb::Status status, bool sync);
    void put_all_meta();
    [[nodiscard]] bool repair();
    [[nodiscard]] bool pause();
    void set_disk_health(StoreHealth health);
    void publish_health();
    void publish_statistics();
    void wake_all();

    Parts parts_;
    Store::Outside outside_{};
    BatchBuilder builder_;
    std::atomic<Urgency> pressing_{Urgency::nothing};  // what was announced since the last look
    std::atomic<Urgency> sleeps_through_{Urgency::urgent};  // the highest that does not wake it
    std::atomic<bool> is_writing_{false};
    std::atomic<StoreHealth> health_{StoreHealth::good};

    // The thread's own.
    std::deque<std::unique_ptr<ChangeBatch>> queue_{};
    Batches in_write_{};
    bool is_ending_ = false;  // nothing more comes
    StoreMeta meta_{};
    StoreHealth disk_health_ = StoreHealth::good;
    bool is_over_limit_ = false;
    bool is_unsynced_ = false;   // with SyncMode::interval
    bool has_given_up_ = false;  // stopped while the disk was away
    SteadyTime sync_at_{};

    std::atomic<std::uint64_t> writes_{0};
    std::atomic<std::uint64_t> syncs_{0};
    std::atomic<std::uint64_t> cancelled_{0};
    std::atomic<std::uint64_t> deliveries_{0};
    std::atomic<std::uint64_t> messages_{0};
    std::atomic<std::uint64_t> message_bytes_{0};

    std::mutex mutex_;  // of the two below
    std::condition_variable news_;
    bool is_stopping_ = false;
    std::thread thread_{};
};

}  // namespace spoke::broker
