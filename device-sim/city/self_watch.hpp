#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "device-sim/report/loop_lag.hpp"
#include "protocol/base/time.hpp"

namespace spoke::sim {

/// How this process itself does while it plays: how late its loop is, how much processor it takes.
/// Thread  the one that runs the io_context, which outlives it.
class SelfWatch {
public:
    explicit SelfWatch(boost::asio::io_context& context) : timer_(context) {}

    void start();
    void stop() { timer_.cancel(); }

    [[nodiscard]] LoopLag const& lag() const noexcept { return lag_; }

    struct Look {
        std::chrono::microseconds lag{0};  // the longest
        double cpu_percent = 0;
    };
    /// Since the last call.
    [[nodiscard]] Look look();

private:
    void wait();

    boost::asio::steady_timer timer_;
    LoopLag lag_{};
    SteadyTime due_{};
    SteadyTime looked_at_{};
    std::chrono::nanoseconds cpu_looked_{};
};

}  // namespace spoke::sim
