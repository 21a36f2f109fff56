// PUBLISH from clients: acknowledgements, duplicates, limits, aliases (3.3, 4.3).
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/payloads.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// "a" who publishes, and "watch" subscribed to everything at QoS 2.
struct Watched : Script {
    explicit Watched(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        watch().sends(connect(v)).gets(connack());
        watch().sends(subscribe(1, "#", qos2)).gets(suback(1));
        a().sends(connect(v).resume()).gets(connack());
    }
    ScriptLink& a() { return link("a"); }
    ScriptLink& watch() { return link("watch"); }
    void expect_end(ScriptLink& client, ReasonCode reason) {
        if (version == Version::v5) client.gets(disconnect(reason));
        client.closes();
    }
    Version version;
};

using Payloads = std::vector<std::string>;

}  // namespace

TEST_CASE("publish: answered by its QoS, with its id",
          "[v3.1.1][MQTT-3.3.4-1][MQTT-2.3.1-6][MQTT-2.3.1-5][v5.0][MQTT-3.3.4-1][MQTT-2.2.1-5]"
          "[MQTT-4.3.2-4][MQTT-4.3.3-8][MQTT-4.3.3-11]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version};
    s.a().sends(publish("t", "0")).gets_nothing();
    s.a().sends(publish("t", "1", qos1, 0x1234)).gets(puback(0x1234));
    CHECK(s.a().last_frame() == bytes_of("40 02 1234"));
    s.a().sends(publish("t", "2", qos2, 0xFFFF)).gets(pubrec(0xFFFF));
    CHECK(s.a().last_frame() == bytes_of("50 02 FFFF"));
    s.a().sends(pubrel(0xFFFF)).gets(pubcomp(0xFFFF)).gets_nothing();
    CHECK(s.a().last_frame() == bytes_of("70 02 FFFF"));
    CHECK(payloads(s.watch().takes_all<mqtt::Publish>()) == Payloads{"0", "1", "2"});
}

TEST_CASE("publish: an id is new again once PUBACK was sent, whatever DUP says",
          "[v3.1.1][MQTT-4.3.2-2][v5.0][MQTT-4.3.2-5][gotcha-28]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version};
    s.a().sends(publish("t", "one", qos1, 5)).gets(puback(5));
    s.a().sends(publish("t", "two", qos1, 5).dup()).gets(puback(5));
    CHECK(payloads(s.watch().takes_all<mqtt::Publish>()) == Payloads{"one", "two"});
}

TEST_CASE("publish: a QoS 2 id is delivered once until it is released",
          "[v3.1.1][MQTT-4.3.3-2][MQTT-4.1.0-1][v5.0][MQTT-4.3.3-10][MQTT-4.3.3-12]"
          "[MQTT-4.1.0-1][gotcha-27][gotcha-28]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version};
    s.a().sends(publish("t", "one", qos2, 5)).gets(pubrec(5));
    // By its id, not by its DUP flag or payload.
    s.a().sends(publish("t", "other", qos2, 5)).gets(pubrec(5));
    s.a().sends(publish("t", "one", qos2, 5).dup()).gets(pubrec(5)).drops();
    s.a().sends(connect(version).resume()).gets(connack().session_present());
    s.a().sends(publish("t", "one", qos2, 5).dup()).gets(pubrec(5));
    CHECK(payloads(s.watch().takes_all<mqtt::Publish>()) == Payloads{"one"});
    s.a().sends(pubrel(5)).gets(pubcomp(5, ReasonCode::success));
    s.a().sends(publish("t", "two", qos2, 5)).gets(pubrec(5));
    s.a().sends(pubrel(5)).gets(pubcomp(5));
    CHECK(payloads(s.watch().takes_all<mqtt::Publish>()) == Payloads{"two"});
}

