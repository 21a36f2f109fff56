// Enhanced authentication (5.0: 3.15, 4.12), and what a refused client leaves behind.
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("auth: an unknown method is refused and touches nothing of the session of that id",
          "[v5.0][MQTT-4.12.0-1][MQTT-3.1.4-2][MQTT-3.2.2-6][MQTT-3.2.2-7][MQTT-3.14.0-1]") {
    Conversation s;
    auto& online = s.resuming("x", Version::v5);
    online.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1));
    auto& other = s.client("other").sends(connect(Version::v5).id(online.id()).with([](auto& p) {
        p.authentication_method = "nope";
        p.clean_start = true;
    }));
    other.is_refused(ReasonCode::bad_authentication_method);
    if (is_own_broker()) CHECK(other.last_frame().at(2) == std::byte{0});
    online.gets_nothing().leaves();
    other.sends(connect(Version::v5).id(online.id()).clean(false).with([](auto& p) {
        p.authentication_method = "nope";
        p.authentication_data = to_buffer("data");
    }));
    other.is_refused(ReasonCode::bad_authentication_method);
    if (is_own_broker()) CHECK(other.last_frame().at(2) == std::byte{0});
    online.sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto& p = s.connected("p", Version::v5);
    p.sends(publish(s.topic("t"), "x", qos1, 2)).gets(puback(2));
    online.receives(publish(s.topic("t"), "x", qos1));
}

TEST_CASE("auth: a client without a method gets no AUTH and may send none",
          "[v5.0][MQTT-4.12.0-6][MQTT-4.12.0-7][MQTT-3.15.2-1]") {
    auto bytes = GENERATE("F0 00", "F0 01 00", "F0 ( 18 ( 15 s'SCRAM-SHA-256' ) )",
                          "F0 ( 19 ( 15 s'SCRAM-SHA-256' ) )", "F0 ( 19 ( 15 s'nope' ) )",
                          "F0 ( 05 ( 15 s'nope' ) )", "F0 ( 18 00 )");
    CAPTURE(bytes);
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5));
    auto connack = a.takes<mqtt::ConnAck>();
    CHECK_FALSE(connack.authentication_method);
    CHECK_FALSE(connack.authentication_data);
    a.gets_nothing().sends_hex(bytes).is_cut(ReasonCode::protocol_error);
}

TEST_CASE("auth: flags of AUTH are 0", "[v5.0][MQTT-3.15.1-1]") {
    auto first = GENERATE("F1", "F2", "F4", "F8", "FF");
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends_hex(fmt::format("{} ( 19 ( 15 s'SCRAM-SHA-256' ) )", first));
    a.is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("auth: AUTH is no packet of 3.1.1", "[v3.1.1][MQTT-4.8.0-1]") {
    Conversation s;
    s.connected("a", Version::v3_1_1).sends_hex("F0 00").closes();
}
