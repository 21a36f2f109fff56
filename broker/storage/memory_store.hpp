#pragma once

#include "broker/core/ports/session_store.hpp"

namespace spoke::broker {

/// Keeps sessions as long as the process runs: the shards' own session tables are the memory, so
/// there is nothing to write and nothing to wait for. Stateless; any thread.
class MemoryStore final : public SessionStore {
public:
    StoreTicket put_session(Session const&) override { return kNothingToWaitFor; }
    StoreTicket remove_session(Session const&) override { return kNothingToWaitFor; }
    StoreTicket put_subscription(Session const&, std::string_view, Subscriber const&) override {
        return kNothingToWaitFor;
    }
    StoreTicket remove_subscription(Session const&, std::string_view) override {
        return kNothingToWaitFor;
    }
    StoreTicket put_delivery(Session const&, Delivery const&) override { return kNothingToWaitFor; }
    StoreTicket put_inbound(Session const&, mqtt::PacketId, bool) override {
        return kNothingToWaitFor;
    }
};

}  // namespace spoke::broker
