#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "device-sim/fleet/fleet_options.hpp"
#include "device-sim/report/fleet_counts.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::sim {

/// Many bikes, each on its own connection, on one io_context.
/// States   waits for the broker with one bike alone; brings up the others at the rate asked for
/// once
///          that one was let in; runs; stops.
/// Bound    at most kConnectingMax connections are being made at a time during the ramp.
/// Thread   the one that runs the io_context.
class Fleet {
public:
    static constexpr std::size_t kConnectingMax = 500;

    /// `context` must outlive the fleet.
    Fleet(boost::asio::io_context& context, FleetOptions options);
    Fleet(Fleet const&) = delete;
    Fleet& operator=(Fleet const&) = delete;
    ~Fleet();

    void start();

    /// Every bike says goodbye and disconnects; what has not managed it after five seconds is
    /// disconnected without. Then calls `done`, once. To be called once.
    void stop(std::function<void()> done);

    /// Faults begin; windows of time count from here. start() does this unless the options say to
    /// wait.
    void begin_faults();

    /// Faults end: what stalls goes on, no further one strikes. Messages still take their time.
    void calm();

    /// The rider of a bike, by its place in the fleet (0 .. bikes-1), pushes its lock shut.
    void close_by_hand(std::size_t place);
    [[nodiscard]] Lock const& lock(std::size_t place) const;

    [[nodiscard]] FaultCounts const& fault_counts() const noexcept;

    [[nodiscard]] FleetCounts const& counts() const noexcept;

    /// Why the latest attempt to connect failed, or the latest connection ended; empty if none did.
    [[nodiscard]] std::string_view trouble() const noexcept;

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace spoke::sim
