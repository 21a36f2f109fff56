#pragma once

#include <rocksdb/write_batch.h>

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "broker/storage/change_batch.hpp"
#include "broker/storage/flat_map.hpp"
#include "broker/storage/live_deliveries.hpp"
#include "broker/storage/records.hpp"

namespace spoke::broker {

/// Turns the changes of shards into one write. What came and went within it is left out; a delivery
/// and its progress become one record, a topic is looked up once. The committer's thread.
class BatchBuilder {
public:
    using FindRetained = std::function<MessagePtr(std::string_view topic)>;

    /// `live` outlives this.
    explicit BatchBuilder(LiveDeliveries& live) : live_(live) {}

    void set_find_retained(FindRetained find) { find_retained_ = std::move(find); }

    /// In the order in which they were submitted. The batch must stay as it is until finish().
    void take(ChangeBatch const& changes);
    /// Completes the write.
    void finish();
    void clear();

    /// Appends a meta record.
    void put_meta(MetaField field, std::uint64_t number);

    [[nodiscard]] rocksdb::WriteBatch& batch() noexcept { return batch_; }
    /// Somebody may wait for something in it.
    [[nodiscard]] bool is_awaited() const noexcept { return is_awaited_; }
    /// About what it weighs, before what is left out of it.
    [[nodiscard]] std::size_t weight() const noexcept { return weight_; }
    /// Deliveries that came and went, all in all.
    [[nodiscard]] std::uint64_t cancelled() const noexcept { return cancelled_; }

private:
    static constexpr std::uint32_t kStored = UINT32_MAX;  // in place of a message: it is there
    struct PendingMessage {
        Message const* message = nullptr;
        SessionNumber session{};
        StoredAs as{};
        std::uint32_t deliveries = 0;
    };
    struct PendingDelivery {
        StoredDelivery const* delivery = nullptr;  // null: cancelled
        StoredProgress const* progress = nullptr;
        std::uint32_t message = kStored;
    };
    /// Where in the lists of a ChangeBatch the next change finds its own.
    struct Cursor {
        std::size_t session = 0;
        std::size_t subscription = 0;
        std::size_t message = 0;
        std::size_t delivery = 0;
        std::size_t progress = 0;
        std::size_t text = 0;
    };

    void take(ChangeBatch const& changes, Change const& change, Cursor& cursor);
    /// One that is cancelled.
    static void pass_over(Change const& change, Cursor& cursor);
    void put_message(Message const& message, std::span<StoredDelivery const> deliveries);
    void put_progress(StoredDelivery const& delivery, StoredProgress const& progress);
    void remove_delivery(SessionNumber session, StoredAs as);
    void remove_stored(SessionNumber session, StoredAs as);
    PendingDelivery& pend(StoredDelivery const& delivery, std::uint32_t message);
    void put(std::string_view key);
    void remove(std::string_view key);
    void write_delivery(PendingDelivery const& pending);
    void write_retained();

    LiveDeliveries& live_;
    FindRetained find_retained_{};
    rocksdb::WriteBatch batch_{};
    std::vector<PendingMessage> messages_{};
    std::vector<PendingDelivery> deliveries_{};
    FlatMap<std::uint32_t> by_number_{};  // index in deliveries_
    std::vector<std::string_view> topics_{};
    std::string value_{};
    std::size_t weight_ = 0;
    std::uint64_t cancelled_ = 0;
    bool is_awaited_ = false;
};

}  // namespace spoke::broker
