#pragma once

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "device-sim/report/loop_lag.hpp"

namespace spoke::sim {

// What the reports of all judged runs have in common.

/// Something that happened once, to be told on a line of its own.
struct RunNote {
    std::chrono::milliseconds at{0};
    std::string text{};
};

/// How a run ends.
enum class RunEnd : std::uint8_t {
    pass,     // what must never happen has not
    fail,     // it has, or a program ended by itself
    invalid,  // the simulator was overloaded, or nothing happened: it proves nothing
};

[[nodiscard]] std::string_view to_text(RunEnd end) noexcept;

using CountsByName = std::map<std::string, std::uint64_t>;

[[nodiscard]] boost::json::object counts_json(CountsByName const& counts);

/// "\n    3 x what", for each.
[[nodiscard]] std::string counts_text(CountsByName const& counts);

/// "01:02:03".
[[nodiscard]] std::string clock_text(std::chrono::milliseconds elapsed);

/// "! what at 1.500 s: where: text", of an example of what must never happen.
[[nodiscard]] std::string example_text(std::string_view what, std::int64_t at_ms,
                                       std::string_view where, std::string_view text);

/// "cpu 7 %  lag 12 ms", and LATE if that is too late.
[[nodiscard]] std::string load_text(double cpu_percent, std::chrono::microseconds lag);

/// "loop lag  longest 12 ms, 0.00 % of the looks above 250 ms".
[[nodiscard]] std::string lag_text(LoopLag const& lag);

/// "result: PASS".
[[nodiscard]] std::string result_text(RunEnd end, LoopLag const& lag);

/// Adds what every summary says of the end of a run.
struct RunFacts {
    std::uint64_t seed = 0;
    std::string faults{};  // as the operator gave them
    std::vector<RunNote> notes{};
    std::uint64_t broker_kills = 0;
    std::uint64_t bridge_kills = 0;
    std::vector<std::string> trouble{};  // why it fails beside the counts, or proves nothing
    RunEnd end = RunEnd::pass;
};
void add_facts(boost::json::object& summary, RunFacts const& facts, LoopLag const& lag);

/// One test case of a file for a CI server.
struct JunitCase {
    std::string class_name{};
    std::string name{};
    std::string failure{};             // empty: passed
    std::vector<std::string> lines{};  // of the failure
};

/// `cases`, and one for the result. `name`: as "city".
[[nodiscard]] std::string junit_text(std::string_view name, std::chrono::milliseconds elapsed,
                                     std::vector<JunitCase> cases, RunFacts const& facts);

}  // namespace spoke::sim
