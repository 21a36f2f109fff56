#include "broker/core/reclaimer.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "protocol/base/assert.hpp"

namespace spoke::broker {
namespace {

// A batch of this many is closed by the retire() that fills it: large enough that the readers'
// lines are looked at rarely, small enough that little waits for it.
constexpr std::size_t kBatchSize = 64;

constexpr std::uint64_t kOffline = 0;

}  // namespace

Reclaimer::Reclaimer(std::size_t readers)
    : reader_count_(readers), readers_(std::make_unique<Reader[]>(readers)) {}

Reclaimer::~Reclaimer() {
    for (std::size_t i = 0; i < reader_count_; ++i) {
        MQ_ASSERT(readers_[i].seen.load(std::memory_order_acquire) == kOffline);
    }
    for (Batch const& batch : batches_) free_all(batch.first);
    free_all(incoming_.load(std::memory_order_acquire));
}

void Reclaimer::online(std::size_t reader) noexcept {
    MQ_ASSERT(reader < reader_count_);
    auto& seen = readers_[reader].seen;
    MQ_ASSERT(seen.load(std::memory_order_relaxed) == kOffline);
    // An exchange, because a collector that finds the reader offline writes to `seen` as well:
    // either it sees this value, or this reads from its write and so sees all that was taken out
    // before.
    seen.exchange(epoch_.load(std::memory_order_acquire), std::memory_order_acq_rel);
}

void Reclaimer::quiescent(std::size_t reader) noexcept {
    auto& seen = readers_[reader].seen;
    auto last = seen.load(std::memory_order_relaxed);
    MQ_ASSERT(last != kOffline);
    auto now = epoch_.load(std::memory_order_acquire);
    if (now != last) seen.store(now, std::memory_order_release);
}

void Reclaimer::offline(std::size_t reader) noexcept {
    MQ_ASSERT(reader < reader_count_);
    readers_[reader].seen.store(kOffline, std::memory_order_release);
}

void Reclaimer::retire(void* object, void (*free)(void*)) {
    auto* retired = new Retired{object, free, incoming_.load(std::memory_order_relaxed)};
    while (!incoming_.compare_exchange_weak(retired->next, retired, std::memory_order_acq_rel,
                                            std::memory_order_relaxed)) {
    }
    if (incoming_count_.fetch_add(1, std::memory_order_relaxed) + 1 < kBatchSize) return;
    std::unique_lock lock{mutex_, std::try_to_lock};
    if (lock) collect(std::move(lock));
}

void Reclaimer::collect() {
    collect(std::unique_lock{mutex_});
}

void Reclaimer::collect(std::unique_lock<std::mutex> lock) {
    incoming_count_.store(0, std::memory_order_relaxed);
    if (auto* first = incoming_.exchange(nullptr, std::memory_order_acq_rel)) {
        batches_.push_back({first, epoch_.fetch_add(1, std::memory_order_acq_rel)});
    }
    auto oldest = oldest_seen();
    auto ripe = std::find_if(batches_.begin(), batches_.end(),
                             [&](Batch const& batch) { return batch.stamp >= oldest; });
    std::deque<Batch> out_of_reach{batches_.begin(), ripe};
    batches_.erase(batches_.begin(), ripe);
    lock.unlock();  // what is freed may retire in turn
    for (Batch const& batch : out_of_reach) free_all(batch.first);
}

std::uint64_t Reclaimer::oldest_seen() noexcept {
    auto oldest = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t i = 0; i < reader_count_; ++i) {
        auto& seen = readers_[i].seen;
        auto epoch = seen.load(std::memory_order_acquire);
        if (epoch == kOffline)
            epoch = seen.fetch_add(0, std::memory_order_acq_rel);  // see online()
        if (epoch != kOffline) oldest = std::min(oldest, epoch);
    }
    return oldest;
}

void Reclaimer::free_all(Retired* first) {
    while (first) {
        auto* retired = std::exchange(first, first->next);
        retired->free(retired->object);
        delete retired;
    }
}

}  // namespace spoke::broker
