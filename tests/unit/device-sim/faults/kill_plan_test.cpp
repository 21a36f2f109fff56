#include "device-sim/faults/kill_plan.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

TEST_CASE("Kills: as an operator writes them, by time", "[sim][kills]") {
    auto parsed = parse_kills("bridge@2m,broker@60s,bridge@90s");
    REQUIRE(std::holds_alternative<std::vector<Kill>>(parsed));
    CHECK(std::get<std::vector<Kill>>(parsed) == std::vector<Kill>{{Program::broker, 60s},
                                                                   {Program::bridge, 90s},
                                                                   {Program::bridge, 2min}});
    CHECK(std::get<std::vector<Kill>>(parse_kills("")).empty());
}

TEST_CASE("Kills: what makes no sense is told", "[sim][kills]") {
    auto text = GENERATE("broker", "broker@", "broker@soon", "sim@60s", "@60s", ",broker@60s");
    CHECK(std::holds_alternative<std::string>(parse_kills(text)));
}

TEST_CASE("Kills: at random times inside the run, the same for the same seed", "[sim][kills]") {
    auto kills = random_kills(3, 10min, 7);
    REQUIRE(kills.size() == 6);
    auto of_broker = [](Kill const& kill) { return kill.program == Program::broker; };
    CHECK(std::count_if(kills.begin(), kills.end(), of_broker) == 3);
    for (auto const& kill : kills) {
        CHECK(kill.at >= 1min);
        CHECK(kill.at <= 9min);
    }
    CHECK(std::is_sorted(kills.begin(), kills.end(),
                         [](Kill const& a, Kill const& b) { return a.at < b.at; }));
    CHECK(kills == random_kills(3, 10min, 7));
    CHECK(kills != random_kills(3, 10min, 8));
    CHECK(random_kills(0, 10min, 7).empty());
}
