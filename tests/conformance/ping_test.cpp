// PINGREQ (3.12) and the transport under all of it (3.1.1: 7.1, 5.0: 4.2).
#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::Version;

TEST_CASE("ping: PINGREQ is answered with PINGRESP",
          "[v3.1.1][MQTT-3.12.4-1][v5.0][MQTT-3.12.4-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    a.sends_hex("C0 00").gets_hex("D0 00");
    a.sends_hex("C0 00 C0 00 C0 00").gets_hex("D0 00").gets_hex("D0 00").gets_hex("D0 00");
    a.gets_nothing();
}

TEST_CASE("ping: the transport is a TCP stream", "[v3.1.1][MQTT-7.1.1-1][v5.0][MQTT-4.2.0-1]") {
    Conversation s;
    auto& a = s.client("a").speaks(Version::v3_1_1);
    a.sends_hex("10 0D s'MQTT' 04 02 0000 s'x'").gets_hex("20 02 00 00");
    auto& b = s.client("b").speaks(Version::v5);
    b.sends_hex("10 0E s'MQTT' 05 02 0000 00 s'y'");
    CHECK(b.takes<mqtt::ConnAck>().reason == mqtt::ReasonCode::success);
}
