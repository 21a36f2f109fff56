#include <catch2/catch.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {

TEST_CASE("metrics: every line is one that Prometheus reads, each header once", "[bridge][api]") {
    ApiWorld w;
    w.message("d/b42/up", kBirth);
    auto id = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k1")).text("id");
    w.answer(id, R"("n":1,"r":"ok","lock":"unlocked")");
    w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k2"));
    w.get("/v1/nothing");
    auto reply = w.get("/metrics");
    CHECK(reply.response.content_type == "text/plain; version=0.0.4; charset=utf-8");
    std::regex const sample{R"(spoke_bridge_[a-z_]+(\{[a-z]+="[^"]+"\})? [0-9.e+-]+)"};
    std::regex const header{R"(# (HELP|TYPE) (spoke_bridge_[a-z_]+) .+)"};
    std::set<std::string> headers;
    std::istringstream lines{reply.response.body};
    for (std::string line; std::getline(lines, line);) {
        INFO(line);
        std::smatch found;
        if (line.starts_with('#')) {
            REQUIRE(std::regex_match(line, found, header));
            CHECK(headers.insert(found[1].str() + found[2].str()).second);
            continue;
        }
        CHECK(std::regex_match(line, sample));
    }
    for (auto const* expected :
         {"commands_settled_total{state=\"succeeded\"} 1\n", "devices{presence=\"online\"} 1\n",
          "http_responses_total{class=\"4xx\"} 1\n", "broker_connected 1\n", "store_writable 1\n",
          "http_seconds_count 3\n"}) {
        CHECK_THAT(reply.response.body, Catch::Contains(expected));
    }
}

}  // namespace spoke::bridge::test
