#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device-sim/city/programs.hpp"
#include "device-sim/fleet/fleet_options.hpp"
#include "device-sim/report/city_report.hpp"
#include "device-sim/rider/rider.hpp"

namespace boost::asio {
class io_context;
}

namespace spoke::sim {

/// What city there is, what it plays with and for how long.
struct CityOptions {
    FleetOptions fleet{};
    RiderOptions riders{};
    std::size_t rider_count = 20;
    std::uint64_t seed = 1;
    std::chrono::milliseconds run_for{60'000};
    std::chrono::milliseconds connect_for{180'000};  // until the riders can begin
    std::chrono::milliseconds settle_for{120'000};   // until everything is settled, at the end
    ProgramsOptions programs{};

    // As the operator gave them, for the report.
    std::string firmware{};
    std::string faults{};
    std::string net{};
};

/// Locks on MQTT and riders on HTTP, a judge over both, and the programs between them, which are
/// killed as planned.
/// States   starting (the programs), connecting (the bikes), running, going home (faults are over,
///          riders end what they began), settling (all bikes are back, open commands settle),
///          auditing (every command is read once more), over.
/// Thread   the one that runs the io_context.
class City {
public:
    using Say = std::function<void(RunNote const& event)>;

    /// `context` outlives it.
    City(boost::asio::io_context& context, CityOptions options, Say say);
    City(City const&) = delete;
    City& operator=(City const&) = delete;
    ~City();

    /// `done` is called once it is over, with the programs and bikes stopped.
    /// Errors  std::runtime_error if a program cannot be started.
    void start(std::function<void()> done);

    /// Ends the running phase now.
    void end_early();

    [[nodiscard]] CityLook look();
    [[nodiscard]] CityFacts facts() const;

private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace spoke::sim
