#include "broker/storage/committer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <string>
#include <utility>

#include "broker/storage/fault_point.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {
namespace {

/// About how much goes into one write: what was submitted while the disk was away is cut into
/// these.
constexpr std::size_t kWeightMax = 8U << 20;
/// How far ahead of the session numbers given their mark is stored.
constexpr std::uint64_t kSessionStep = 4096;

SteadyTime now() {
    return std::chrono::steady_clock::now();
}

StoreHealth health_after(rocksdb::Status const& status) {
    // RocksDB has a code for ENOSPC alone; a quota it tells in words.
    if (status.IsNoSpace() || status.ToString().find(std::strerror(EDQUOT)) != std::string::npos) {
        return StoreHealth::full;
    }
    return StoreHealth::failed;
}

}  // namespace

Committer::Committer(Parts parts) : parts_(parts), builder_(parts.live) {}

Committer::~Committer() {
    stop();
}

void Committer::start(Store::Outside outside, StoreMeta const& meta) {
    outside_ = std::move(outside);
    builder_.set_find_retained(outside_.find_retained);
    meta_ = meta;
    parts_.database.set_on_damage([this] {
        { std::lock_guard lock{mutex_}; }
        news_.notify_one();
    });
    publish_statistics();
    publish_health();
    thread_ = std::thread{[this] { run(); }};
}

void Committer::stop() {
    {
        std::lock_guard lock{mutex_};
        is_stopping_ = true;
    }
    news_.notify_all();
    if (thread_.joinable()) thread_.join();
}

void Committer::announce(Urgency urgency) {
    auto pressing = pressing_.load();
    while (pressing < urgency && !pressing_.compare_exchange_weak(pressing, urgency)) {
    }
    // The thread says what does not wake it before it looks at `pressing_` for the last time, so
    // one of the two sees the other.
    if (urgency > sleeps_through_.load()) {
        { std::lock_guard lock{mutex_}; }
        news_.notify_one();
    }
}

void Committer::run() {
    while (!has_given_up_ && await_work()) {
        if (parts_.database.is_damaged() && !repair()) return;
        commit();
        sync_if_due();
    }
    if (is_unsynced_ && !has_given_up_) is_unsynced_ = !parts_.database.sync().ok();
}

bool Committer::await_work() {
    std::unique_lock lock{mutex_};
    auto due = look();
    for (;;) {
        sleeps_through_ = due.urgency;
        auto time = now();
        auto is_due = due.urgency == Urgency::urgent || time >= due.at;
        if (is_due || is_stopping_ || parts_.database.is_damaged()) break;
        if (pressing_.load() > due.urgency) {
            due = look();
            continue;
        }
        auto wake_at = is_unsynced_ ? std::min(due.at, sync_at_) : due.at;
        if (time >= wake_at) break;
        if (wake_at == SteadyTime::max()) {
            news_.wait(lock);
        } else {
            news_.wait_until(lock, wake_at);
        }
        // Much of it is superfluous by now.
        if (now() >= due.at) due = look();
    }
    sleeps_through_ = Urgency::urgent;
    is_ending_ = is_stopping_;
    return !is_stopping_ || !queue_.empty() || has_pending();
}

PendingChanges::Due Committer::look() {
    // What is announced from here on was perhaps not seen.
    pressing_ = Urgency::nothing;
    PendingChanges::Due due;
    if (!queue_.empty()) due = {Urgency::urgent, SteadyTime::min(), 0};
    PendingChanges::Delays delays{parts_.settings.linger, parts_.settings.idle_write_delay};
    auto time = now();
    each_shard([&](RocksDbShard& shard) {
        auto of_shard = shard.due(delays, time);
        due.sequence = std::max(due.sequence, of_shard.sequence);
        due.urgency = std::max(due.urgency, of_shard.urgency);
        due.at = std::min(due.at, of_shard.at);
    });
    return due;
}

bool Committer::has_settled() {
    // Pending first: what is taken from there is told by the other.
    bool is_pending = false;
    each_shard([&](RocksDbShard& shard) {
        is_pending = is_pending || shard.due({}, {}).urgency != Urgency::nothing;
    });
    return !is_pending && !is_writing_;
}

bool Committer::has_pending() {
    bool found = false;
    each_shard([&](RocksDbShard& shard) { found = found || shard.has_pending(); });
    return found;
}

void Committer::take_submitted() {
    is_writing_ = true;
    auto sequence = look().sequence;
    if (is_ending_) sequence = parts_.numbers.last_sequence;
    Batches taken;
    each_shard([&](RocksDbShard& shard) { shard.take_pending(sequence, taken); });
    std::ranges::sort(taken, {}, &ChangeBatch::sequence);
    std::ranges::move(taken, std::back_inserter(queue_));
}

void Committer::each_shard(auto&& visit) const {
    for (auto& shard : parts_.shards) {
        if (shard->is_used.load(std::memory_order_relaxed)) visit(*shard);
    }
}

