#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/storage/change_batch.hpp"
#include "broker/storage/pending_changes.hpp"

namespace spoke::broker {

class Committer;
class Reader;

/// Numbers that all shards take from.
struct StoreNumbers {
    std::atomic<std::uint64_t> last_sequence{0};  // of a submit
    std::atomic<std::uint64_t> next_session{1};
    std::atomic<std::uint64_t> last_delivery{0};
};

/// One shard's side of a RocksDbStore. The shard's thread fills a ChangeBatch and pushes it to the
/// committer; what comes back lies in atomics and, for messages that were read, behind a mutex that
/// is held for a moment.
class RocksDbShard final : public ShardStore {
public:
    /// All outlive this.
    struct Parts {
        Committer& committer;
        Reader& reader;
        StoreNumbers& numbers;
    };
    RocksDbShard(Parts parts, std::uint8_t shard);
    ~RocksDbShard() override;

    [[nodiscard]] bool is_durable() const noexcept override { return true; }
    [[nodiscard]] StoreHealth health() const noexcept override;

    [[nodiscard]] SessionNumber new_session_number() override;
    StoreTicket put_session(StoredSession session) override;
    StoreTicket remove_session(SessionNumber session) override;
    StoreTicket put_subscription(SessionNumber session, std::string_view filter,
                                 StoredSubscription const& subscription) override;
    StoreTicket remove_subscription(SessionNumber session, std::string_view filter) override;
    StoreTicket put_inbound(SessionNumber session, mqtt::PacketId id) override;
    StoreTicket remove_inbound(SessionNumber session, mqtt::PacketId id) override;
    [[nodiscard]] StoredAs reserve(std::uint32_t count) override;
    StoreTicket put_message(MessagePtr message,
                            std::span<StoredDelivery const> deliveries) override;
    StoreTicket put_progress(StoredDelivery const& delivery,
                             StoredProgress const& progress) override;
    StoreTicket remove_delivery(SessionNumber session, StoredAs as, Removal why) override;
    StoreTicket put_retained(std::string_view topic) override;

    void submit() override;
    [[nodiscard]] StoreTicket last_ticket() const noexcept override;
    [[nodiscard]] StoreTicket durable() const noexcept override {
        return StoreTicket{durable_.load(std::memory_order_acquire)};
    }

    void read(SessionRef asker, SessionNumber session,
              std::span<StoredAs const> deliveries) override;
    void take_loaded(std::vector<LoadedMessage>& out) override;

    // --- by the store's threads ---

    /// Whether anybody has asked for it.
    std::atomic<bool> is_used{false};
    /// Takes what was submitted up to `sequence`: from here on nothing of it is cancelled any more.
    void take_pending(std::uint64_t sequence, std::vector<std::unique_ptr<ChangeBatch>>& out);
    [[nodiscard]] PendingChanges::Due due(PendingChanges::Delays const& delays, SteadyTime now);
    [[nodiscard]] bool has_pending();
    /// Of the last submit.
    [[nodiscard]] StoreTicket handed_over();
    [[nodiscard]] std::uint64_t cancelled();
    /// Everything up to there is written, and what can be passed behind it is durable too.
    void complete(StoreTicket ticket);
    /// Emptied, for the shard to fill again.
    void give_back(std::unique_ptr<ChangeBatch> batch) noexcept;
    void add_loaded(std::vector<LoadedMessage> messages);

private:
    Change& add(ChangeKind kind, SessionNumber session, std::uint32_t awaited);
    /// Like add, for what is written without delay.
    Change& add_urgent(ChangeKind kind, SessionNumber session);
    /// Moves the batch to those that are pending, and gives how soon something must be done.
    [[nodiscard]] Urgency hand_over();
    /// With the lock held.
    void raise_durable(StoreTicket ticket);
    [[nodiscard]] std::unique_ptr<ChangeBatch> next_batch();

    Parts parts_;
    std::uint8_t shard_;
    StoreTicket submitted_{};
    std::unique_ptr<ChangeBatch> batch_;     // being filled
    bool has_urgent_ = false;                // in it
    std::uint32_t unsent_ = 0;               // deliveries put in it and not sent
    DeliveryNumber first_put_{};             // in it
    ChangeBatch* taken_spare_ = nullptr;     // a list of empty ones
    ChangeStack spare_{};                    // empty ones that came back
    std::atomic<int> spares_{0};             // in both
    std::atomic<std::uint64_t> durable_{0};  // written with the lock held
    std::mutex pending_mutex_;               // of the two below
    StoreTicket handed_over_{};
    PendingChanges pending_{};
    std::mutex loaded_mutex_;
    std::vector<LoadedMessage> loaded_{};
};

}  // namespace spoke::broker
