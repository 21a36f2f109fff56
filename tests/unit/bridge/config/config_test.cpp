#include <catch2/catch.hpp>

#include "bridge/config/config.hpp"
#include "bridge/config/load.hpp"
#include "bridge/config/option_table.hpp"

namespace spoke::bridge::test {

TEST_CASE("configuration: what is printed loads again and changes nothing", "[bridge][config]") {
    Config first;
    first.http.port = 0;
    first.devices.offline_after = {};
    auto text = option_table(first).print();
    Config second;
    option_table(second).load_text(text, "printed");
    CHECK(option_table(second).print() == text);
    CHECK(second.http.port == 0);
}

TEST_CASE("configuration: every option says what it means", "[bridge][config]") {
    Config config;
    auto table = option_table(config);
    for (auto const& row : table.rows()) {
        INFO(row.key);
        CHECK_FALSE(row.meaning.empty());
        CHECK_FALSE(row.default_value.empty());
    }
}

TEST_CASE("configuration: options that do not go together", "[bridge][config]") {
    Config config;
    CHECK_NOTHROW(check(config));
    SECTION("delays") {
        config.broker.reconnect_delay_min = std::chrono::hours{1};
    }
    SECTION("no name for the session") {
        config.broker.client_id.clear();
    }
    SECTION("a store in memory under its SQLite name") {
        config.store.path = ":memory:";
    }
    SECTION("a record without a filter") {
        config.events.records.push_back({});
    }
    SECTION("a record of the feed") {
        config.events.records.push_back({"e/t/#"});
    }
    SECTION("a record of a shared subscription") {
        config.events.records.push_back({"$share/a/t/#"});
    }
    SECTION("a record of the broker's own topics") {
        config.events.records.push_back({"$SYS/#"});
    }
    SECTION("a record whose filter is none") {
        config.events.records.push_back({"t/#/x"});
    }
    SECTION("two records of the same") {
        config.events.records.push_back({"t/#"});
    }
    SECTION("a feed that is no topic") {
        config.events.feed = GENERATE("+", "e/", "$e", "e/#");
    }
    SECTION("password without user") {
        config.broker.password_file = "x";
    }
    CHECK_THROWS_AS(check(config), options::OptionError);
}

TEST_CASE("configuration: records of the file take the place of the default ones",
          "[bridge][config]") {
    Config config;
    option_table(config).load_text(
        "[[record]]\nfilter = \"a/#\"\nkeep = \"2h\"\nevents_max = 7\nbytes_max = \"1MiB\"\n"
        "[[record]]\nfilter = \"b\"\n",
        "file");
    REQUIRE(config.events.records.size() == 2);
    CHECK(config.events.records[0].filter == "a/#");
    CHECK(config.events.records[0].keep == std::chrono::hours{2});
    CHECK(config.events.records[0].events_max == 7);
    CHECK(config.events.records[0].bytes_max == 1U << 20);
    CHECK(config.events.records[1].events_max == RecordConfig{}.events_max);
    CHECK_NOTHROW(check(config));
}

TEST_CASE("configuration: an address is a host and a port", "[bridge][config]") {
    using Address = std::pair<std::string, std::uint16_t>;
    CHECK(parse_address("127.0.0.1:8080") == Address{"127.0.0.1", 8080});
    CHECK(parse_address("[::1]:0") == Address{"::1", 0});
    CHECK(parse_address("broker.example:1883") == Address{"broker.example", 1883});
    for (auto const* text :
         {"", "8080", ":8080", "a:", "a:x", "a:65536", "a:-1", "::1:80", "a:1 "}) {
        INFO(text);
        CHECK_FALSE(parse_address(text).has_value());
    }
}

TEST_CASE("configuration: flags come after the file", "[bridge][config]") {
    std::vector<char const*> arguments{"spoke-bridge", "--listen", "[::1]:9", "--broker",
                                       "b:1",          "-p",       "7"};
    auto loaded = load(static_cast<int>(arguments.size()), arguments.data());
    REQUIRE(std::holds_alternative<Loaded>(loaded));
    auto const& config = std::get<Loaded>(loaded).config;
    CHECK(config.http.address == "::1");
    CHECK(config.broker.address == "b");
    CHECK(config.broker.port == 1);
    std::vector<char const*> bad{"spoke-bridge", "--listen", "8080"};
    CHECK(std::get<int>(load(static_cast<int>(bad.size()), bad.data())) == 1);
}

}  // namespace spoke::bridge::test
