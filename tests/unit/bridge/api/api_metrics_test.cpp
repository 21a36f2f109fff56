#include <catch2/catch.hpp>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/bridge/support/api_world.hpp"

namespace spoke::bridge::test {

TEST_CASE("metrics: every line is one that Prometheus reads, each header once", "[bridge][api]") {
    Api::Settings settings;
    settings.mqtt_relay_counters = [] {
        return MqttRelay::Counters{.open = 3, .failed = 2, .to_broker_bytes = 70};
    };
    ApiWorld w{KeyMaterial{}, settings};
    w.message("d/b42/up", kBirth);
    auto id = w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k1")).text("id");
    w.answer(id, R"("n":1,"r":"ok","lock":"unlocked")");
    w.ask(ApiWorld::order(R"({"do":"unlock"})", "", "k2"));
    w.get("/v1/nothing");
    w.get("/v1/inboxes/7777");
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
          "http_seconds_count 4\n", "inboxes_cached 1\n", "inboxes_loaded_total 1\n",
          "tokens_open 0\n", "mqtt_connections 3\n",
          "mqtt_connections_refused_total{reason=\"broker\"} 2\n",
          "mqtt_bytes_total{to=\"broker\"} 70\n"}) {
        CHECK_THAT(reply.response.body, Catch::Contains(expected));
    }
}

}  // namespace spoke::bridge::test
