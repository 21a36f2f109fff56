// QoS 1 and 2 towards clients: packet ids, windows, resends.
#include <catch2/catch.hpp>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("QoS 1: an unanswered PUBLISH is sent again with DUP after resume",
          "[v3.1.1][MQTT-4.4.0-1][MQTT-3.3.1-1][v5.0][MQTT-4.4.0-1][MQTT-3.3.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s;
    s.link("bike-7").sends(connect(version).resume()).gets(connack());
    s.link("bike-7").sends(subscribe(1, "bikes/7/cmd", qos1)).gets(suback(1));
    s.link("bridge").sends(connect(version)).gets(connack());
    s.link("bridge").sends(publish("bikes/7/cmd", "unlock", qos1, 9)).gets(puback(9));
    s.link("bike-7").gets(publish("bikes/7/cmd", "unlock", qos1, 1)).drops();
    s.link("bike-7").sends(connect(version).resume()).gets(connack().session_present());
    s.link("bike-7").gets(publish("bikes/7/cmd", "unlock", qos1, 1).dup()).gets_nothing();
}
