// CONNACK (3.2): what it says and what the server keeps to.
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

Setup with(std::string more) {
    return {.more = std::move(more)};
}

}  // namespace

TEST_CASE("connack: a session is present just if one was there",
          "[v3.1.1][MQTT-3.2.2-1][MQTT-3.2.2-2][MQTT-3.2.2-3][v5.0][MQTT-3.2.2-1]"
          "[MQTT-3.2.2-2][MQTT-3.2.2-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a");
    auto flags_after = [&](ConnectBuilder const& packet) {
        a.sends(packet);
        CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
        auto flags = std::to_integer<int>(a.last_frame().at(2));
        a.leaves();
        return flags;
    };
    CHECK(flags_after(connect(version).resume()) == 0);
    CHECK(flags_after(connect(version).resume()) == 1);
    CHECK(flags_after(connect(version)) == 0);
    CHECK(flags_after(connect(version).resume()) == 0);
}

TEST_CASE("connack: a maximum QoS is told and held to",
          "[own][v5.0][MQTT-3.2.2-9][MQTT-3.2.2-10][MQTT-3.2.2-11][MQTT-3.2.2-12]") {
    auto maximum = GENERATE(0, 1);
    Conversation s{with(fmt::format("mqtt.maximum_qos = {}", maximum))};
    auto const highest = mqtt::Qos{static_cast<std::uint8_t>(maximum)};
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK(a.takes<mqtt::ConnAck>().maximum_qos == highest);
    for (auto qos : {qos0, qos1, qos2}) {
        a.sends(subscribe(7, s.topic("t"), qos));
        auto granted = a.takes<mqtt::SubAck>();
        REQUIRE(granted.reasons.size() == 1);
        CHECK(static_cast<int>(granted.reasons[0]) <= 2);
    }
    auto& p = s.client("p").sends(connect(Version::v5));
    (void)p.takes<mqtt::ConnAck>();
    p.sends(publish(s.topic("t"), "x", highest, 3));
    if (maximum == 1) p.gets(puback(3));
    a.receives(publish(s.topic("t"), "x", highest));
    for (int qos = maximum + 1; qos <= 2; ++qos) {
        auto more = mqtt::Qos{static_cast<std::uint8_t>(qos)};
        a.sends(publish(s.topic("t"), "x", more, 4)).is_cut(ReasonCode::qos_not_supported);
        a.sends(connect(Version::v5).will(will(s.topic("w"), "x", more)));
        a.is_refused(ReasonCode::qos_not_supported);
        a.sends(connect(Version::v5));
        (void)a.takes<mqtt::ConnAck>();
    }
    auto& w = s.client("w").sends(connect(Version::v5).will(will(s.topic("w"), "x", highest)));
    CHECK(w.takes<mqtt::ConnAck>().reason == ReasonCode::success);
}

TEST_CASE("connack: without a limit no maximum QoS is told", "[v5.0][MQTT-3.2.2-9]") {
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK_FALSE(a.takes<mqtt::ConnAck>().maximum_qos);
    a.sends(publish(s.topic("t"), "x", qos2, 3)).gets(pubrec(3));
}

TEST_CASE("connack: a server without retained messages says so and takes none",
          "[own][v5.0][MQTT-3.2.2-13][MQTT-3.2.2-14]") {
    Conversation s{with("mqtt.retain_available = false")};
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK(a.takes<mqtt::ConnAck>().retain_available == false);
    a.sends(publish(s.topic("t"), "x", qos1, 2)).gets(puback(2));
    a.sends(publish(s.topic("t"), "x").retain()).is_cut(ReasonCode::retain_not_supported);
    auto value = will(s.topic("w"), "x");
    value.retain = true;
    a.sends(connect(Version::v5).will(value)).is_refused(ReasonCode::retain_not_supported);
    value.retain = false;
    a.sends(connect(Version::v5).will(value)).gets(connack());
}

TEST_CASE("connack: the maximum packet size is told and judged by the fixed header",
          "[own][v5.0][MQTT-3.2.2-15]") {
    constexpr std::size_t kMaximum = 200;
    Conversation s{with(fmt::format("limits.packet_size_max = {}", kMaximum))};
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK(a.takes<mqtt::ConnAck>().maximum_packet_size == kMaximum);
    auto const empty =
        a.encoded(publish(s.topic("t"), std::string(128, 'x'), qos1, 2)).size() - 128;
    auto of_size = [&](std::size_t size) {
        auto bytes = a.encoded(publish(s.topic("t"), std::string(size - empty, 'x'), qos1, 2));
        REQUIRE(bytes.size() == size);
        return bytes;
    };
    a.sends_bytes(of_size(kMaximum)).gets(puback(2));
    a.sends_bytes(of_size(kMaximum + 1)).is_cut(ReasonCode::packet_too_large);
    // The header alone is enough to know.
    s.connected("b", Version::v5).sends_hex("32 FF FF FF 7F").is_cut(ReasonCode::packet_too_large);
    s.client("c").speaks(Version::v5).sends_hex("10 FF FF FF 7F").is_turned_away();
}

