#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "device-sim/faults/fault.hpp"
#include "device-sim/judge/verdict.hpp"
#include "device-sim/report/fleet_counts.hpp"
#include "device-sim/report/loop_lag.hpp"
#include "device-sim/rider/tally.hpp"

namespace spoke::sim {

/// Something that happened once, to be told on a line of its own.
struct CityEvent {
    std::chrono::milliseconds at{0};
    std::string text{};
};

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

/// How a run ends.
enum class CityEnd : std::uint8_t {
    pass,     // every invariant holds
    fail,     // one does not, or a program ended by itself
    invalid,  // the simulator was overloaded, or nothing happened: it proves nothing
};

/// What the summary tells beside the last look.
struct CityFacts {
    std::uint64_t seed = 0;
    std::uint64_t bikes = 0;
    std::string firmware{};
    std::string faults{};
    std::string net{};
    std::vector<CityEvent> events{};
    std::uint64_t broker_kills = 0;
    std::uint64_t bridge_kills = 0;
    std::vector<std::string> trouble{};  // why it fails beside the invariants, or proves nothing
    CityEnd end = CityEnd::pass;
};

[[nodiscard]] std::string_view to_text(CityEnd end) noexcept;

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
