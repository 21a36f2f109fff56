#pragma once

#include <cstdint>

#include "device-sim/load/client.hpp"
#include "device-sim/load/histogram.hpp"
#include "device-sim/load/publish_template.hpp"
#include "device-sim/load/rate_clock.hpp"

namespace spoke::sim::load {

/// Sends itself QoS 0 messages at a rate over a client that has subscribed to their topic, and
/// measures how long each is on its way: whether a broker at work for others still turns to this
/// one. What is due while nothing comes back is sent nevertheless, so a stall counts as long as it
/// lasts. The client outlives it.
class Bystander {
public:
    Bystander(Client& client, PublishShape const& shape, double rate, SteadyTime now)
        : client_{client}, message_{shape}, pace_{rate, now} {}

    /// Sends what is due.
    void pump(SteadyTime now);
    [[nodiscard]] SteadyTime next_due() const noexcept { return pace_.next_due(); }

    /// Whether `client` is the one it sends over.
    [[nodiscard]] bool is_of(Client const& client) const noexcept { return &client_ == &client; }
    /// Takes a message. Out: false if it is not the next of its own.
    bool take(Delivery const& delivery, SteadyTime now);

    [[nodiscard]] std::uint32_t sent() const noexcept { return sent_; }
    [[nodiscard]] std::uint32_t returned() const noexcept { return returned_; }
    /// From when a message was due until it was back.
    [[nodiscard]] Histogram const& latency() const noexcept { return latency_; }

private:
    Client& client_;
    PublishTemplate message_;
    RateClock pace_;
    std::uint32_t sent_ = 0;
    std::uint32_t returned_ = 0;
    Histogram latency_;
};

}  // namespace spoke::sim::load
