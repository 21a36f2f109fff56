#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>

#include "device-sim/faults/fault.hpp"
#include "device-sim/judge/verdict.hpp"
#include "device-sim/report/fleet_counts.hpp"
#include "device-sim/report/loop_lag.hpp"
#include "device-sim/report/run_report.hpp"
#include "device-sim/rider/tally.hpp"

namespace spoke::sim {

/// One look at a city. The references live for the call they are given to.
struct CityLook {
    std::chrono::milliseconds elapsed{0};
    std::string phase{};
    std::uint64_t riders = 0;
    std::uint64_t openings = 0;
    std::uint64_t open_commands = 0;  // told of, and not settled
    std::uint64_t excused = 0;        // left open since their locks cannot tell either
    std::map<std::string, std::uint64_t> states{};
    FleetCounts fleet{};
    FaultCounts faults{};
    Tally const& tally;
    Verdict const& verdict;
    LoopLag const& lag;
    std::chrono::microseconds lag_now{0};
    double cpu_percent = 0;
};

/// What the summary tells beside the last look.
struct CityFacts : RunFacts {
    std::uint64_t bikes = 0;
    std::string firmware{};
    std::string net{};
};

/// One line for people, without a line end.
[[nodiscard]] std::string city_line(CityLook const& look);

/// The same as one JSON object, without a line end.
[[nodiscard]] std::string city_json(CityLook const& look);

/// The end for people: numbers, SAFETY, examples, result.
[[nodiscard]] std::string city_verdict(CityLook const& look, CityFacts const& facts);

/// All of it as a JSON object, for --summary.
[[nodiscard]] std::string city_summary(CityLook const& look, CityFacts const& facts);

/// One test case for each invariant, for --junit.
[[nodiscard]] std::string city_junit(CityLook const& look, CityFacts const& facts);

}  // namespace spoke::sim