TEST_CASE("publish: a QoS 2 id is forgotten with the session",
          "[v3.1.1][MQTT-3.1.2-6][v5.0][MQTT-3.1.2-4][gotcha-27][gotcha-28]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version};
    s.a().sends(publish("t", "one", qos2, 5)).gets(pubrec(5)).drops();
    s.a().sends(connect(version)).gets(connack());
    s.a().sends(publish("t", "two", qos2, 5).dup()).gets(pubrec(5));
    CHECK(payloads(s.watch().takes_all<mqtt::Publish>()) == Payloads{"one", "two"});
}

TEST_CASE("publish: PUBREL of an unknown id is answered",
          "[v5.0][MQTT-4.3.3-11][MQTT-3.7.2-1]"
          "[v3.1.1][MQTT-4.3.3-2][gotcha-29]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version};
    auto reason =
        version == Version::v5 ? ReasonCode::packet_identifier_not_found : ReasonCode::success;
    s.a().sends(pubrel(9)).gets(pubcomp(9, reason));
    s.a().sends(publish("t", "x", qos2, 5)).gets(pubrec(5));
    s.a().sends(pubrel(5)).gets(pubcomp(5, ReasonCode::success));
    s.a().sends(pubrel(5)).gets(pubcomp(5, reason)).gets_nothing();
}

TEST_CASE("publish: the exchange goes on after the message expired", "[v5.0][MQTT-4.3.3-13]") {
    Watched s{Version::v5};
    s.a().sends(publish("t", "x", qos2, 5).expiry(1)).gets(pubrec(5));
    s.pass(3s);
    s.a().sends(publish("t", "x", qos2, 5).expiry(1).dup()).gets(pubrec(5));
    s.a().sends(pubrel(5)).gets(pubcomp(5, ReasonCode::success));
}

TEST_CASE("publish: MQTT 5 learns whether anybody got it") {
    Script s;
    s.link("a").sends(connect(Version::v5)).gets(connack());
    auto expect = [&](ReasonCode reason) {
        s.link("a").sends(publish("t", "x", qos1, 1)).gets(puback(1, reason));
        s.link("a").sends(publish("t", "x", qos2, 2)).gets(pubrec(2, reason));
        s.link("a").sends(pubrel(2)).gets(pubcomp(2, ReasonCode::success));
    };
    expect(ReasonCode::no_matching_subscribers);
    CHECK(s.count([](auto const& c) { return c.no_subscriber.read(); }) == 2);
    s.link("b").sends(connect(Version::v5).resume()).gets(connack());
    s.link("b").sends(subscribe(1, "t", qos0)).gets(suback(1));
    expect(ReasonCode::success);
    s.link("b").drops();  // away, but subscribed
    expect(ReasonCode::success);
    s.link("b").sends(connect(Version::v5)).gets(connack());
    expect(ReasonCode::no_matching_subscribers);
    s.link("a").sends(subscribe(1, "t", qos0).no_local()).gets(suback(1));
    expect(ReasonCode::no_matching_subscribers);
    // A 3.1.1 publisher is told nothing.
    s.link("c").sends(connect(Version::v3_1_1)).gets(connack());
    s.link("c").sends(publish("nobody", "x", qos1, 1)).gets(puback(1));
    CHECK(s.link("c").last_frame() == bytes_of("40 02 0001"));
}

TEST_CASE("receive maximum: as many open publishes as announced, one more is too many",
          "[v5.0][MQTT-3.3.4-7][gotcha-36]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version, {.link = {.receive_maximum = 3}}};
    for (std::uint16_t id = 1; id <= 3; ++id)
        s.a().sends(publish("t", "x", qos2, id)).gets(pubrec(id));
    // A repetition of an open one is not one more, and QoS 0 is not counted.
    s.a().sends(publish("t", "x", qos2, 2).dup()).gets(pubrec(2));
    s.a().sends(publish("t", "x"));
    s.a().sends(pubrel(2)).gets(pubcomp(2));
    for (int i = 0; i < 10; ++i) s.a().sends(publish("t", "x", qos1, 9)).gets(puback(9));
    s.a().sends(publish("t", "x", qos2, 4)).gets(pubrec(4)).gets_nothing();
    auto one_more = GENERATE(qos1, qos2);
    s.a().sends(publish("t", "too many", one_more, 5));
    s.expect_end(s.a(), ReasonCode::receive_maximum_exceeded);
    for (auto const& text : payloads(s.watch().takes_all<mqtt::Publish>())) CHECK(text == "x");
}

