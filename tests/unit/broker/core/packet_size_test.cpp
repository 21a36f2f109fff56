// Maximum packet size, both ways (3.1.2.11.4, 3.2.2.3.6).
#include <catch2/catch.hpp>

#include "protocol/codec/encode.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

std::uint32_t size_of(PublishBuilder const& builder) {
    Buffer bytes;
    mqtt::encode(builder.packet(), Version::v5, bytes);
    return static_cast<std::uint32_t>(bytes.size());
}

}  // namespace

TEST_CASE("maximum packet size: a message of just that size arrives, one byte more does not",
          "[v5.0][MQTT-3.1.2-24][MQTT-3.1.2-25][gotcha-41]") {
    // With the subscription identifier that the broker adds.
    auto const fits = publish("t", std::string(100, 'x'), qos1, 1).ids({300});
    auto const too_large = publish("t", std::string(101, 'x'), qos1, 1);
    std::string way = GENERATE("live", "queued", "retained");
    Script s;
    auto again =
        connect(Version::v5).resume().receive_maximum(1).maximum_packet_size(size_of(fits));
    auto& sub = s.link("sub");
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    sub.sends(again).gets(connack());
    if (way != "retained") sub.sends(subscribe(1, "t", qos1).identifier(300)).gets(suback(1));
    if (way == "queued") sub.drops();

    auto small = publish("t", "small", qos1, 1);
    if (way == "retained") {
        s.link("pub").sends(publish("t", std::string(101, 'x'), qos1, 1).retain()).gets(puback(1));
        sub.sends(subscribe(1, "t", qos1).identifier(300)).gets(suback(1)).gets_nothing();
        s.link("pub").sends(publish("t", std::string(100, 'x'), qos1, 1).retain()).gets(puback(1));
        auto first = sub.takes<mqtt::Publish>();
        CHECK(first.payload.size() == 100);
        sub.sends(puback(first.id.value));
        sub.sends(subscribe(2, "t", qos1).identifier(300)).gets(suback(2));
        auto packet = sub.takes<mqtt::Publish>();
        CHECK(packet.retain);
        sub.sends(puback(packet.id.value)).gets_nothing();
    } else {
        s.link("pub").sends(too_large).gets(puback(1));
        s.link("pub").sends(publish("t", std::string(100, 'x'), qos1, 1)).gets(puback(1));
        s.link("pub").sends(small).gets(puback(1));
        if (way == "queued") sub.sends(again).gets(connack().session_present());
        // The one that was too large uses no quota and stops nobody.
        auto first = sub.takes<mqtt::Publish>();
        CHECK(first.payload.size() == 100);
        sub.gets_nothing().sends(puback(first.id.value));
        auto second = sub.takes<mqtt::Publish>();
        CHECK(as_text(second.payload) == "small");
        sub.sends(puback(second.id.value)).gets_nothing();
    }
    CHECK(s.dropped().packet_too_large.read() == 1);
    // Nor does it come later.
    sub.drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    sub.gets_nothing();
}

TEST_CASE("maximum packet size: no message is too large for an alias it could do without",
          "[v5.0][MQTT-3.1.2-24][gotcha-39][gotcha-41]") {
    auto const fits = publish("topic", std::string(100, 'x'));
    Script s;
    auto& sub = s.link("sub");
    sub.sends(connect(Version::v5).topic_alias_maximum(1).maximum_packet_size(size_of(fits)));
    sub.gets(connack()).sends(subscribe(1, "#")).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("topic", std::string(101, 'x')));  // too large, sets no alias
    s.link("pub").sends(fits);                                     // has no room for one
    sub.gets(fits);
    s.link("pub").sends(publish("topic", std::string(97, 'x')));  // just has
    sub.gets(publish("topic", std::string(97, 'x')).alias(1));
    s.link("pub").sends(publish("topic", std::string(102, 'x')));  // the alias saves as much
    sub.gets(publish("", std::string(102, 'x')).alias(1));
    s.link("pub").sends(publish("topic", std::string(103, 'x')));
    sub.gets_nothing();
    CHECK(s.dropped().packet_too_large.read() == 2);
}

TEST_CASE("maximum packet size: QoS 0 too") {
    auto const fits = publish("t", std::string(100, 'x'));
    Script s;
    s.link("sub").sends(connect(Version::v5).maximum_packet_size(size_of(fits))).gets(connack());
    s.link("sub").sends(subscribe(1, "t")).gets(suback(1));
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("pub").sends(fits).sends(publish("t", std::string(101, 'x'))).sends(fits);
    s.link("sub").gets(fits).gets(fits).gets_nothing();
    CHECK(s.dropped().packet_too_large.read() == 1);
}

