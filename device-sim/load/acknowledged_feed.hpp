#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "device-sim/load/client.hpp"
#include "device-sim/load/flow.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim::load {

/// Publishes messages 0 .. total-1 over one client at QoS 1 or 2, a window of them unanswered at a
/// time.
class AcknowledgedFeed {
public:
    /// Appends message `index` with its packet id.
    using Append = std::function<void(Buffer& out, mqtt::PacketId id, std::uint64_t index)>;

    AcknowledgedFeed(Client& client, std::uint32_t window, std::uint64_t total, Append append)
        : client_{client},
          ids_{window},
          sent_at_(window),
          total_{total},
          append_{std::move(append)} {}

    /// Sends what the window allows.
    void pump(SteadyTime now);

    /// Takes an answer. Out: how long it took; nullopt if nobody waits for it.
    std::optional<std::chrono::nanoseconds> take(Acknowledgement const& answer, SteadyTime now);

    [[nodiscard]] std::uint64_t acknowledged() const noexcept { return acknowledged_; }
    [[nodiscard]] bool is_done() const noexcept { return acknowledged_ == total_; }

private:
    Client& client_;
    PacketIds ids_;
    std::vector<SteadyTime> sent_at_;  // by packet id - 1
    std::uint64_t total_;
    std::uint64_t sent_ = 0;
    std::uint64_t acknowledged_ = 0;
    Append append_;
};

}  // namespace spoke::sim::load
