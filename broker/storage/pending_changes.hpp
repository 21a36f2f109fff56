#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/core/ring.hpp"
#include "broker/storage/change_batch.hpp"
#include "protocol/base/time.hpp"

namespace spoke::broker {

/// What one shard has submitted and the committer has not taken yet. A delivery that is done with
/// while it lies here is cancelled and never written: when clients acknowledge as fast as messages
/// come, there is nothing to write. A batch in which nothing is left that somebody may wait for is
/// durable as soon as those before it are. Pure state; whoever uses it holds its shard's lock.
class PendingChanges {
public:
    /// Takes the next batch of the shard, and cancels what it says is done.
    void add(std::unique_ptr<ChangeBatch> batch);

    /// How far the shard is durable when all it has submitted up to `written` is; never less than
    /// before.
    [[nodiscard]] StoreTicket pass(StoreTicket written);

    /// The oldest batch if nothing in it is left and all its like know that it is durable: to be
    /// filled again. Null if there is none.
    [[nodiscard]] std::unique_ptr<ChangeBatch> take_passed();

    /// Appends those up to `sequence`.
    void take(std::uint64_t sequence, std::vector<std::unique_ptr<ChangeBatch>>& out);

    struct Delays {
        SteadyTime::duration linger{};
        SteadyTime::duration idle{};
    };
    struct Due {
        Urgency urgency = Urgency::nothing;  // the highest there is
        SteadyTime at = SteadyTime::max();   // when the first must be written
        std::uint64_t sequence = 0;          // if that is now, what to take: up to this one
    };
    /// Of those that may lie, the ones that have lain half their time are to be taken with the
    /// first, so that each time there are some.
    [[nodiscard]] Due due(Delays const& delays, SteadyTime now) const;

    [[nodiscard]] bool empty() const noexcept { return batches_.empty(); }
    /// Of the messages that are not cancelled.
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    /// Deliveries, since ever.
    [[nodiscard]] std::uint64_t cancelled() const noexcept { return cancelled_; }

private:
    static constexpr std::uint32_t kNone = UINT32_MAX;
    /// A delivery that was put. In the order of numbers.
    struct Put {
        DeliveryNumber number{};
        ChangeBatch* batch = nullptr;
        std::uint32_t change = 0;  // these are indices in its lists
        std::uint32_t delivery = 0;
        std::uint32_t message = 0;
        std::uint32_t progress = kNone;  // the change that says it was sent
        bool is_fixed = false;           // cancelled, or not to be
    };

    void add_put(ChangeBatch& batch, std::uint32_t change, std::uint32_t delivery,
                 std::uint32_t message);
    [[nodiscard]] Put* find(DeliveryNumber number) noexcept;
    [[nodiscard]] bool cancel(DeliveryNumber number) noexcept;
    void pop_front_puts() noexcept;

    std::deque<std::unique_ptr<ChangeBatch>> batches_{};
    StoreTicket durable_{};
    std::size_t passed_ = 0;  // how many at the front are durable
    Ring<Put> puts_{};
    std::size_t bytes_ = 0;
    std::uint64_t cancelled_ = 0;
};

}  // namespace spoke::broker
