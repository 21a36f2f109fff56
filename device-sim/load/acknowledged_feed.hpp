#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "device-sim/load/client.hpp"
#include "device-sim/load/flow.hpp"
#include "device-sim/load/rate_clock.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim::load {

/// Publishes messages 0 .. total-1 over one client at QoS 1 or 2, a window of them unanswered at a
/// time, either as fast as that allows or at a rate.
class AcknowledgedFeed {
public:
    /// Appends message `index` with its packet id.
    using Append = std::function<void(Buffer& out, mqtt::PacketId id, std::uint64_t index)>;

    struct Plan {
        std::uint32_t window = 1;
        std::uint64_t total = 0;
        double rate = 0;  // per second; 0: as the window allows
    };

    AcknowledgedFeed(Client& client, Plan const& plan, SteadyTime now, Append append);

    /// Sends what the window and the rate allow.
    void pump(SteadyTime now);

    /// Takes an answer. Out: how long it took, from when the message was due; nullopt if nobody
    /// waits for it.
    std::optional<std::chrono::nanoseconds> take(Acknowledgement const& answer, SteadyTime now);

    /// When `pump` has something to do though no answer came.
    [[nodiscard]] SteadyTime next_due() const noexcept;

    [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
    [[nodiscard]] bool is_done() const noexcept { return acknowledged_ == total_; }

private:
    [[nodiscard]] bool may_send(SteadyTime now) const noexcept;

    Client& client_;
    PacketIds ids_;
    std::vector<SteadyTime> sent_at_;  // by packet id - 1
    std::uint64_t total_;
    std::uint64_t sent_ = 0;
    std::uint64_t acknowledged_ = 0;
    std::optional<RateClock> pace_;
    Append append_;
};

}  // namespace spoke::sim::load
