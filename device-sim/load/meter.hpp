#pragma once

#include <cstdint>
#include <string_view>

#include "device-sim/load/histogram.hpp"
#include "device-sim/load/json_line.hpp"
#include "device-sim/load/process_sample.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim::load {

/// Count, mean and percentiles, in microseconds.
[[nodiscard]] JsonLine distribution_of(Histogram const& histogram);

/// What happened in one measured interval: messages, latency, what the broker used, and whether the
/// generator itself was the limit.
class Meter {
public:
    /// `broker_pid` 0: the broker is not sampled.
    explicit Meter(int broker_pid) noexcept : broker_pid_{broker_pid} {}

    /// Errors: both throw LoadFailure if the broker's process cannot be sampled.
    void begin(SteadyTime now);
    void end(SteadyTime now);

    /// Counts in what the broker has used since the interval ended. Errors: as end().
    void sample_settled_broker() { broker_after_ = sample_broker(); }

    [[nodiscard]] bool is_running() const noexcept { return running_; }
    [[nodiscard]] std::uint64_t delivered() const noexcept { return delivered_; }

    void count_delivery() noexcept { ++delivered_; }
    void count_latency(std::chrono::nanoseconds latency) noexcept { latency_.record(latency); }
    /// From PUBLISH to its last acknowledgement.
    void count_acknowledgement(std::chrono::nanoseconds latency) noexcept {
        acknowledgement_.record(latency);
    }
    void count_turn(std::chrono::nanoseconds duration) noexcept { turns_.record(duration); }
    /// How late a message of a given rate was handed to the socket.
    void count_lag(std::chrono::nanoseconds lag) noexcept { lag_.record(lag); }

    [[nodiscard]] double seconds() const noexcept;
    /// Broker's processor time in the interval, as a share of one core.
    [[nodiscard]] double broker_share() const noexcept;
    /// Broker's processor time in the interval, over `count` messages, connections, ...
    [[nodiscard]] double broker_microseconds_per(std::uint64_t count) const noexcept;
    [[nodiscard]] std::uint64_t resident_before() const noexcept {
        return broker_before_.resident_bytes;
    }
    [[nodiscard]] std::uint64_t resident_after() const noexcept {
        return broker_after_.resident_bytes;
    }

    [[nodiscard]] double longest_turn_microseconds() const noexcept;

    /// Whether the figures say more about the generator than about the broker: it used more than 90
    /// % of its core, or messages of a given rate left more than 10 ms late (99th percentile).
    [[nodiscard]] bool is_generator_bound() const noexcept;

    /// Whether others had the cores: broker or generator stood ready without one for more than 5 %
    /// of the interval. A broker that is kept waiting finds more work at a time, so its cost per
    /// message shrinks.
    [[nodiscard]] bool is_contended() const noexcept;

    /// Adds seconds, messages, rate, latency, broker and generator.
    void describe(JsonLine& report) const;
    void describe_latency_as(JsonLine& report, std::string_view name) const;

private:
    [[nodiscard]] ProcessSample sample_broker() const;
    [[nodiscard]] std::chrono::nanoseconds broker_cpu() const noexcept;
    [[nodiscard]] double generator_share() const noexcept;
    [[nodiscard]] double broker_wait_share() const noexcept;
    [[nodiscard]] double generator_wait_share() const noexcept;

    int broker_pid_;
    bool running_ = false;
    SteadyTime begun_at_{};
    SteadyTime ended_at_{};
    ProcessSample broker_before_{};
    ProcessSample broker_after_{};
    CpuTime own_before_{};
    CpuTime own_after_{};
    std::chrono::nanoseconds own_wait_before_{};
    std::chrono::nanoseconds own_wait_after_{};
    std::uint64_t delivered_ = 0;
    Histogram latency_;
    Histogram acknowledgement_;
    Histogram turns_;
    Histogram lag_;
};

}  // namespace spoke::sim::load
