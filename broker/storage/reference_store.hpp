#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/ports/store.hpp"

namespace spoke::broker {

/// What a store must do, written down in plain maps: the one that others are compared with, and a
/// store for tests. It lives as long as the object does: stop() and load() again are a restart.
///
/// Unless it is told to hold them back, changes take effect and are durable at submit(). Any number
/// of shards may use it from their threads.
class ReferenceStore final : public Store {
public:
    explicit ReferenceStore(std::uint64_t hash_seed = 0x5EED);
    ~ReferenceStore() override;

    [[nodiscard]] ShardStore& of_shard(std::uint8_t shard) override;
    void load(StoreVisitor& visitor, WallTime now) override;
    [[nodiscard]] std::uint64_t hash_seed() const noexcept override { return hash_seed_; }
    void start(Outside outside) override;
    void stop() override;

    // --- for tests ---

    /// From here on nothing becomes durable until release().
    void hold();
    /// What was held back becomes durable, and what is submitted from here on at once.
    void release();
    /// The first `count` submits that are held back become durable.
    void release_some(std::size_t count);
    /// As if the process had been killed: what is not durable is lost. load() and start() follow.
    void crash();
    /// It has lost the messages of all deliveries.
    void lose_messages();
    void set_health(StoreHealth health);
    [[nodiscard]] std::size_t delivery_count() const;
    /// Of deliveries; a shared one counts once.
    [[nodiscard]] std::size_t message_count() const;
    [[nodiscard]] std::size_t session_count() const;

private:
    class Shard;
    struct Data;
    using Change = std::function<void(Data&)>;
    struct Submitted {
        std::uint8_t shard = 0;
        StoreTicket ticket{};
        std::vector<Change> changes{};
    };

    void submit(Submitted submitted);
    /// With the mutex held; gives the shards to wake.
    [[nodiscard]] std::set<std::uint8_t> apply_held(std::size_t count);
    void wake(std::set<std::uint8_t> const& shards);
    [[nodiscard]] MessagePtr message_of(SessionNumber session, StoredAs as) const;

    std::uint64_t hash_seed_;
    mutable std::mutex mutex_;  // for data_, outside_ and held_; nobody is woken under it
    std::unique_ptr<Data> data_;
    Outside outside_{};
    std::deque<Submitted> held_{};
    bool is_held_ = false;
    std::atomic<StoreHealth> health_{StoreHealth::good};
    std::atomic<std::uint64_t> last_session_{0};
    std::atomic<std::uint64_t> last_number_{0};
    std::array<std::unique_ptr<Shard>, 256> shards_;
};

}  // namespace spoke::broker
