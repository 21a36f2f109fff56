// CONNECT and CONNACK: what is accepted, refused and announced (3.1, 3.2).
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("connect: session present tells whether a session was there",
          "[v3.1.1][MQTT-3.2.2-1][MQTT-3.2.2-2][MQTT-3.2.2-3][MQTT-3.1.2-6][MQTT-3.1.4-3]"
          "[MQTT-3.1.4-4][v5.0][MQTT-3.2.2-2][MQTT-3.2.2-3][MQTT-3.1.2-4][MQTT-3.1.2-5]"
          "[MQTT-3.1.2-6][MQTT-3.1.4-4][MQTT-3.1.4-5][gotcha-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s;
    auto& a = s.link("a");
    a.sends(connect(version).resume()).gets(connack()).sends(disconnect()).closes();
    // Existence counts, without a single subscription.
    a.sends(connect(version).resume()).gets(connack().session_present());
    a.sends(subscribe(1, "t", qos1)).gets(suback(1)).sends(disconnect()).closes();
    s.link("b").sends(connect(version)).gets(connack());
    s.link("b").sends(publish("t", "queued", qos1, 1)).gets(puback(1));

    a.sends(connect(version)).gets(connack()).gets_nothing();
    s.link("b").sends(publish("t", "lost", qos1, 1)).gets(puback(1));
    a.gets_nothing().sends(disconnect()).closes();
    a.sends(connect(version).resume()).gets(connack()).gets_nothing();
}

TEST_CASE("connect: in MQTT 5 the expiry interval decides how long a session lives",
          "[v5.0][MQTT-3.1.2-23][MQTT-4.1.0-2][gotcha-2]") {
    bool clean = GENERATE(false, true);
    auto expiry = GENERATE(std::optional<std::uint32_t>{}, 0U, 60U);
    Script s;
    s.link("a")
        .sends(connect(Version::v5).with([&](mqtt::Connect& packet) {
            packet.clean_start = clean;
            packet.session_expiry_interval = expiry;
        }))
        .gets(connack())
        .sends(disconnect())
        .closes();
    s.link("a").sends(connect(Version::v5).clean(false));
    s.link("a").gets(connack().session_present(expiry.value_or(0) > 0));
}

TEST_CASE("connect: client ids are compared byte by byte",
          "[v3.1.1][MQTT-3.1.3-2][v5.0][MQTT-3.1.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s;
    for (std::string id : {"bike", "Bike"}) {
        s.link(id).sends(connect(version).resume()).gets(connack());
        s.link(id).sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    }
    s.link("p").sends(connect(version)).gets(connack());
    s.link("p").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    for (std::string id : {"bike", "Bike"}) {
        s.link(id).sends(connect(version).resume()).gets(connack().session_present());
        s.link(id).gets(publish("t", "x", qos1, 1)).gets_nothing();
    }
}

TEST_CASE("connect: ids of 1 to 23 letters and digits are taken",
          "[v3.1.1][MQTT-3.1.3-5][v5.0][MQTT-3.1.3-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto id = GENERATE("a", "0", "abcdefghijklmnopqrstuvw", "xyzABCDEFGHIJKLMNOPQRST",
                       "UVWXYZ0123456789");
    Script s;
    s.link(id).sends(connect(version)).gets(connack()).gets_nothing();
}

TEST_CASE("connect: an empty client id gets a unique one",
          "[v5.0][MQTT-3.1.3-6][MQTT-3.1.3-7][MQTT-3.2.2-16][gotcha-11]") {
    Script s{{.shards = 2}};
    bool clean = GENERATE(false, true);
    std::set<std::string> ids;
    for (std::string name : {"one", "two", "three"}) {
        s.link(name).on_shard(name == "two" ? 1 : 0);
        s.link(name).sends(connect(Version::v5).id("").clean(clean).expiry(60));
        auto connack = s.link(name).takes<mqtt::ConnAck>();
        REQUIRE(connack.assigned_client_identifier);
        CHECK(ids.insert(*connack.assigned_client_identifier).second);
    }
    for (std::string name : {"one", "two", "three"}) s.link(name).gets_nothing();
    for (auto const& id : ids) {
        s.link(id).sends(connect(Version::v5).clean(false)).gets(connack().session_present());
    }
}