TEST_CASE("receive maximum: ids of a former connection count when they are sent again",
          "[v5.0][MQTT-3.3.4-7][gotcha-36]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version, {.link = {.receive_maximum = 3}}};
    for (std::uint16_t id = 1; id <= 3; ++id)
        s.a().sends(publish("t", "x", qos2, id)).gets(pubrec(id));
    s.a().drops().sends(connect(version).resume()).gets(connack().session_present());
    // 1 to 3 are open still, yet the new connection has sent none of them.
    s.a().sends(publish("t", "x", qos2, 4)).gets(pubrec(4));
    s.a().sends(publish("t", "x", qos2, 5)).gets(pubrec(5));
    s.a().sends(publish("t", "x", qos2, 1).dup()).gets(pubrec(1));
    // Released without being sent again: gives nothing back, as it took nothing.
    s.a().sends(pubrel(2)).gets(pubcomp(2, ReasonCode::success));
    SECTION("a new id is one too many") {
        s.a().sends(publish("t", "x", qos2, 6));
        s.expect_end(s.a(), ReasonCode::receive_maximum_exceeded);
    }
    SECTION("so is an old one") {
        s.a().sends(publish("t", "x", qos2, 3).dup());
        s.expect_end(s.a(), ReasonCode::receive_maximum_exceeded);
    }
    SECTION("one of those counted makes room") {
        s.a().sends(pubrel(1)).gets(pubcomp(1));
        s.a().sends(publish("t", "x", qos2, 3).dup()).gets(pubrec(3)).gets_nothing();
    }
    CHECK(s.watch().takes_all<mqtt::Publish>().size() == 5);  // each id once
}

TEST_CASE("publish: topics below $SYS are refused, never delivered, never retained",
          "[v5.0][MQTT-4.3.3-9][v3.1.1][MQTT-3.3.5-2][gotcha-45]") {
    auto version = GENERATE(values(kBoth));
    std::string topic = GENERATE("$SYS", "$SYS/broker/clients");
    bool v5 = version == Version::v5;
    auto reason = v5 ? ReasonCode::not_authorized : ReasonCode::success;
    Watched s{version};
    s.watch().sends(subscribe(2, "$SYS/#", qos2)).gets(suback(2));
    s.a().sends(publish(topic, "x").retain()).gets_nothing();
    s.a().sends(publish(topic, "x", qos1, 4).retain()).gets(puback(4, reason));
    s.a().sends(publish(topic, "x", qos2, 5).retain()).gets(pubrec(5, reason));
    if (!v5) s.a().sends(pubrel(5)).gets(pubcomp(5));
    // The id is new for another message.
    s.a().sends(publish("t", "allowed", qos2, 5)).gets(pubrec(5, ReasonCode::success));
    s.a().sends(pubrel(5)).gets(pubcomp(5, ReasonCode::success));
    s.watch().gets(publish("t", "allowed", qos2, 1)).gets_nothing();
    CHECK(s.retained().count() == 0);
    // Close relatives are ordinary topics.
    s.a().sends(publish("$SYSTEM/x", "x", qos1, 6)).gets(puback(6));
    s.a().sends(publish("$sys", "x", qos1, 6)).gets(puback(6));
}

