#pragma once

#include <atomic>

#include "broker/core/ports/store.hpp"
#include "protocol/base/assert.hpp"

namespace spoke::broker {

/// The store of a broker without persistence: nothing outlives the process, so that there is
/// nothing to write and nothing to wait for. The shards' own tables are the memory.
class VolatileStore final : public Store, private ShardStore {
public:
    [[nodiscard]] ShardStore& of_shard(std::uint8_t) override { return *this; }
    void load(StoreVisitor&, WallTime) override {}
    [[nodiscard]] std::uint64_t hash_seed() const noexcept override { return 0; }
    void start(Outside) override {}
    void stop() override {}

private:
    [[nodiscard]] bool is_durable() const noexcept override { return false; }
    [[nodiscard]] StoreHealth health() const noexcept override { return StoreHealth::good; }
    [[nodiscard]] SessionNumber new_session_number() override {
        return SessionNumber{last_.fetch_add(1, std::memory_order_relaxed) + 1};
    }
    StoreTicket put_session(StoredSession) override { return unused(); }
    StoreTicket remove_session(SessionNumber) override { return unused(); }
    StoreTicket put_subscription(SessionNumber, std::string_view,
                                 StoredSubscription const&) override {
        return unused();
    }
    StoreTicket remove_subscription(SessionNumber, std::string_view) override { return unused(); }
    StoreTicket put_inbound(SessionNumber, mqtt::PacketId) override { return unused(); }
    StoreTicket remove_inbound(SessionNumber, mqtt::PacketId) override { return unused(); }
    [[nodiscard]] StoredAs reserve(std::uint32_t) override {
        unused();
        return {};
    }
    StoreTicket put_message(MessagePtr, std::span<StoredDelivery const>) override {
        return unused();
    }
    StoreTicket put_progress(StoredDelivery const&, StoredProgress const&) override {
        return unused();
    }
    StoreTicket remove_delivery(SessionNumber, StoredAs, Removal) override { return unused(); }
    StoreTicket put_retained(std::string_view) override { return unused(); }
    void submit() override {}
    [[nodiscard]] StoreTicket last_ticket() const noexcept override { return kNothingToWaitFor; }
    [[nodiscard]] StoreTicket durable() const noexcept override { return kNothingToWaitFor; }
    void read(SessionRef, SessionNumber, std::span<StoredAs const>) override { unused(); }
    void take_loaded(std::vector<LoadedMessage>&) override {}

    static StoreTicket unused() {
        MQ_ASSERT(!"a change for a store that keeps nothing");
        return kNothingToWaitFor;
    }

    std::atomic<std::uint64_t> last_{0};
};

}  // namespace spoke::broker