TEST_CASE("maximum packet size: of one receiver does not concern the others") {
    auto qos = GENERATE(qos0, qos1);
    Script s;
    for (std::string name : {"small", "large"}) {
        auto size = name == "small" ? 60U : 10'000U;
        s.link(name).sends(connect(Version::v5).maximum_packet_size(size)).gets(connack());
        s.link(name).sends(subscribe(1, "t", qos)).gets(suback(1));
    }
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    auto large = publish("t", std::string(100, 'x'), qos, 1);
    s.link("pub").sends(large);
    s.link("large").gets(large);
    s.link("small").gets_nothing();
}

TEST_CASE("maximum packet size: a client that returns with a smaller one",
          "[v5.0][MQTT-3.1.2-24][MQTT-3.1.2-25][gotcha-41]") {
    Script s;
    auto& sub = s.link("sub");
    sub.sends(connect(Version::v5).resume()).gets(connack());
    sub.sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    std::string const large(200, 'x');
    s.link("pub").sends(publish("t", large, qos1, 1)).gets(puback(1));
    s.link("pub").sends(publish("t", "small", qos1, 1)).gets(puback(1));
    s.link("pub").sends(publish("t", large, qos2, 1)).gets(pubrec(1));
    CHECK(sub.takes_all<mqtt::Publish>().size() == 3);
    sub.drops();
    s.link("pub").sends(publish("t", large, qos1, 1)).gets(puback(1));
    s.link("pub").sends(publish("t", "queued", qos1, 1)).gets(puback(1));
    sub.sends(connect(Version::v5).resume().maximum_packet_size(100).receive_maximum(1));
    sub.gets(connack().session_present());
    auto packets = answer_all(sub);
    REQUIRE(packets.size() == 2);
    CHECK(packets[0].dup);
    CHECK(as_text(packets[0].payload) == "small");
    CHECK(as_text(packets[1].payload) == "queued");
    CHECK(s.dropped().packet_too_large.read() == 3);
    CHECK(s.session("sub")->window.empty());
}

TEST_CASE("maximum packet size: reason strings are left out where they do not fit",
          "[v5.0][MQTT-3.4.2-2][MQTT-3.5.2-2][MQTT-3.7.2-2][MQTT-3.14.2-3][MQTT-3.6.2-2]") {
    Script s;
    auto& a = s.link("a");
    // CONNACK takes 16 bytes; what follows is shorter without its reason string.
    std::uint32_t maximum = GENERATE(18U, 1000U);
    bool explains = maximum == 1000;
    a.sends(connect(Version::v5).maximum_packet_size(maximum)).gets(connack());
    a.sends(publish("$SYS/x", "", qos1, 1));
    auto puback = a.takes<mqtt::PubAck>();
    CHECK(puback.reason == ReasonCode::not_authorized);
    CHECK(puback.reason_string.has_value() == explains);
    a.sends(publish("$SYS/x", "", qos2, 1));
    auto pubrec_ack = a.takes<mqtt::PubRec>();
    CHECK(pubrec_ack.reason_string.has_value() == explains);
    a.sends(pubrel(7)).gets(pubcomp(7, ReasonCode::packet_identifier_not_found));
    a.sends(pubrec(7)).gets(pubrel(7, ReasonCode::packet_identifier_not_found));
    a.sends_bytes(bytes_of("C1 00"));
    auto disconnect = a.takes<mqtt::Disconnect>();
    CHECK(disconnect.reason == ReasonCode::malformed_packet);
    CHECK(disconnect.reason_string.has_value() == explains);
    a.closes();
}

TEST_CASE("problem information: not wanted, reason strings come with CONNACK and DISCONNECT only",
          "[v5.0][MQTT-3.1.2-29][gotcha-43]") {
    bool wanted = GENERATE(false, true);
    Script s;
    auto& a = s.link("a");
    auto first = connect(Version::v5);
    if (!wanted) first.no_problem_information();
    a.sends(first).gets(connack());
    a.sends(publish("$SYS/x", "", qos1, 1));
    CHECK(a.takes<mqtt::PubAck>().reason_string.has_value() == wanted);
    a.sends(publish("$SYS/x", "", qos2, 1));
    CHECK(a.takes<mqtt::PubRec>().reason_string.has_value() == wanted);
    a.sends(pubrel(7));
    CHECK_FALSE((a.takes<mqtt::PubComp>().reason_string && !wanted));
    a.sends(publish("x", "", qos2, 1)).gets(pubrec(1));
    a.sends(subscribe(1, "id in use"));
    CHECK_FALSE((a.takes<mqtt::SubAck>().reason_string && !wanted));
    a.sends(unsubscribe(1, {"none"}));
    CHECK_FALSE((a.takes<mqtt::UnsubAck>().reason_string && !wanted));
    // User properties of messages are no problem information.
    a.sends(subscribe(2, "t")).gets(suback(2));
    mqtt::MessageProperties properties;
    properties.user_properties = {{"a", "1"}};
    a.sends(publish("t", "x").properties(properties));
    a.gets(publish("t", "x").properties(properties));
    a.sends_bytes(bytes_of("C1 00"));
    CHECK(a.takes<mqtt::Disconnect>().reason_string);

    auto refused = connect(Version::v5).with([](mqtt::Connect& packet) {
        packet.authentication_method = "nope";
    });
    if (!wanted) refused.no_problem_information();
    s.link("b").sends(refused);
    CHECK(s.link("b").takes<mqtt::ConnAck>().reason_string);
}