TEST_CASE("publish: what was not offered ends the connection",
          "[v5.0][MQTT-3.2.2-11][MQTT-3.2.2-14][gotcha-18]") {
    auto version = GENERATE(values(kBoth));
    Watched s{version, {.link = {.maximum_qos = qos1, .retain_available = false}}};
    s.a().sends(publish("t", "fine", qos1, 1)).gets(puback(1));
    SECTION("QoS") {
        s.a().sends(publish("t", "x", qos2, 1));
        s.expect_end(s.a(), ReasonCode::qos_not_supported);
    }
    SECTION("RETAIN") {
        s.a().sends(publish("t", "x", qos1, 1).retain());
        s.expect_end(s.a(), ReasonCode::retain_not_supported);
    }
    s.watch().gets(publish("t", "fine", qos1, 1)).gets_nothing();
}

TEST_CASE("publish: a lowered maximum QoS does not refuse subscriptions",
          "[v5.0][MQTT-3.2.2-10][gotcha-18]") {
    Script s{{.link = {.maximum_qos = qos0}}};
    s.link("a").sends(connect(Version::v5)).gets(connack());
    s.link("a").sends(subscribe(1, "a", qos0).also("b", qos1).also("c", qos2));
    s.link("a").gets(suback(
        1, {ReasonCode::granted_qos_0, ReasonCode::granted_qos_1, ReasonCode::granted_qos_2}));
}

TEST_CASE("publish: malformed ones end the connection, and nobody gets them",
          "[v3.1.1][MQTT-3.3.1-4][MQTT-3.3.1-2][MQTT-3.3.2-2][MQTT-4.7.3-1][MQTT-2.3.1-1]"
          "[MQTT-4.8.0-1][v5.0][MQTT-3.3.1-4][MQTT-3.3.1-2][MQTT-3.3.2-2][MQTT-2.2.1-3]"
          "[MQTT-4.13.1-1]") {
    auto version = GENERATE(values(kBoth));
    bool v5 = version == Version::v5;
    struct Bad {
        char const* first;
        char const* topic;
        char const* id;
    };
    auto bad = GENERATE(Bad{"36", "s'a'", "0001"},                    // QoS 3
                        Bad{"38", "s'a'", ""},                        // DUP with QoS 0
                        Bad{"30", "s'a/+'", ""},                      // wildcards
                        Bad{"30", "s'#'", ""}, Bad{"30", "s''", ""},  // empty, no alias
                        Bad{"30", "s'a' C328", ""},                   // not that long
                        Bad{"30", "0002 C328", ""},                   // not UTF-8
                        Bad{"30", "0003 610062", ""},                 // U+0000
                        Bad{"32", "s'a'", "0000"},                    // packet id 0
                        Bad{"34", "s'a'", "0000"});
    if (std::string{bad.topic} == "s'a' C328") return;
    Watched s{version};
    s.a().sends_bytes(bytes_of(std::string{bad.first} + "(" + bad.topic + bad.id +
                               (v5 ? "00" : "") + "'payload')"));
    if (v5) CHECK(mqtt::is_error(s.a().takes<mqtt::Disconnect>().reason));
    s.a().closes();
    s.watch().gets_nothing();
    CHECK(s.count([](auto const& c) { return c.protocol_errors.read(); }) == 1);
}

TEST_CASE("publish: a subscription identifier from a client is an error", "[v5.0][MQTT-3.3.4-6]") {
    Watched s{Version::v5};
    s.a().sends_bytes(bytes_of("30 ( s'a' ( 0B 01 ) 'x' )"));
    s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
    s.watch().gets_nothing();
}