TEST_CASE("connect: an id that was given is not told again", "[gotcha-11]") {
    Script s;
    s.link("a").sends(connect(Version::v5));
    CHECK_FALSE(s.link("a").takes<mqtt::ConnAck>().assigned_client_identifier);
}

TEST_CASE("connect: an empty client id in 3.1.1 needs clean session",
          "[v3.1.1][MQTT-3.1.3-6][MQTT-3.1.3-8][MQTT-3.2.2-5][gotcha-11]") {
    Script s;
    s.link("one").sends(connect(Version::v3_1_1).id("")).gets(connack());
    s.link("two").sends(connect(Version::v3_1_1).id("")).gets(connack()).gets_nothing();
    s.link("one").gets_nothing();
    s.link("three").sends(connect(Version::v3_1_1).id("").clean(false));
    s.link("three").gets(connack(ReasonCode::client_identifier_not_valid));
    CHECK(s.link("three").last_frame() == bytes_of("20 02 00 02"));
    s.link("three").closes();
}

TEST_CASE("connect: a client id longer than allowed is refused",
          "[v3.1.1][MQTT-3.1.3-9][v5.0][MQTT-3.1.3-8][MQTT-3.2.2-7]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.link = {.client_id_size_max = 30}}};
    s.link("good").sends(connect(version).id(std::string(30, 'x'))).gets(connack());
    s.link("bad").sends(connect(version).id(std::string(31, 'x')));
    s.link("bad").gets(connack(ReasonCode::client_identifier_not_valid)).closes();
}

TEST_CASE("connect: a refused CONNECT touches nothing of the session of that id",
          "[v5.0][MQTT-3.1.4-2][MQTT-3.2.2-6][MQTT-3.2.2-7][MQTT-4.12.0-1][MQTT-3.14.0-1]") {
    Script s;
    s.link("online").sends(connect(Version::v5).id("x").resume()).gets(connack());
    s.link("online").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link("other").sends(connect(Version::v5).id("x").with([](mqtt::Connect& packet) {
        packet.authentication_method = "nope";
        packet.clean_start = true;
    }));
    s.link("other").gets(connack(ReasonCode::bad_authentication_method)).closes();
    s.link("online").gets_nothing();
    s.link("p").sends(connect(Version::v5)).gets(connack());
    s.link("p").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link("online").gets(publish("t", "x", qos1, 1)).drops();
    s.link("online").sends(connect(Version::v5).id("x").clean(false));
    s.link("online").gets(connack().session_present());
}

TEST_CASE("connect: what comes behind a refused CONNECT is not processed",
          "[v3.1.1][MQTT-3.1.4-5][v5.0][MQTT-3.1.4-6][gotcha-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.link = {.client_id_size_max = 5}}};
    s.link("b").sends(connect(version)).gets(connack());
    s.link("b").sends(subscribe(1, "#")).gets(suback(1));
    auto& a = s.link("a");
    a.sends_together(connect(version).id("too long"), publish("t", "x").retain());
    a.gets(connack(ReasonCode::client_identifier_not_valid)).closes();
    s.link("b").gets_nothing();
    CHECK(s.retained().count() == 0);
}

TEST_CASE("connect: what comes behind CONNECT is processed after CONNACK",
          "[v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1][gotcha-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{3});
    Script s{{.shards = shards}};
    s.link("a").sends_together(connect(version), subscribe(5, "t", qos1),
                               publish("t", "x", qos1, 6), pingreq());
    s.link("a").gets(connack()).gets(suback(5));
    s.link("a").gets(publish("t", "x", qos1, 1)).gets(puback(6)).gets(pingresp()).gets_nothing();
}

TEST_CASE("connect: an unsupported protocol level is told in its own form",
          "[v3.1.1][MQTT-3.1.2-2][v5.0][MQTT-3.1.2-2]") {
    Script s;
    auto& a = s.link("a");
    a.sends_bytes(bytes_of("10 ( s'MQTT' 02 02 0000 s'a' )"));
    a.gets(connack(ReasonCode::unsupported_protocol_version));
    CHECK(a.last_frame() == bytes_of("20 02 00 01"));
    a.closes();
    a.sends_bytes(bytes_of("10 ( s'MQTT' 06 02 0000 00 s'a' )"));
    a.gets(connack(ReasonCode::unsupported_protocol_version)).closes();
}

