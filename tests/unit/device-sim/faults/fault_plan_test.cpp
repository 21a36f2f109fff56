#include "device-sim/faults/fault_plan.hpp"

#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

FaultPlan plan_of(std::string_view text) {
    auto parsed = parse_faults(text);
    INFO(text);
    REQUIRE(std::holds_alternative<FaultPlan>(parsed));
    return std::get<FaultPlan>(parsed);
}

std::string problem_of(std::string_view text) {
    auto parsed = parse_faults(text);
    return std::holds_alternative<FaultPlan>(parsed) ? "" : std::get<std::string>(parsed);
}

NetPlan net_of(std::string_view text) {
    auto parsed = parse_net(text);
    INFO(text);
    REQUIRE(std::holds_alternative<NetPlan>(parsed));
    return std::get<NetPlan>(parsed);
}

}  // namespace

TEST_CASE("Faults: the table has each fault once, in order", "[sim][faults]") {
    auto rows = fault_table();
    REQUIRE(rows.size() == kFaultCount);
    for (std::size_t i = 0; i < rows.size(); ++i) {
        CHECK(rows[i].fault == static_cast<Fault>(i));
        CHECK(describe_faults().find(rows[i].name) != std::string::npos);
    }
}

TEST_CASE("Faults: shares and windows as an operator writes them", "[sim][faults]") {
    auto plan = plan_of("duplicate=5%,stall=0.5%@60s-2m,storm=30%@90s,reboot=100%@1500ms");
    CHECK(plan.of(Fault::duplicate).share == Approx(0.05));
    CHECK(plan.of(Fault::duplicate).window == Window{});
    CHECK(plan.of(Fault::stall).share == Approx(0.005));
    CHECK(plan.of(Fault::stall).window == Window{60s, 120s});
    CHECK(plan.of(Fault::storm).window.from == 90s);
    CHECK(plan.of(Fault::reboot).window == Window{1500ms, Elapsed::max()});
    CHECK(plan.of(Fault::crash).share == 0);
}

TEST_CASE("Faults: a mixture, and what comes later counts", "[sim][faults]") {
    CHECK(plan_of("none").is_none());
    CHECK_FALSE(plan_of("city").is_none());
    CHECK(plan_of("city,none").is_none());
    auto plan = plan_of("city,crash=50%");
    CHECK(plan.of(Fault::crash).share == Approx(0.5));
    CHECK(plan.of(Fault::duplicate).share > 0);
}

TEST_CASE("Faults: what makes no sense is told", "[sim][faults]") {
    CHECK(problem_of("fire=5%") == "there is no fault \"fire\"");
    CHECK(problem_of("crash") == "how much? write crash=5%");
    CHECK(problem_of("crash=5") == "crash: \"5\" is no percentage of 0% to 100%");
    CHECK(problem_of("crash=101%") == "crash: \"101%\" is no percentage of 0% to 100%");
    CHECK(problem_of("stall=6000%").empty());
    CHECK(problem_of("stall=6001%") == "stall: \"6001%\" is no percentage of 0% to 6000%");
    CHECK(problem_of("crash=-1%") == "crash: \"-1%\" is no percentage of 0% to 100%");
    CHECK(problem_of("crash=5%@soon") == "crash: \"soon\" is no time; write 60s, or 60s-120s");
    CHECK(problem_of("crash=5%@9s-8s") == "crash: \"9s-8s\" is no time; write 60s, or 60s-120s");
    CHECK(problem_of("storm=5%") == "when? write storm=30%@60s");
    CHECK(problem_of("storm=5%@1s-2s") == "storm has one moment, as in storm=30%@60s");
    CHECK(problem_of("twin=5%@1s") == "twin lasts for the whole run");
    CHECK(problem_of("") == "there is no fault \"\"");
}

TEST_CASE("Net: the usual one and the shares of others", "[sim][faults]") {
    auto net = net_of("lte-m,20%=2g,5%=garage");
    CHECK(net.of(0.0).name == "2g");
    CHECK(net.of(0.19).name == "2g");
    CHECK(net.of(0.21).name == "garage");
    CHECK(net.of(0.26).name == "lte-m");
    CHECK(net.of(0.999).name == "lte-m");
    CHECK(net_of("5%=2g").of(0.5).name == "perfect");
    CHECK(describe_nets().find("garage") != std::string::npos);
}

TEST_CASE("Net: what makes no sense is told", "[sim][faults]") {
    auto text = GENERATE("", "5g", "lte-m,2g", "lte-m,5=2g", "lte-m,60%=2g,50%=garage");
    CHECK(std::holds_alternative<std::string>(parse_net(text)));
}

TEST_CASE("Elapsed: a number with its unit", "[sim][faults]") {
    CHECK(parse_elapsed("90s") == 90s);
    CHECK(parse_elapsed("10m") == 10min);
    CHECK(parse_elapsed("1500ms") == 1500ms);
    CHECK(parse_elapsed("2h") == 2h);
    auto bad = GENERATE("", "90", "s", "-1s", "1.5s", "9d", "99999999999s");
    CHECK_FALSE(parse_elapsed(bad));
}