TEST_CASE("aliases in: set, used, set anew, and never passed on",
          "[v5.0][MQTT-3.3.2-12][MQTT-3.2.2-17][gotcha-38]") {
    auto qos = GENERATE(qos0, qos1);
    Watched s{Version::v5, {.link = {.topic_alias_max = 3}}};
    auto sends = [&](std::string topic, std::string_view payload, std::uint16_t alias) {
        s.a().sends(publish(std::move(topic), payload, qos, 1).alias(alias));
        if (qos == qos1) s.a().gets(puback(1));
    };
    std::uint16_t id = 0;
    auto expect = [&](std::string topic, std::string_view payload) {
        s.watch().gets(publish(std::move(topic), payload, qos, ++id)).gets_nothing();
    };
    sends("first", "a", 1);
    expect("first", "a");
    sends("last", "b", 3);
    expect("last", "b");
    sends("", "c", 1);
    expect("first", "c");
    sends("", "d", 3);
    expect("last", "d");
    sends("changed", "e", 1);
    expect("changed", "e");
    sends("", "f", 1);
    expect("changed", "f");
}

TEST_CASE("aliases in: the alias stands for the topic of what is retained",
          "[v5.0][MQTT-3.3.2-12][gotcha-38]") {
    Watched s{Version::v5};
    s.a().sends(publish("r", "one").retain().alias(1));
    s.a().sends(publish("", "two").retain().alias(1));
    s.link("late").sends(connect(Version::v5)).gets(connack());
    s.link("late").sends(subscribe(1, "r")).gets(suback(1)).gets(publish("r", "two").retain());
}

TEST_CASE("aliases in: a refused publish sets its alias all the same", "[gotcha-38]") {
    Watched s{Version::v5};
    s.a().sends(publish("$SYS/x", "x", qos1, 1).alias(2));
    s.a().gets(puback(1, ReasonCode::not_authorized));
    s.a().sends(publish("", "x", qos1, 1).alias(2)).gets(puback(1, ReasonCode::not_authorized));
}

TEST_CASE(
    "aliases in: 0, too high, not set and after a reconnect",
    "[v5.0][MQTT-3.3.2-7][MQTT-3.3.2-8][MQTT-3.3.2-9][MQTT-3.2.2-17][MQTT-4.7.3-1][gotcha-38]") {
    Watched s{Version::v5, {.link = {.topic_alias_max = 3}}};
    SECTION("0") {
        s.a().sends_bytes(bytes_of("30 ( s'a' ( 23 0000 ) 'x' )"));
        s.a().gets(disconnect(ReasonCode::topic_alias_invalid)).closes();
    }
    SECTION("too high") {
        s.a().sends(publish("t", "x").alias(4));
        s.a().gets(disconnect(ReasonCode::topic_alias_invalid)).closes();
    }
    SECTION("not set") {
        s.a().sends(publish("", "x").alias(2));
        s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
    }
    SECTION("empty topic, no alias") {
        s.a().sends(publish("", "x"));
        s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
    }
    SECTION("set on an earlier connection") {
        s.a().sends(publish("t", "x").alias(2)).drops();
        s.watch().gets(publish("t", "x"));
        s.a().sends(connect(Version::v5).resume()).gets(connack().session_present());
        s.a().sends(publish("", "x", qos2, 1).alias(2).dup());
        s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
    }
    s.watch().gets_nothing();
}

TEST_CASE("aliases in: none if none were announced", "[v5.0][MQTT-3.2.2-18]") {
    Watched s{Version::v5, {.link = {.topic_alias_max = 0}}};
    s.a().sends(publish("t", "x").alias(1));
    s.a().gets(disconnect(ReasonCode::topic_alias_invalid)).closes();
    s.watch().gets_nothing();
}

