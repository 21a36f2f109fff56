#include "broker/core/topic_aliases.hpp"

#include <catch2/catch.hpp>

using namespace spoke::broker;

TEST_CASE("inbound aliases: 1 up to the maximum, kept until set again",
          "[v5.0][MQTT-3.3.2-8][MQTT-3.3.2-9][MQTT-3.3.2-12]") {
    InboundAliases aliases{3};
    CHECK_FALSE(aliases.allows(0));
    CHECK(aliases.allows(1));
    CHECK(aliases.allows(3));
    CHECK_FALSE(aliases.allows(4));
    CHECK(aliases.find(2).empty());
    aliases.set(2, "a/b");
    CHECK(aliases.find(2) == "a/b");
    aliases.set(2, "c");
    CHECK(aliases.find(2) == "c");
    CHECK(aliases.find(1).empty());
    CHECK(aliases.find(3).empty());
}

TEST_CASE("inbound aliases: a maximum of 0 allows none", "[v5.0][MQTT-3.2.2-18]") {
    CHECK_FALSE(InboundAliases{0}.allows(1));
}

TEST_CASE("outbound aliases: the first topics get them, as many as the client allows",
          "[v5.0][MQTT-3.1.2-26][MQTT-3.3.2-11]") {
    OutboundAliases aliases{2};
    CHECK(aliases.find("a").alias == 1);
    CHECK_FALSE(aliases.find("a").is_set);
    CHECK(aliases.find("b").alias == 1);  // not taken by asking
    aliases.set("a", 1);
    CHECK(aliases.find("a").alias == 1);
    CHECK(aliases.find("a").is_set);
    CHECK(aliases.find("b").alias == 2);
    aliases.set("b", 2);
    CHECK(aliases.find("c").alias == 0);
    CHECK(aliases.find("b").is_set);
}
