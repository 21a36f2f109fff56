#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "device-sim/report/loop_lag.hpp"
#include "device-sim/report/run_report.hpp"
#include "device-sim/watch/watch_judge.hpp"
#include "device-sim/watch/watch_reader.hpp"
#include "device-sim/watch/watch_writer.hpp"

namespace spoke::sim {

/// One look at a run. The references live for the call they are given to.
struct WatchLook {
    std::chrono::milliseconds elapsed{0};
    std::string phase{};
    std::uint64_t readers = 0;
    WriterTally const& writers;
    ReaderTally const& tally;
    WatchJudge::Counts const& counts;
    WatchVerdict const& verdict;
    LoopLag const& lag;
    std::chrono::microseconds lag_now{0};
    double cpu_percent = 0;
};

/// One line for people, without a line end.
[[nodiscard]] std::string watch_line(WatchLook const& look);

/// The same as one JSON object, without a line end.
[[nodiscard]] std::string watch_json(WatchLook const& look);

/// The end for people: numbers, WATCH, examples, result.
[[nodiscard]] std::string watch_verdict(WatchLook const& look, RunFacts const& facts);

/// All of it as a JSON object, for --summary.
[[nodiscard]] std::string watch_summary(WatchLook const& look, RunFacts const& facts);

/// One test case for each count, for --junit.
[[nodiscard]] std::string watch_junit(WatchLook const& look, RunFacts const& facts);

}  // namespace spoke::sim
