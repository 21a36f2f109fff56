#pragma once

#include <functional>
#include <optional>

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

protected:
    ~Uplink() = default;
};

}  // namespace spoke::bridge