TEST_CASE("aliases out: as many as the client allows, anew on each connection",
          "[v5.0][MQTT-3.1.2-26][MQTT-3.1.2-27][MQTT-3.3.2-7][MQTT-3.3.2-11][gotcha-39]") {
    auto maximum = GENERATE(std::optional<std::uint16_t>{}, std::uint16_t{0}, std::uint16_t{1},
                            std::uint16_t{2}, std::uint16_t{100});
    Script s{{.link = {.topic_alias_out_max = 3}}};
    auto again = connect(Version::v5).resume();
    if (maximum) again.topic_alias_maximum(*maximum);
    int allowed = std::min<int>(maximum.value_or(0), 3);
    s.link("sub").sends(again).gets(connack());
    s.link("sub").sends(subscribe(1, "#", qos1)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int connection = 0; connection < 2; ++connection) {
        for (int round = 0; round < 3; ++round) {
            for (int topic = 1; topic <= 5; ++topic) {
                auto name = "topic/" + std::to_string(topic);
                s.link("pub").sends(publish(name, "x", qos1, 1)).gets(puback(1));
                auto packet = s.link("sub").takes<mqtt::Publish>();
                s.link("sub").sends(puback(packet.id.value));
                if (topic > allowed) {
                    CHECK(packet.topic == name);
                    CHECK_FALSE(packet.topic_alias);
                } else {
                    CHECK(packet.topic == (round == 0 ? name : ""));
                    CHECK(packet.topic_alias == topic);
                }
            }
        }
        s.link("sub").drops().sends(again).gets(connack().session_present());
    }
}

TEST_CASE("properties: go unchanged and in order to live, queued, retained and remote receivers",
          "[v5.0][MQTT-3.3.2-4][MQTT-3.3.2-15][MQTT-3.3.2-16][MQTT-3.3.2-17][MQTT-3.3.2-18]"
          "[MQTT-3.3.2-20][MQTT-1.5.4-3][gotcha-44]") {
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    bool with_alias = GENERATE(false, true);
    bool with_expiry = GENERATE(false, true);
    Script s{{.shards = shards}};
    auto away = s.id_on_shard(0, "away");
    auto remote = s.id_on_shard(static_cast<std::uint8_t>(shards - 1), "remote");
    auto pub = s.id_on_shard(0, "pub");
    mqtt::MessageProperties properties;
    properties.payload_format_indicator = GENERATE(std::uint8_t{0}, std::uint8_t{1});
    properties.content_type = "\xEF\xBB\xBFtype";
    properties.response_topic = "re/ply";
    properties.correlation_data = to_buffer(std::string_view{"\0\xFF\0", 3});
    properties.user_properties = {{"b", "1"}, {"a", "2"}, {"b", "1"}, {"", ""}};
    if (with_expiry) properties.message_expiry_interval = 100;
    auto expected = [&](std::uint16_t id) {
        return publish("t", "x", qos1, id).properties(properties);
    };
    for (auto const& name : {away, remote}) {
        s.link(name).sends(connect(Version::v5).resume()).gets(connack());
        s.link(name).sends(subscribe(1, "t", qos1)).gets(suback(1));
    }
    s.link(away).drops();
    s.link("old").sends(connect(Version::v3_1_1)).gets(connack());
    s.link("old").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link(pub).sends(connect(Version::v5)).gets(connack());
    auto packet = expected(1).retain();
    if (with_alias) packet.alias(1);
    s.link(pub).sends(packet).gets(puback(1));
    s.link(remote).gets(expected(1));
    s.link("old").gets(publish("t", "x", qos1, 1));
    s.link(away).sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.link(away).gets(expected(1));
    s.link("late").sends(connect(Version::v5)).gets(connack());
    s.link("late").sends(subscribe(1, "t", qos1)).gets(suback(1)).gets(expected(1).retain());
}

TEST_CASE("properties: none come from a 3.1.1 publisher", "[v5.0][MQTT-2.2.2-1][gotcha-44]") {
    Script s;
    s.link("sub").sends(connect(Version::v5)).gets(connack());
    s.link("sub").sends(subscribe(1, "t")).gets(suback(1));
    s.link("pub").sends(connect(Version::v3_1_1)).gets(connack());
    s.link("pub").sends(publish("t", "x"));
    s.link("sub").gets(publish("t", "x"));
    CHECK(s.link("sub").last_frame() == bytes_of("30 ( s't' 00 'x' )"));
}
