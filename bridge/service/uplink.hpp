#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "protocol/base/time.hpp"
#include "protocol/client/client_events.hpp"
#include "protocol/packet/publish.hpp"

namespace spoke::bridge {

/// The bridge's way to the broker, as the service sees it.
class Uplink {
public:
    using Done = std::function<void(mqtt::PublishOutcome const&)>;

    /// Hands a PUBLISH to the connection there is now, to be written before `deadline`. It is never
    /// sent again once that connection is gone.
    /// `done` is called exactly once, never before publish returns; not at all if it gives a cause.
    /// Out     NotSent::none, or why it cannot be sent: then nothing has been and nothing will be.
    virtual mqtt::NotSent publish(mqtt::Publish const& message, std::optional<SteadyTime> deadline,
                                  Done done) = 0;

    /// Why a subscription failed; empty: it stands.
    using Subscribed = std::function<void(std::string_view why)>;

    /// Subscribes at QoS 1, without retained messages. `done` is called exactly once, never before
    /// subscribe returns.
    virtual void subscribe(std::string const& filter, Subscribed done) = 0;

    /// Ends a subscription; what its end came to does not matter to anybody.
    virtual void unsubscribe(std::string const& filter) = 0;

protected:
    ~Uplink() = default;
};

}  // namespace spoke::bridge
