#pragma once

#include <deque>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "broker/core/ports/store.hpp"
#include "broker/core/retained.hpp"
#include "broker/core/settings.hpp"
#include "broker/core/shard_core.hpp"

namespace spoke::broker {

/// Brings back what a store holds, before the shards run: each session to its home shard, which
/// need not be the one it had before. One thread.
class Restore final : public StoreVisitor {
public:
    /// `listeners`: settings of those there are, at least one. They, the cores and `retained`
    /// outlive this; the settings that settings_of() makes must outlive the cores.
    Restore(std::vector<ShardCore*> cores, RetainedMessages& retained,
            std::vector<LinkSettings const*> listeners, std::deque<LinkSettings>& made)
        : cores_(std::move(cores)),
          retained_(retained),
          listeners_(std::move(listeners)),
          made_(made) {}

    /// Behind the last visit.
    void finish();
    /// Retained messages on command topics that were not brought back.
    [[nodiscard]] std::size_t commands_dropped() const noexcept { return commands_dropped_; }

    void on_session(StoredSession session) override;
    void on_subscription(SessionNumber session, std::string_view filter,
                         StoredSubscription const& subscription) override;
    void on_inbound(SessionNumber session, mqtt::PacketId id) override;
    void on_delivery(StoredDelivery delivery, std::optional<StoredProgress> progress) override;
    void on_retained(MessagePtr message) override;

private:
    struct Place {
        ShardCore* core = nullptr;
        Session* session = nullptr;
    };
    struct Sent {
        StoredDelivery delivery;
        StoredProgress progress;
    };
    [[nodiscard]] LinkSettings const& settings_of(StoredSession const& session);
    [[nodiscard]] Place const& place_of(SessionNumber session);
    [[nodiscard]] bool is_command_somewhere(std::string_view topic) const;
    /// Those in `sent_`, of one session, in the order in which they were sent.
    void restore_sent();

    std::vector<ShardCore*> cores_;
    RetainedMessages& retained_;
    std::vector<LinkSettings const*> listeners_;
    std::deque<LinkSettings>& made_;  // for sessions whose listener is gone
    std::unordered_map<SessionNumber, Place> places_;
    std::vector<Sent> sent_;
    std::size_t commands_dropped_ = 0;
};

}  // namespace spoke::broker
