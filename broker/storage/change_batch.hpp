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
    mqtt::PacketId packet_id{};
    std::uint32_t count = 0;  // bytes of text, deliveries of the message, or message_back
    SessionNumber session{};
    DeliveryNumber number{};
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
    std::uint8_t shard = 0;
    bool is_awaited = false;  // somebody may wait for it; else it may be written later
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
        is_awaited = false;
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
