#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "broker/core/message.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/stored_as.hpp"
#include "protocol/base/time.hpp"
#include "protocol/packet/basics.hpp"

namespace spoke::broker {

enum class ChangeKind : std::uint8_t {
    put_session,
    remove_session,
    put_subscription,
    remove_subscription,
    put_inbound,
    remove_inbound,
    put_message,
    put_progress,
    remove_delivery,
    put_retained,
};

/// One call of a ShardStore. What does not fit is next in the ChangeBatch's list of its kind.
struct Change {
    ChangeKind kind{};
    bool is_cancelled = false;  // not to be written; what it has in the lists is passed over
    mqtt::PacketId packet_id{};
    std::uint32_t count = 0;  // bytes of text, deliveries of the message, or message_back
    SessionNumber session{};
    DeliveryNumber number{};
    Removal why{};
    std::uint32_t living = 0;  // deliveries of the message that are not cancelled
};

/// How soon what was submitted must be written.
enum class Urgency : std::uint8_t {
    nothing,    // not at all
    idle,       // nobody waits for it
    lingering,  // somebody may wait, but its clients will soon have made it superfluous
    urgent,
};

/// The changes of one shard between two submits. The shard fills it, the committer empties it and
/// gives it back, so that nothing is allocated once it has grown.
struct ChangeBatch {
    std::vector<Change> changes{};
    std::vector<StoredSession> sessions{};
    std::vector<StoredSubscription> subscriptions{};
    std::vector<MessagePtr> messages{};
    std::vector<StoredDelivery> deliveries{};  // of put_message and put_progress
    std::vector<StoredProgress> progress{};
    std::string text{};  // filters and topics

    StoreTicket ticket{};
    std::uint64_t sequence = 0;  // among those of all shards
    std::uint8_t shard = 0;
    SteadyTime submitted_at{};
    Urgency urgency = Urgency::nothing;
    std::uint32_t effects = 0;  // changes that are not cancelled
    std::uint32_t awaited = 0;  // deliveries put and other changes that somebody may wait for
    ChangeBatch* next = nullptr;

    [[nodiscard]] bool empty() const noexcept { return changes.empty(); }
    /// Keeps the memory, unless it is more than is needed most of the time.
    void clear() {
        empty_out(changes);
        empty_out(sessions);
        empty_out(subscriptions);
        empty_out(messages);
        empty_out(deliveries);
        empty_out(progress);
        empty_out(text);
        urgency = Urgency::nothing;
        effects = 0;
        awaited = 0;
    }

private:
    template <class List>
    static void empty_out(List& list) {
        constexpr std::size_t kKeptMax = 2048;
        if (list.capacity() > kKeptMax) {
            List{}.swap(list);
        } else {
            list.clear();
        }
    }
};

/// A stack without a lock that any thread may push to; whoever takes, takes all.
class ChangeStack {
public:
    ChangeStack() = default;
    ~ChangeStack() {
        for (auto* batch = take(); batch;) delete std::exchange(batch, batch->next);
    }
    ChangeStack(ChangeStack const&) = delete;
    ChangeStack& operator=(ChangeStack const&) = delete;

    void push(ChangeBatch* batch) noexcept {
        batch->next = top_.load(std::memory_order_relaxed);
        while (!top_.compare_exchange_weak(batch->next, batch)) {
        }
    }
    /// The last pushed is first; the caller owns them.
    [[nodiscard]] ChangeBatch* take() noexcept {
        return empty() ? nullptr : top_.exchange(nullptr);
    }
    [[nodiscard]] bool empty() const noexcept { return top_.load() == nullptr; }

private:
    std::atomic<ChangeBatch*> top_{nullptr};
};

}  // namespace spoke::broker