TEST_CASE("maximum packet size: an answer that does not fit even bare ends the connection",
          "[v5.0][MQTT-3.1.2-24][MQTT-3.9.2-1][MQTT-3.11.2-1][gotcha-41]") {
    // With a retained message that the subscription would bring, and a session that ends with it.
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("r", "x").retain());
    auto& a = s.link("a");
    a.sends(connect(Version::v5).maximum_packet_size(20)).gets(connack());
    auto packet = subscribe(1, "r");
    for (int i = 0; i < 30; ++i) packet.also("f" + std::to_string(i));
    bool unsubscribes = GENERATE(false, true);
    if (unsubscribes) {
        a.sends(unsubscribe(1, std::vector<std::string>(31, "f")));
    } else {
        a.sends(packet);
    }
    a.gets(disconnect(ReasonCode::packet_too_large)).closes();
    CHECK(s.core().sessions().size() == 1);
    CHECK(s.index().subscription_count() == 0);
}

TEST_CASE("packets in: as large as announced, not one byte more, judged on the fixed header",
          "[v5.0][MQTT-3.2.2-15][gotcha-42]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.link = {.packet_size_max = 200}}};
    auto& a = s.link("a");
    a.sends(connect(version)).gets(connack());
    // 30, two length bytes, topic 1 + 2, property length in MQTT 5.
    std::size_t overhead = 6 + (version == Version::v5 ? 1 : 0);
    a.sends(publish("t", std::string(200 - overhead, 'x'), qos0)).gets_nothing();
    CHECK(s.count([](auto const& c) { return c.publishes_received.read(); }) == 1);
    SECTION("one byte more") {
        a.sends(publish("t", std::string(201 - overhead, 'x'), qos0));
    }
    SECTION("the header alone") {
        a.sends_bytes(bytes_of("30 FF FF FF 7F"));
    }
    if (version == Version::v5) a.gets(disconnect(ReasonCode::packet_too_large));
    a.closes();
    CHECK(s.count([](auto const& c) { return c.publishes_received.read(); }) == 1);
}

TEST_CASE("packets in: a CONNECT that is too large", "[gotcha-42]") {
    Script s{{.link = {.packet_size_max = 200}}};
    s.link("a").sends(connect(Version::v5).id(std::string(300, 'x')));
    // CONNACK may tell 0x95 or be left out; DISCONNECT must not come before CONNACK.
    if (s.link("a").waiting() > 0) s.link("a").gets(connack(ReasonCode::packet_too_large));
    s.link("a").closes();
}

TEST_CASE("packets in: a length of five bytes, type 0 and other nonsense end the connection",
          "[v3.1.1][MQTT-4.8.0-1][MQTT-2.2.2-2][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1]"
          "[v5.0][MQTT-1.5.5-1][MQTT-2.1.3-1][MQTT-4.13.1-1][MQTT-3.6.1-1][MQTT-3.8.1-1]"
          "[MQTT-3.10.1-1][MQTT-4.12.0-7][gotcha-19]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto bad =
        GENERATE(as<std::string>{}, "30 FF FF FF FF 01", "C0 80 00", "00 00", "C1 00", "41 02 0001",
                 "60 02 0001", "80 ( 0001 s'a' 00 )", "A0 ( 0001 s'a' )", "20 02 0000",
                 "90 03 0001 00", "B0 02 0001", "D0 00", "F0 02 18 00", "82 02 0001", "40 02 0000");
    Script s;
    s.link("watch").sends(connect(version)).gets(connack());
    s.link("watch").sends(subscribe(1, "#")).gets(suback(1));
    s.link("a").sends(connect(version)).gets(connack());
    auto bytes = bytes_of(bad);
    auto ping = bytes_of("C0 00");
    bytes.insert(bytes.end(), ping.begin(), ping.end());
    s.link("a").sends_bytes(bytes);
    if (version == Version::v5) CHECK(mqtt::is_error(s.link("a").takes<mqtt::Disconnect>().reason));
    s.link("a").closes();
    s.link("watch").sends(pingreq()).gets(pingresp()).gets_nothing();
}
