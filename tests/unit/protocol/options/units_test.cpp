#include "protocol/options/units.hpp"

#include <catch2/catch.hpp>

using namespace spoke::options;

TEST_CASE("units: a number with its unit is read, anything else is not", "[options]") {
    CHECK(parse_bytes("17 B") == 17);
    CHECK(parse_bytes("64KiB") == 65536);
    CHECK(parse_bytes("2 GiB") == 2147483648);
    CHECK(parse_time_us("500 ms") == 500'000);
    CHECK(parse_time_us("5 min") == 300'000'000);
    CHECK(parse_time_us("7 d") == 604'800'000'000);
    for (auto text : {"", "1", "B", "-1 B", "1.5 KiB", "1 kb", "1 B ", "x1 B",
                      "9223372036854775807 KiB", "99999999999999999999 B"}) {
        CAPTURE(text);
        CHECK_FALSE(parse_bytes(text).has_value());
    }
    CHECK_FALSE(parse_time_us("9223372036854775807 d").has_value());
}

TEST_CASE("units: the shortest form that says the same is written", "[options]") {
    CHECK(bytes_text(0) == "0 B");
    CHECK(bytes_text(1000) == "1000 B");
    CHECK(bytes_text(1024) == "1 KiB");
    CHECK(bytes_text(3 << 20) == "3 MiB");
    CHECK(time_text(0) == "0 s");
    CHECK(time_text(1'500'000) == "1500 ms");
    CHECK(time_text(86'400'000'000) == "1 d");
    CHECK(time_text(90'000'000) == "90 s");
}

TEST_CASE("units: the edit distance counts single-character edits", "[options]") {
    CHECK(edit_distance("", "") == 0);
    CHECK(edit_distance("port", "") == 4);
    CHECK(edit_distance("prt", "port") == 1);
    CHECK(edit_distance("kitten", "sitting") == 3);
}

TEST_CASE("units: TOML text is quoted so that it reads back", "[options]") {
    CHECK(toml_quoted("a\"b\\c\n") == "\"a\\\"b\\\\c\\u000A\"");
}