TEST_CASE("connect: an unknown protocol name is closed without CONNACK",
          "[v3.1.1][MQTT-3.1.2-1][v5.0][MQTT-3.1.2-1]") {
    Script s;
    s.link("a").sends_bytes(bytes_of("10 ( s'MQTX' 04 02 0000 s'a' )")).closes();
    s.link("a").sends_bytes(bytes_of("10 ( s'MQTX' 05 02 0000 00 s'a' )")).closes();
}

TEST_CASE("connect: a malformed CONNECT of 3.1.1 closes without a byte",
          "[v3.1.1][MQTT-3.1.4-1][MQTT-3.2.2-6][MQTT-3.1.2-3][MQTT-3.1.3-3][MQTT-3.1.2-14]") {
    auto bad = GENERATE(as<std::string>{},
                        "10 ( s'MQTT' 04 03 0000 s'a' )",            // reserved flag
                        "10 ( s'MQTT' 04 02 0000 s'a' 00 )",         // one byte left over
                        "10 ( s'MQTT' 04 02 0000 )",                 // no client id
                        "10 ( s'MQTT' 04 02 0000 0002 'a' )",        // client id cut
                        "10 ( s'MQTT' 04 1E 0000 s'a' s'w' s'' )");  // will QoS 3
    Script s;
    s.link("a").sends_bytes(bytes_of(bad)).closes();
    CHECK(s.core().sessions().size() == 0);
}

TEST_CASE("connect: a malformed CONNECT of MQTT 5 is told why and closed",
          "[v5.0][MQTT-3.1.4-1][MQTT-3.2.2-7][MQTT-3.2.2-8][MQTT-3.1.2-3]") {
    struct Bad {
        char const* text;
        ReasonCode reason;
    };
    auto bad = GENERATE(
        Bad{"10 ( s'MQTT' 05 03 0000 00 s'a' )", ReasonCode::malformed_packet},
        Bad{"10 ( s'MQTT' 05 02 0000 00 s'a' 00 )", ReasonCode::malformed_packet},
        Bad{"10 ( s'MQTT' 05 02 0000 (21 0000) s'a' )", ReasonCode::protocol_error},
        Bad{"10 ( s'MQTT' 05 02 0000 (27 00000000) s'a' )", ReasonCode::protocol_error},
        Bad{"10 ( s'MQTT' 05 02 0000 (21 0001 21 0001) s'a' )", ReasonCode::protocol_error},
        Bad{"10 ( s'MQTT' 05 02 0000 (01 01) s'a' )", ReasonCode::malformed_packet});
    Script s;
    s.link("a").sends_bytes(bytes_of(bad.text)).gets(connack(bad.reason)).closes();
    CHECK(s.core().sessions().size() == 0);
}

TEST_CASE("connect: the first packet must be CONNECT, else the end without a packet",
          "[v3.1.1][MQTT-3.1.0-1][v5.0][MQTT-3.1.0-1][MQTT-3.14.0-1][gotcha-16]") {
    auto first = GENERATE(as<std::string>{}, "C0 00", "82 ( 0001 s'a' 00 )", "30 ( s'a' 'x' )",
                          "E0 00", "F0 00", "20 02 00 00", "00 00", "F0 02 18 00");
    Script s;
    s.link("a").sends_bytes(bytes_of(first)).closes();
}

TEST_CASE("connect: a second CONNECT ends the connection and the will goes out",
          "[v3.1.1][MQTT-3.1.0-2][MQTT-3.1.2-8][v5.0][MQTT-3.1.0-2][MQTT-3.2.0-2][gotcha-16]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::string second_id = GENERATE("a", "b");
    Script s;
    s.link("watch").sends(connect(version)).gets(connack());
    s.link("watch").sends(subscribe(1, "w")).gets(suback(1));
    s.link("a").sends(connect(version).will(will("w", "gone"))).gets(connack());
    s.link("a").sends(connect(version).id(second_id));
    if (version == Version::v5) s.link("a").gets(disconnect(ReasonCode::protocol_error));
    s.link("a").closes();
    s.link("watch").gets(publish("w", "gone"));
}

