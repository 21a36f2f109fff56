#include "device-sim/watch/watch_report.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

namespace spoke::sim::test {
namespace {

struct Report {
    Report() {
        tally.told[static_cast<std::size_t>(Way::sse)] = 12;
        tally.reading[static_cast<std::size_t>(Way::sse)] = 2;
        tally.faults.add(WatchFault::vanish);
        writers.add_refused("503 {}");
        counts.asked = 20;
        counts.acknowledged = 19;
    }
    [[nodiscard]] WatchLook look() const {
        return {.elapsed = std::chrono::seconds{61},
                .phase = "running",
                .readers = 3,
                .writers = writers,
                .tally = tally,
                .counts = counts,
                .verdict = verdict,
                .lag = lag};
    }

    WriterTally writers{};
    ReaderTally tally{};
    WatchJudge::Counts counts{};
    WatchVerdict verdict{};
    LoopLag lag{};
    RunFacts facts{.seed = 7, .faults = "all", .broker_kills = 1};
};

bool has(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("watch report: a line and a JSON object say how it goes", "[watch-report]") {
    Report r;
    auto line = watch_line(r.look());
    CHECK(has(line, "00:01:01  running   reading 2/3  written 20  acknowledged 19"));
    CHECK_FALSE(has(line, "WRONG"));
    auto json = boost::json::parse(watch_json(r.look()));
    CHECK(json.at("told").at("sse") == 12);
    CHECK(json.at("wrong").at("events_lost") == 0);
    CHECK(json.at("refused").at("503 {}") == 1);
}

TEST_CASE("watch report: what is wrong is told with examples", "[watch-report]") {
    Report r;
    r.verdict.add({Wrong::events_lost, "sse-1", "k7.9", "t/0/<say>", 1500});
    r.facts.end = RunEnd::fail;
    CHECK(has(watch_line(r.look()), "WRONG 1"));
    auto verdict = watch_verdict(r.look(), r.facts);
    CHECK(has(verdict, " events_lost 1 "));
    CHECK(has(verdict, "! events_lost at 1.500 s: sse-1, event k7.9: t/0/<say>"));
    CHECK(has(verdict, "result: FAIL"));
    auto summary = boost::json::parse(watch_summary(r.look(), r.facts));
    CHECK(summary.at("result") == "FAIL");
    CHECK(summary.at("examples").as_array().size() == 1);
    CHECK(summary.at("kills").at("broker") == 1);
    auto junit = watch_junit(r.look(), r.facts);
    CHECK(has(junit, R"(tests="9" failures="2")"));
    CHECK(has(junit, "t/0/&lt;say&gt;"));
    CHECK(has(junit, R"(name="events_doubled"/>)"));
}

TEST_CASE("watch report: a run that proves nothing says why", "[watch-report]") {
    Report r;
    r.facts.end = RunEnd::invalid;
    r.facts.trouble = {"nothing was written"};
    CHECK(has(watch_verdict(r.look(), r.facts), "result: INVALID (it proves nothing)"));
    r.lag.add(std::chrono::seconds{4});
    auto verdict = watch_verdict(r.look(), r.facts);
    CHECK(has(verdict, "! nothing was written"));
    CHECK(has(verdict, "result: INVALID (simulator overloaded)"));
    CHECK(has(watch_junit(r.look(), r.facts), R"(message="INVALID")"));
}

}  // namespace spoke::sim::test
