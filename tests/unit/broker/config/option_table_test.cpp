#include "broker/config/option_table.hpp"

#include <catch2/catch.hpp>

#include "broker/config/config.hpp"

using namespace std::chrono_literals;
using namespace spoke::broker;
using spoke::options::OptionError;

TEST_CASE("broker config: the printed defaults load again and change nothing", "[config]") {
    Config config;
    auto printed = option_table(config).print();
    Config again;
    auto table = option_table(again);
    table.load_text(printed, "printed.toml");
    CHECK(table.print() == printed);
    CHECK_NOTHROW(check(again));
}

TEST_CASE("broker config: without a file it listens on 127.0.0.1:1883 alone", "[config]") {
    Config config;
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].address == "127.0.0.1");
    CHECK(config.listeners[0].port == 1883);
}

TEST_CASE("broker config: every option says what it means", "[config]") {
    Config config;
    auto table = option_table(config);
    for (auto const& row : table.rows()) {
        CAPTURE(row.key);
        CHECK(row.meaning.ends_with('.'));
        CHECK_FALSE(row.unit.empty());
    }
}

TEST_CASE("broker config: a file reaches the structs", "[config]") {
    Config config;
    option_table(config).load_text(R"(
        [[listener]]
        address = "::1"
        port = 8883
        connect_timeout = "3 s"
        [limits]
        packet_size_max = "256 KiB"
        keep_alive_max = "unlimited"
        session_expiry_max = "7 d"
        [mqtt]
        maximum_qos = 1
        [performance]
        shards = 4
        busy_poll = "50 us"
        [log]
        level = "warning"
    )",
                                   "broker.toml");
    REQUIRE(config.listeners.size() == 1);
    CHECK(config.listeners[0].address == "::1");
    CHECK(config.listeners[0].connect_timeout == 3s);
    CHECK(config.limits.packet_size_max == 262144);
    CHECK(config.limits.keep_alive_max == 0s);
    CHECK(config.limits.session_expiry_max == 168h);
    CHECK(config.mqtt.maximum_qos == 1);
    CHECK(config.performance.shards == 4);
    CHECK(config.performance.busy_poll == 50us);
    CHECK(config.log.level == LogConfig::Level::warning);
}

TEST_CASE("broker config: options that do not go together are refused", "[config]") {
    Config config;
    option_table(config).load_text("listener = []", "broker.toml");
    CHECK_THROWS_AS(check(config), OptionError);

    Config other;
    other.limits.out_queue_bytes_max = other.limits.packet_size_max - 1;
    CHECK_THROWS_WITH(check(other), Catch::Contains("packet_size_max"));
}