void Committer::commit() {
    take_submitted();
    build();
    auto sync = parts_.settings.sync == SyncMode::always && builder_.is_awaited();
    if (builder_.batch().Count() > 0) {
        SPOKE_FAULT_POINT("commit-before-write");
        if (!write_for_good(sync)) return;
        SPOKE_FAULT_POINT("commit-after-write");
        ++writes_;
        if (sync) ++syncs_;
        if (parts_.settings.sync == SyncMode::interval && !is_unsynced_) {
            is_unsynced_ = true;
            sync_at_ = now() + parts_.settings.sync_interval;
        }
    }
    complete();
}

void Committer::build() {
    while (!queue_.empty() && builder_.weight() < kWeightMax) {
        builder_.take(*queue_.front());
        in_write_.push_back(std::move(queue_.front()));
        queue_.pop_front();
    }
    builder_.finish();
    auto next_session = parts_.numbers.next_session.load();
    if (next_session + kSessionStep / 2 > meta_.session_mark) {
        meta_.session_mark = next_session + kSessionStep;
        builder_.put_meta(MetaField::session_mark, meta_.session_mark);
    }
}

void Committer::complete() {
    std::bitset<256> with_news;
    for (auto& batch : in_write_) {
        auto& shard = *parts_.shards[batch->shard];
        shard.complete(batch->ticket);
        with_news.set(batch->shard);
        batch->clear();
        shard.give_back(std::move(batch));
    }
    in_write_.clear();
    builder_.clear();
    publish_statistics();
    publish_health();
    is_writing_ = !queue_.empty();
    for (std::size_t shard = 0; shard < with_news.size(); ++shard) {
        if (with_news[shard]) outside_.wake(static_cast<std::uint8_t>(shard));
    }
}

void Committer::sync_if_due() {
    if (has_given_up_ || !is_unsynced_ || now() < sync_at_) return;
    is_unsynced_ = false;
    ++syncs_;
    auto status = parts_.database.sync();
    // There is nothing to write, but the database must be opened anew.
    if (!status.ok()) (void)recover(std::move(status), true);
}

// --- Failure of the disk ---------------------------------------------------------------------

bool Committer::write_for_good(bool sync) {
    auto status = parts_.database.write(builder_.batch(), sync);
    return status.ok() || recover(std::move(status), sync);
}

bool Committer::repair() {
    // A reader met it: there is nothing to write.
    return recover(rocksdb::Status::Corruption("a part of it is damaged"), true);
}

bool Committer::recover(rocksdb::Status status, bool sync) {
    auto const& settings = parts_.settings;
    settings.log(LogLevel::error,
                 fmt::format("store: cannot write to {}: {}; nothing is acknowledged until that "
                             "works again",
                             settings.directory, status.ToString()));
    put_all_meta();
    auto is_last_try = false;
    while (!is_last_try) {
        set_disk_health(health_after(status));
        is_last_try = !pause();
        SPOKE_FAULT_POINT("reopen");
        status = parts_.database.reopen();
        if (status.ok()) status = parts_.database.write(builder_.batch(), sync);
        if (!status.ok()) continue;
        set_disk_health(StoreHealth::good);
        settings.log(LogLevel::info,
                     fmt::format("store: {} can be written again", settings.directory));
        return true;
    }
    has_given_up_ = true;
    settings.log(LogLevel::error,
                 fmt::format("store: stopped, and what was not acknowledged is not written: {}",
                             status.ToString()));
    return false;
}

/// A database that was made anew may have lost them and made up others, and what is in memory goes
/// by those that were read at the start.
void Committer::put_all_meta() {
    builder_.put_meta(MetaField::hash_seed, meta_.hash_seed);
    builder_.put_meta(MetaField::session_mark, meta_.session_mark);
    builder_.put_meta(MetaField::starts, meta_.starts);
}

bool Committer::pause() {
    std::unique_lock lock{mutex_};
    return !news_.wait_for(lock, parts_.settings.reopen_interval, [&] { return is_stopping_; });
}

void Committer::set_disk_health(StoreHealth health) {
    disk_health_ = health;
    publish_health();
}

void Committer::publish_health() {
    auto bytes_max = parts_.settings.bytes_max;
    auto bytes = parts_.live.message_bytes();
    // A little room, so that it does not come and go with each message.
    if (bytes > bytes_max) is_over_limit_ = true;
    if (bytes <= bytes_max - bytes_max / 16) is_over_limit_ = false;
    auto health = disk_health_;
    if (bytes_max != 0 && is_over_limit_ && health == StoreHealth::good)
        health = StoreHealth::over_limit;
    if (health_.exchange(health) != health) wake_all();
}

void Committer::publish_statistics() {
    cancelled_ = builder_.cancelled();
    deliveries_ = parts_.live.deliveries();
    messages_ = parts_.live.messages();
    message_bytes_ = parts_.live.message_bytes();
}

StoreStatistics Committer::statistics() const {
    auto cancelled = cancelled_.load();
    each_shard([&](RocksDbShard& shard) { cancelled += shard.cancelled(); });
    return {writes_, syncs_, cancelled, deliveries_, messages_, message_bytes_, 0};
}

void Committer::wake_all() {
    for (std::size_t shard = 0; shard < parts_.shards.size(); ++shard) {
        if (parts_.shards[shard]->is_used) outside_.wake(static_cast<std::uint8_t>(shard));
    }
}

}  // namespace spoke::broker
