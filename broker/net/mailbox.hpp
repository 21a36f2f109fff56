#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

#include "broker/core/shard_batch.hpp"
#include "broker/core/shard_core.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::broker {

class Connection;

/// A connection on its way to the home shard of its client id, with what it sent behind CONNECT.
struct MovedConnection {
    std::unique_ptr<Connection> connection;
    CheckedConnect connect;
    Buffer unread;
};

/// What one shard (or the server) hands to another at one time.
struct Mail {
    ShardBatch batch{};
    std::vector<MovedConnection> moved{};
    std::vector<std::function<void()>> tasks{};
    Mail* next = nullptr;

    Mail();
    ~Mail();
    [[nodiscard]] bool empty() const noexcept {
        return batch.empty() && moved.empty() && tasks.empty();
    }
};

/// The queue from one shard to one other. No lock: one compare-and-swap to put, one exchange to
/// take all.
class Mailbox {
public:
    Mailbox() = default;
    Mailbox(Mailbox const&) = delete;
    Mailbox& operator=(Mailbox const&) = delete;
    ~Mailbox();

    /// Any thread.
    void put(std::unique_ptr<Mail> mail) noexcept;
    /// The target's thread: calls take(mail) for each, in the order they were put.
    template <class Take>
    void take_all(Take&& take) {
        Mail* newest = head_.exchange(nullptr, std::memory_order_acquire);
        Mail* oldest = nullptr;
        while (newest != nullptr) {
            Mail* before = newest->next;
            newest->next = oldest;
            oldest = newest;
            newest = before;
        }
        while (oldest != nullptr) {
            std::unique_ptr<Mail> mail{oldest};
            oldest = mail->next;
            take(*mail);
        }
    }
    [[nodiscard]] bool empty() const noexcept {
        return head_.load(std::memory_order_relaxed) == nullptr;
    }

private:
    std::atomic<Mail*> head_{nullptr};
};

}  // namespace spoke::broker