TEST_CASE("connack: aliases up to the topic alias maximum it tells are taken, none above",
          "[v5.0][MQTT-3.2.2-17][MQTT-3.3.2-9][MQTT-3.3.2-12]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto& a = s.client("a").sends(connect(Version::v5));
    auto maximum = a.takes<mqtt::ConnAck>().topic_alias_maximum.value_or(0);
    if (is_own_broker()) REQUIRE(maximum == 64);
    for (std::uint16_t alias = 1; alias <= maximum && alias <= 100; ++alias) {
        auto name = s.topic(fmt::format("t{}", alias));
        a.sends(publish(name, "set", qos1, alias).alias(alias)).gets(puback(alias));
        b.receives(publish(name, "set", qos1));
    }
    for (std::uint16_t alias = 1; alias <= maximum && alias <= 100; ++alias) {
        a.sends(publish("", "used", qos1, alias).alias(alias)).gets(puback(alias));
        b.receives(publish(s.topic(fmt::format("t{}", alias)), "used", qos1));
    }
    if (maximum > 0) {  // a mapping may change
        a.sends(publish(s.topic("other"), "set").alias(1)).sends(publish("", "used").alias(1));
        b.receives(publish(s.topic("other"), "set")).receives(publish(s.topic("other"), "used"));
    }
    if (maximum == 0xFFFF) return;
    auto above = static_cast<std::uint16_t>(maximum + 1);
    a.sends(publish(s.topic("t"), "x").alias(above)).is_cut(ReasonCode::topic_alias_invalid);
}

TEST_CASE("connack: without a topic alias maximum no alias is taken",
          "[own][v5.0][MQTT-3.2.2-18]") {
    Conversation s{with("limits.topic_alias_max = 0")};
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK(a.takes<mqtt::ConnAck>().topic_alias_maximum.value_or(0) == 0);
    a.sends(publish(s.topic("t"), "x").alias(1)).is_cut(ReasonCode::topic_alias_invalid);
}

TEST_CASE("connack: nothing in it breaks the client's maximum packet size",
          "[v5.0][MQTT-3.2.2-19][MQTT-3.2.2-20]") {
    // Peer refuses a larger packet; a bare CONNACK has five bytes.
    auto size = GENERATE(range(5U, 40U));
    Conversation s;
    auto& a = s.client("a");
    a.sends(connect(Version::v5).maximum_packet_size(size).with([](auto& packet) {
        packet.authentication_method = "nope";
        packet.request_problem_information = true;
    }));
    auto refused = a.takes<mqtt::ConnAck>();
    CHECK(mqtt::is_error(refused.reason));
    if (size < 10) {  // there is no room for either
        CHECK_FALSE(refused.reason_string);
        CHECK(refused.user_properties.empty());
    }
    a.closes();
}

TEST_CASE("connack: response information comes to those who ask", "[v5.0][MQTT-3.1.2-28]") {
    Conversation s;
    auto asked = GENERATE(std::optional<bool>{}, false, true);
    auto& a = s.client("a").sends(connect(Version::v5).with([&](auto& packet) {
        packet.request_response_information = asked;
    }));
    auto information = a.takes<mqtt::ConnAck>().response_information;
    if (!asked.value_or(false)) CHECK_FALSE(information);
    if (asked.value_or(false) && is_own_broker()) CHECK(information == "r/" + a.id() + "/");
}

TEST_CASE("connack: a refusal has a reason of its table and ends the connection",
          "[v5.0][MQTT-3.2.2-7][MQTT-3.2.2-8][MQTT-4.13.2-1]") {
    // Peer refuses any other reason.
    Conversation s;
    auto& a = s.client("a");
    a.sends(connect(Version::v5).id("").with([](auto& packet) {
        packet.authentication_method = "nope";
    }));
    a.is_refused(ReasonCode::bad_authentication_method);
    a.sends(connect(Version::v5).will(will("a/#", "x"))).is_refused(ReasonCode::topic_name_invalid);
    a.sends_hex("10 ( s'MQTT' 05 02 0000 ( 21 0000 ) s'x' )");
    a.is_refused(ReasonCode::protocol_error);
}

TEST_CASE("connack: no refusal of 3.1.1 has a code above 5", "[v3.1.1][MQTT-3.2.2-6]") {
    // Wildcards in the will topic are refused for a reason that 3.1.1 has no code for.
    Conversation s;
    auto& a = s.client("a");
    a.sends(connect(Version::v3_1_1).will(will("a/#", "x"))).closes();
    a.sends(connect(Version::v3_1_1).will(will("", "x"))).closes();
}

TEST_CASE("connack: only one comes on a connection", "[v5.0][MQTT-3.2.0-2]") {
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends_together(connect(Version::v5), connect(Version::v5));
    a.is_cut(ReasonCode::protocol_error);
}
