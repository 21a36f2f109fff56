#include "device-sim/load/json_line.hpp"

#include <catch2/catch.hpp>
#include <limits>

using spoke::sim::load::JsonLine;

TEST_CASE("json line: members keep their order and types", "[load]") {
    JsonLine inner;
    inner.add("p50", 1.5);
    JsonLine line;
    line.add("mode", "p2p").add("count", 3U).add("ok", true).add("latency", inner);
    CHECK(line.text() == R"({"mode":"p2p","count":3,"ok":true,"latency":{"p50":1.500}})");
    CHECK(JsonLine{}.text() == "{}");
}

TEST_CASE("json line: text is escaped, numbers that are none become null", "[load]") {
    JsonLine line;
    line.add("a\"b", "back\\slash\nline").add("x", std::numeric_limits<double>::quiet_NaN());
    CHECK(line.text() == R"({"a\"b":"back\\slash\u000aline","x":null})");
}