TEST_CASE("connect: no CONNECT in time ends the connection without a packet", "[gotcha-16]") {
    Script s{{.link = {.connect_timeout = 5s}}};
    s.link("silent").opens();
    s.link("half").opens().sends_bytes(bytes_of("10 10 00 04 'MQ'"));
    s.link("good").opens();
    s.pass(4'900ms);
    s.link("silent").gets_nothing();
    s.link("good").sends(connect(Version::v5)).gets(connack());
    s.pass(200ms);
    s.link("silent").closes();
    s.link("half").closes();
    s.pass(1h);
    s.link("good").gets_nothing();
}

TEST_CASE("connect: a connection that moves to its home shard is not timed out by the first one") {
    Script s{{.link = {.connect_timeout = 5s}, .shards = 2}};
    auto id = s.id_on_shard(1, "bike");
    s.link(id).on_shard(0).sends(connect(Version::v5)).gets(connack());
    s.pass(1min);
    s.link(id).gets_nothing();
}

TEST_CASE("connect: CONNACK announces what differs from the defaults of MQTT 5",
          "[v5.0][MQTT-3.2.2-9][MQTT-3.1.2-28][MQTT-4.12.0-6][gotcha-18]") {
    SECTION("everything is offered") {
        Script s{{.link = {.packet_size_max = 5000, .receive_maximum = 7, .topic_alias_max = 3}}};
        s.link("a").sends(connect(Version::v5).expiry(60));
        auto connack = s.link("a").takes<mqtt::ConnAck>();
        mqtt::ConnAck expected;
        expected.maximum_packet_size = 5000;
        expected.receive_maximum = 7;
        expected.topic_alias_maximum = 3;
        CHECK(connack == expected);
    }
    SECTION("nothing is offered") {
        Script s{{.link = {.session_expiry_max = 100,
                           .topic_alias_max = 0,
                           .maximum_qos = qos1,
                           .retain_available = false,
                           .wildcard_subscription_available = false,
                           .subscription_identifiers_available = false,
                           .shared_subscription_available = false}}};
        s.link("a").sends(connect(Version::v5).expiry(101));
        auto connack = s.link("a").takes<mqtt::ConnAck>();
        CHECK(connack.session_expiry_interval == 100);
        CHECK_FALSE(connack.topic_alias_maximum);
        CHECK(connack.maximum_qos == qos1);
        CHECK(connack.retain_available == false);
        CHECK(connack.wildcard_subscription_available == false);
        CHECK(connack.subscription_identifiers_available == false);
        CHECK(connack.shared_subscription_available == false);
    }
    SECTION("a maximum receive maximum is not announced") {
        Script s{{.link = {.receive_maximum = 65'535}}};
        s.link("a").sends(connect(Version::v5));
        CHECK_FALSE(s.link("a").takes<mqtt::ConnAck>().receive_maximum);
    }
}

TEST_CASE("connect: response information only for who asks", "[v5.0][MQTT-3.1.2-28][gotcha-43]") {
    auto asked = GENERATE(std::optional<bool>{}, false, true);
    Script s{{.link = {.response_information = "re/%c/x/%c"}}};
    s.link("a").sends(connect(Version::v5).id("b%c").with([&](mqtt::Connect& packet) {
        packet.request_response_information = asked;
    }));
    auto connack = s.link("a").takes<mqtt::ConnAck>();
    if (asked.value_or(false)) {
        CHECK(connack.response_information == "re/b%c/x/b%c");
    } else {
        CHECK_FALSE(connack.response_information);
    }
}

TEST_CASE("connect: no response information if none is configured") {
    Script s{{.link = {.response_information = ""}}};
    s.link("a").sends(connect(Version::v5).with([](mqtt::Connect& packet) {
        packet.request_response_information = true;
    }));
    CHECK_FALSE(s.link("a").takes<mqtt::ConnAck>().response_information);
}

TEST_CASE("connect: CONNACK keeps the client's maximum packet size",
          "[v5.0][MQTT-3.2.2-19][MQTT-3.1.2-24]") {
    Script s{{.link = {.client_id_size_max = 5}}};
    s.link("a").sends(connect(Version::v5).id("too long"));
    auto refused = s.link("a").takes<mqtt::ConnAck>();
    auto whole = static_cast<std::uint32_t>(s.link("a").last_frame().size());
    CHECK(refused.reason_string);
    // The reason string is left out where it does not fit.
    s.link("a").sends(connect(Version::v5).id("too long").maximum_packet_size(whole - 1));
    refused = s.link("a").takes<mqtt::ConnAck>();
    CHECK(refused.reason == ReasonCode::client_identifier_not_valid);
    CHECK_FALSE(refused.reason_string);
    s.link("a").closes();
    // Where even the bare one does not fit, nothing is said.
    s.link("a").sends(connect(Version::v5).id("too long").maximum_packet_size(4)).closes();

    s.link("b").sends(connect(Version::v5));
    (void)s.link("b").takes<mqtt::ConnAck>();
    auto bare = static_cast<std::uint32_t>(s.link("b").last_frame().size());
    s.link("b").sends(disconnect()).closes();
    s.link("b").sends(connect(Version::v5).maximum_packet_size(bare)).gets(connack());
    s.link("b").drops();
    s.link("b").sends(connect(Version::v5).maximum_packet_size(bare - 1)).closes();
    CHECK(s.count([](auto const& counters) { return counters.connections.read(); }) == 0);
}

TEST_CASE("connect: a will that is not supported refuses the connection",
          "[v5.0][MQTT-3.2.2-12][MQTT-3.2.2-13][gotcha-8]") {
    Script s{{.link = {.maximum_qos = qos1, .retain_available = false}}};
    s.link("a").sends(connect(Version::v5).will(will("w", "x", qos2)));
    s.link("a").gets(connack(ReasonCode::qos_not_supported)).closes();
    auto retained = will("w", "x", qos1);
    s.link("b").sends(connect(Version::v5).will(retained)).gets(connack());
    retained.retain = true;
    s.link("c").sends(connect(Version::v5).will(retained));
    s.link("c").gets(connack(ReasonCode::retain_not_supported)).closes();
}

TEST_CASE("connect: a will topic with a wildcard or below $SYS is refused",
          "[v3.1.1][MQTT-4.7.1-1][v5.0][MQTT-4.7.0-1][gotcha-8]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::string topic = GENERATE("a/#", "+", "$SYS", "$SYS/x");
    Script s;
    s.link("a").sends(connect(version).will(will(topic, "x")));
    while (s.link("a").waiting() > 0) {
        CHECK(mqtt::is_error(s.link("a").takes<mqtt::ConnAck>().reason));
    }
    s.link("a").closes();
    CHECK(s.core().sessions().size() == 0);
}

TEST_CASE("connect: no more sessions than allowed", "[v3.1.1][MQTT-3.2.2-5][v5.0][MQTT-3.2.2-7]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.settings = {.sessions_max = 2}}};
    s.link("a").sends(connect(version).resume()).gets(connack()).drops();
    s.link("b").sends(connect(version)).gets(connack());
    s.link("c").sends(connect(version));
    s.link("c").gets(connack(version == Version::v5 ? ReasonCode::quota_exceeded
                                                    : ReasonCode::server_unavailable));
    s.link("c").closes();
    // Who has one comes back to it; what ends makes room.
    s.link("a").sends(connect(version).resume()).gets(connack().session_present());
    s.link("b").sends(disconnect()).closes();
    s.link("c").sends(connect(version)).gets(connack());
}

TEST_CASE("connect: MQTT 3.1 is served unless it is switched off") {
    bool on = GENERATE(false, true);
    Script s{{.link = {.mqtt_3_1 = on}}};
    s.link("old").sends(connect(Version::v3_1));
    if (on) {
        s.link("old").gets(connack()).gets_nothing();
    } else {
        s.link("old").gets(connack(ReasonCode::unsupported_protocol_version)).closes();
        CHECK(s.link("old").last_frame() == bytes_of("20 02 00 01"));
    }
    s.link("newer").sends(connect(Version::v3_1_1)).gets(connack());
}

TEST_CASE("connect: a second CONNECT that is bad besides is a protocol error all the same",
          "[v5.0][MQTT-3.1.0-2][gotcha-16]") {
    Script s;
    s.link("a").sends(connect(Version::v5)).gets(connack());
    auto bytes = GENERATE("10 ( 0004 4D515454 02 02 0000 0006 62696B652D37 )",  // level 2
                          "10 ( 0004 4D515454 09 02 0000 00 0001 61 )",         // level 9
                          "10 ( 0004 4D515454 05 03 0000 00 0001 61 )");        // reserved flag
    s.link("a").sends_bytes(bytes_of(bytes));
    CHECK(s.link("a").takes<mqtt::Disconnect>().reason == ReasonCode::protocol_error);
    s.link("a").closes();
}
