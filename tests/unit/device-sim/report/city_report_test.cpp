#include "device-sim/report/city_report.hpp"

#include <boost/json.hpp>
#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

struct Scene {
    Scene() {
        tally.wishes = 31'204;
        tally.errors["POST 503 broker-down"] = 2;
        tally.add(Stage::whole, 212ms);
        fleet.bikes = 300;
        fleet.online = 290;
        fleet.connects = 320;
        faults.add(Fault::duplicate);
    }

    void add_violation() {
        ++verdict.counts[static_cast<std::size_t>(Invariant::double_open)];
        verdict.examples.push_back(
            {Invariant::double_open, "b7", "c_1", "r1-1", "opened <again> & again", 12'345});
    }

    [[nodiscard]] CityLook look() const {
        return {.elapsed = 372s,
                .phase = "running",
                .riders = 40,
                .openings = 12,
                .open_commands = 1,
                .states = {{"succeeded", 30'510}, {"unknown", 14}},
                .fleet = fleet,
                .faults = faults,
                .tally = tally,
                .verdict = verdict,
                .lag = lag,
                .lag_now = 3ms,
                .cpu_percent = 41};
    }

    Tally tally;
    Verdict verdict;
    LoopLag lag;
    FleetCounts fleet;
    FaultCounts faults;
    CityFacts facts{{.seed = 7}, 300, "good", "lte-m"};
};

bool holds_text(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("City report: the line says how it goes", "[sim][report]") {
    Scene scene;
    auto line = city_line(scene.look());
    CHECK(holds_text(line, "00:06:12"));
    CHECK(holds_text(line, "online 290/300"));
    CHECK(holds_text(line, "ok 30510"));
    CHECK(holds_text(line, "unknown 14"));
    CHECK(holds_text(line, "reconnects 20"));
    CHECK_FALSE(holds_text(line, "VIOLATIONS"));
    scene.add_violation();
    CHECK(holds_text(city_line(scene.look()), "VIOLATIONS 1"));
}

TEST_CASE("City report: JSON has every number", "[sim][report]") {
    Scene scene;
    auto look = boost::json::parse(city_json(scene.look())).as_object();
    CHECK(look.at("safety").as_object().size() == kInvariantCount);
    CHECK(look.at("wishes").to_number<int>() == 31'204);
    CHECK(look.at("errors").at("POST 503 broker-down").to_number<int>() == 2);
    CHECK(look.at("latency_ms").at("whole").at("count").to_number<int>() == 1);
    CHECK(look.at("latency_ms").at("whole").at("p99.9").to_number<double>() == Approx(212));
}

TEST_CASE("City report: the verdict of a good run and of a bad one", "[sim][report]") {
    Scene scene;
    auto good = city_verdict(scene.look(), scene.facts);
    CHECK(holds_text(good, "SAFETY    double_open 0  late_open 0"));
    CHECK(holds_text(good, "result: PASS"));
    CHECK(holds_text(good, "duplicate 1"));

    scene.add_violation();
    scene.facts.end = RunEnd::fail;
    auto bad = city_verdict(scene.look(), scene.facts);
    CHECK(holds_text(bad, "! double_open at 12.345 s: bike b7, order c_1, wish r1-1: opened"));
    CHECK(holds_text(bad, "result: FAIL"));

    scene.facts.end = RunEnd::invalid;
    scene.facts.trouble = {"the simulator was overloaded"};
    auto nothing = city_verdict(scene.look(), scene.facts);
    CHECK(holds_text(nothing, "! the simulator was overloaded"));
    CHECK(holds_text(nothing, "result: INVALID"));
}

TEST_CASE("City report: the summary has the result, the seed and the examples", "[sim][report]") {
    Scene scene;
    scene.add_violation();
    scene.facts.end = RunEnd::fail;
    scene.facts.notes = {{60s, "broker killed -9"}};
    auto summary = boost::json::parse(city_summary(scene.look(), scene.facts)).as_object();
    CHECK(summary.at("result") == "FAIL");
    CHECK(summary.at("seed").to_number<int>() == 7);
    CHECK(summary.at("examples").at(0).at("order") == "c_1");
    CHECK(summary.at("notes").at(0).at("at_ms").to_number<int>() == 60'000);
    CHECK(summary.at("faults_by_kind").at("duplicate").to_number<int>() == 1);
}

TEST_CASE("City report: JUnit has a case per invariant, and escapes", "[sim][report]") {
    Scene scene;
    auto good = city_junit(scene.look(), scene.facts);
    CHECK(holds_text(good, "failures=\"0\""));
    CHECK(holds_text(good, R"(<testcase classname="safety" name="late_open"/>)"));
    scene.add_violation();
    scene.facts.end = RunEnd::fail;
    auto bad = city_junit(scene.look(), scene.facts);
    CHECK(holds_text(bad, "failures=\"2\""));
    CHECK(holds_text(bad, "opened &lt;again&gt; &amp; again"));
}

TEST_CASE("Loop lag: late too often or much too late is overloaded", "[sim][report]") {
    LoopLag lag;
    for (int i = 0; i < 98; ++i) lag.add(1ms);
    lag.add(LoopLag::kLate + 1us);
    lag.add(LoopLag::kLate + 1us);
    CHECK_FALSE(lag.is_overloaded());
    CHECK(lag.take_latest() == LoopLag::kLate + 1us);
    CHECK(lag.take_latest() == 0us);
    SECTION("too often") {
        lag.add(LoopLag::kLate + 1us);
        CHECK(lag.is_overloaded());
    }
    SECTION("much too late, once") {
        for (int i = 0; i < 1000; ++i) lag.add(1ms);
        lag.add(LoopLag::kMuchTooLate);
        CHECK_FALSE(lag.is_overloaded());
        lag.add(LoopLag::kMuchTooLate + 1us);
        CHECK(lag.is_overloaded());
    }
}
