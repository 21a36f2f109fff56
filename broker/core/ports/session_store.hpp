#pragma once

#include <cstdint>
#include <string_view>

#include "broker/core/delivery.hpp"
#include "broker/core/ports/store.hpp"
#include "broker/core/session.hpp"
#include "broker/core/subscription_index.hpp"
#include "protocol/base/strong.hpp"

namespace spoke::broker {

/// Where the state of sessions that outlive their connection is kept. The core tells it every
/// change as it makes it and holds back the acknowledgement which depends on it until its ticket is
/// durable; acknowledgements keep their order. Called from every shard's thread, each for its own
/// sessions; no call blocks.
class SessionStore {
public:
    virtual ~SessionStore() = default;

    /// Made, or taken up again, or its expiry changed.
    virtual StoreTicket put_session(Session const& session) = 0;
    virtual StoreTicket remove_session(Session const& session) = 0;
    virtual StoreTicket put_subscription(Session const& session, std::string_view filter,
                                         Subscriber const& subscriber) = 0;
    virtual StoreTicket remove_subscription(Session const& session, std::string_view filter) = 0;
    /// The session took over a QoS 1 or 2 delivery, to send now or later.
    virtual StoreTicket put_delivery(Session const& session, Delivery const& delivery) = 0;
    /// The session's client holds (true) or has released a QoS 2 packet id.
    virtual StoreTicket put_inbound(Session const& session, mqtt::PacketId id, bool held) = 0;
};

}  // namespace spoke::broker
