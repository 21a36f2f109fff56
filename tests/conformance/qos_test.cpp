// Quality of service (2.3.1 / 2.2.1, 3.4 to 3.7, 4.3, 4.4): packet ids, the exchanges, what is sent
// again and when.
#include <fmt/format.h>

#include <set>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// Publishes and finishes the exchange.
void publish_whole(Peer& a, std::string const& topic, std::string_view payload, mqtt::Qos qos,
                   std::uint16_t id = 1) {
    a.sends(publish(topic, payload, qos, id));
    if (qos == qos1) a.gets(puback(id));
    if (qos == qos2) a.gets(pubrec(id)).sends(pubrel(id)).gets(pubcomp(id));
}

/// A PUBLISH as bytes: the versions differ in the byte for no properties.
std::string publish_text(Version version, std::string_view first, std::string const& topic,
                         std::string_view id, std::string_view payload) {
    return fmt::format("{} ( s'{}' {} {} '{}' )", first, topic, id,
                       version == Version::v5 ? "00" : "", payload);
}

/// A client with a session that subscribed to all of this run at QoS 2.
Peer& subscriber(Conversation& s, Version version) {
    return s.resuming("b", version).sends(subscribe(1, s.topic("#"), qos2)).gets(suback(1));
}

Peer& comes_back(Peer& b, Version version) {
    return b.drops().sends(connect(version).resume()).gets(connack().session_present());
}

}  // namespace

TEST_CASE("qos: packet id 0 ends the connection", "[v3.1.1][MQTT-2.3.1-1][v5.0][MQTT-2.2.1-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool v5 = version == Version::v5;
    Conversation s;
    auto& b = s.watcher("b", version);
    for (auto const& bytes : {std::string{v5 ? "82 ( 0000 00 s'a' 00 )" : "82 ( 0000 s'a' 00 )"},
                              std::string{v5 ? "A2 ( 0000 00 s'a' )" : "A2 ( 0000 s'a' )"},
                              publish_text(version, "32", s.topic("t"), "0000", "x"),
                              publish_text(version, "34", s.topic("t"), "0000", "x")}) {
        CAPTURE(bytes);
        auto& a = s.connected("a", version);
        a.sends_hex(bytes).is_cut(ReasonCode::protocol_error);
    }
    b.gets_nothing_of(s.client("a"));
}

TEST_CASE("qos: QoS 0 has no packet id",
          "[v3.1.1][MQTT-2.3.1-5][MQTT-4.3.1-1][MQTT-3.3.1-2][v5.0][MQTT-2.2.1-2]"
          "[MQTT-4.3.1-1][MQTT-2.2.2-1][MQTT-3.3.1-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("t"), "xyz"));
    b.gets_hex(publish_text(version, "30", s.topic("t"), "", "xyz"));
    a.sends(publish(s.topic("r"), "kept").retain()).gets_nothing();
    b.gets(publish(s.topic("r"), "kept"));
    auto& late = s.connected("late", version).sends(subscribe(1, s.topic("r"))).gets(suback(1));
    late.gets_hex(publish_text(version, "31", s.topic("r"), "", "kept"));
}

TEST_CASE("qos: every answer repeats the id of its packet, by its bytes",
          "[v3.1.1][MQTT-2.3.1-6][MQTT-2.3.1-7][MQTT-3.3.4-1][MQTT-4.3.2-2][MQTT-4.3.3-2]"
          "[MQTT-3.8.4-2][MQTT-3.10.4-4]") {
    Conversation s;
    auto& a = s.connected("a", Version::v3_1_1);
    auto const t = s.topic("t");
    a.sends_hex("32 ( s'" + t + "' 1234 'x' )").gets_hex("40 02 1234");
    a.sends_hex("34 ( s'" + t + "' 1235 'x' )").gets_hex("50 02 1235");
    a.sends_hex("62 02 1235").gets_hex("70 02 1235");
    a.sends_hex("82 ( 0007 s'" + t + "' 01 )").gets_hex("90 03 0007 01");
    a.sends_hex("A2 ( 0008 s'" + t + "' )").gets_hex("B0 02 0008");
    a.sends_hex("30 ( s'" + t + "' 'x' )").gets_nothing();
}

TEST_CASE("qos: every answer of MQTT 5 repeats the id of its packet",
          "[v5.0][MQTT-2.2.1-5][MQTT-2.2.1-6][MQTT-3.3.4-1][MQTT-4.3.2-4][MQTT-4.3.3-8]"
          "[MQTT-4.3.3-11][MQTT-2.2.2-1][MQTT-3.8.4-2][MQTT-3.10.4-5]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v5, qos0);
    auto& a = s.connected("a", Version::v5);
    auto const t = s.topic("t");
    a.sends_hex("32 ( s'" + t + "' 1234 00 'x' )").gets(puback(0x1234));
    if (is_own_broker()) CHECK(a.last_frame() == bytes_of("40 02 1234"));
    a.sends_hex("34 ( s'" + t + "' 1235 00 'x' )").gets(pubrec(0x1235));
    if (is_own_broker()) CHECK(a.last_frame() == bytes_of("50 02 1235"));
    a.sends_hex("62 02 1235").gets(pubcomp(0x1235, ReasonCode::success));
    if (is_own_broker()) CHECK(a.last_frame() == bytes_of("70 02 1235"));
    b.gets(publish(t, "x")).gets(publish(t, "x"));
    a.sends_hex("82 ( 0007 00 s'" + t + "' 01 )").gets_hex("90 04 0007 00 01");
    a.sends_hex("A2 ( 0008 00 s'" + t + "' )").gets_hex("B0 04 0008 00 00");
    a.sends_hex("30 ( s'" + t + "' 00 'x' )").gets_nothing();
}

TEST_CASE("qos: no two open deliveries have one packet id",
          "[v3.1.1][MQTT-2.3.1-4][v5.0][MQTT-2.2.1-4][MQTT-4.3.2-1][MQTT-4.3.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.connected("a", version);
    std::map<std::uint16_t, mqtt::Publish> open;
    for (int i = 0; i < 16; ++i) {  // fewer than any usual broker leaves open
        auto qos = i % 2 == 0 ? qos1 : qos2;
        auto message = publish(s.topic("t"), std::to_string(i), qos);
        publish_whole(a, s.topic("t"), std::to_string(i), qos);
        auto id = b.holds(message);
        CHECK(id != 0);
        CHECK(open.emplace(id, message.value()).second);
    }
    // They keep their ids on the next connection.
    comes_back(b, version);
    for (auto left = open.size(); left > 0; --left) {
        auto again = b.takes<mqtt::Publish>();
        REQUIRE(open.contains(again.id.value));
        CHECK(open[again.id.value].payload == again.payload);
        CHECK(again.dup);
    }
    // An id is free again behind its last acknowledgement, and only then.
    auto settled = open.begin()->first;
    bool was_qos1 = open.begin()->second.qos == qos1;
    b.sends_bytes(was_qos1 ? b.encoded(puback(settled)) : b.encoded(pubrec(settled)));
    if (!was_qos1) b.gets(pubrel(settled)).sends(pubcomp(settled));
    open.erase(settled);
    for (int i = 0; i < 3; ++i) {
        publish_whole(a, s.topic("t"), "more", qos1);
        CHECK_FALSE(open.contains(b.holds(publish(s.topic("t"), "more", qos1))));
    }
}

TEST_CASE("qos: the id of a delivery that is open is passed over when the ids begin anew",
          "[slow][v3.1.1][MQTT-2.3.1-4][v5.0][MQTT-2.2.1-4][MQTT-4.3.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.connected("a", version);
    publish_whole(a, s.topic("t"), "open", qos2);
    auto const open = b.holds(publish(s.topic("t"), "open", qos2));
    constexpr int kMessages = 66'000;  // more than there are ids
    constexpr int kAtOnce = 15;        // fewer than any usual broker leaves open
    for (int sent = 0; sent < kMessages; sent += kAtOnce) {
        Buffer bytes;
        for (std::uint16_t i = 1; i <= kAtOnce; ++i) {
            auto one = a.encoded(publish(s.topic("t"), "x", qos1, i));
            bytes.insert(bytes.end(), one.begin(), one.end());
        }
        a.sends_bytes(bytes);
        for (std::uint16_t i = 1; i <= kAtOnce; ++i) a.gets(puback(i));
        Buffer answers;
        for (int i = 0; i < kAtOnce; ++i) {
            auto id = b.takes<mqtt::Publish>().id.value;  // Peer refuses one that is open
            if (id == open) FAIL("the id came twice");
            auto answer = b.encoded(puback(id));
            answers.insert(answers.end(), answer.begin(), answer.end());
        }
        b.sends_bytes(answers);
    }
    b.sends(pubrec(open)).gets(pubrel(open));
}

TEST_CASE("qos: a PUBLISH comes first without DUP, as its QoS says, whatever DUP came in",
          "[v3.1.1][MQTT-3.3.1-3][MQTT-4.3.2-1][MQTT-4.3.3-1][v5.0][MQTT-3.3.1-3]"
          "[MQTT-4.3.2-2][MQTT-4.3.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto dup = GENERATE(false, true);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("t"), "x", qos1, 5).dup(dup)).gets(puback(5));
    (void)b.holds(publish(s.topic("t"), "x", qos1));
    CHECK(b.last_frame()[0] == std::byte{0x32});
    a.sends(publish(s.topic("t"), "x", qos2, 6).dup(dup)).gets(pubrec(6)).sends(pubrel(6));
    a.gets(pubcomp(6));
    (void)b.holds(publish(s.topic("t"), "x", qos2));
    CHECK(b.last_frame()[0] == std::byte{0x34});
}

TEST_CASE("qos: an unacknowledged PUBLISH comes again with DUP and its id, an acknowledged one not",
          "[v3.1.1][MQTT-3.3.1-1][MQTT-4.3.2-1][MQTT-4.4.0-1][v5.0][MQTT-3.3.1-1]"
          "[MQTT-4.3.2-3][MQTT-4.3.3-3][MQTT-4.4.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos1, qos2);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.connected("a", version);
    publish_whole(a, s.topic("t"), "open", qos);
    auto id = b.holds(publish(s.topic("t"), "open", qos));
    publish_whole(a, s.topic("t"), "done", qos);
    b.receives(publish(s.topic("t"), "done", qos)).gets_nothing();
    comes_back(b, version);
    b.gets(publish(s.topic("t"), "open", qos, id).dup()).gets_nothing();
    comes_back(b, version);
    b.receives(publish(s.topic("t"), "open", qos).dup()).gets_nothing();
    comes_back(b, version).gets_nothing();
}

TEST_CASE("qos: the sender of QoS 2 sends PUBREL until PUBCOMP, never the PUBLISH again",
          "[v3.1.1][MQTT-4.3.3-1][MQTT-4.4.0-1][MQTT-3.6.1-1][MQTT-2.2.2-1][v5.0]"
          "[MQTT-4.3.3-4][MQTT-4.3.3-5][MQTT-4.3.3-6][MQTT-4.4.0-1][MQTT-3.6.1-1]"
          "[MQTT-2.1.3-1][MQTT-2.2.1-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = subscriber(s, version);
    publish_whole(s.connected("a", version), s.topic("t"), "x", qos2);
    auto id = b.holds(publish(s.topic("t"), "x", qos2));
    b.sends(pubrec(id));
    auto const release = fmt::format("62 02 {:04X}", id);
    if (version == Version::v3_1_1 || is_own_broker()) {
        b.gets_hex(release);
    } else {
        b.gets(pubrel(id));
    }
    CHECK(b.last_frame()[0] == std::byte{0x62});
    for (int round = 0; round < 2; ++round) comes_back(b, version).gets(pubrel(id)).gets_nothing();
    b.sends(pubcomp(id)).gets_nothing();
    comes_back(b, version).gets_nothing();
}

TEST_CASE("qos: PUBREC 0x10 is a success, PUBREC from 0x80 up ends the delivery",
          "[v5.0][MQTT-4.3.3-4][MQTT-4.4.0-2]") {
    Conversation s;
    auto& b = subscriber(s, Version::v5);
    auto& a = s.connected("a", Version::v5);
    publish_whole(a, s.topic("t"), "1", qos2);
    auto first = b.holds(publish(s.topic("t"), "1", qos2));
    b.sends(pubrec(first, ReasonCode::no_matching_subscribers)).gets(pubrel(first));
    b.sends(pubcomp(first));
    publish_whole(a, s.topic("t"), "2", qos2);
    auto second = b.holds(publish(s.topic("t"), "2", qos2));
    b.sends(pubrec(second, ReasonCode::unspecified_error)).gets_nothing();
    publish_whole(a, s.topic("t"), "3", qos1);
    auto third = b.holds(publish(s.topic("t"), "3", qos1));
    b.sends(puback(third, ReasonCode::quota_exceeded)).gets_nothing();
    comes_back(b, Version::v5).gets_nothing_of(a);
}

TEST_CASE("qos: behind PUBACK the same id is a new message, whatever DUP says",
          "[v3.1.1][MQTT-4.3.2-2][v5.0][MQTT-4.3.2-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("t"), "x", qos1, 5)).gets(puback(5));
    a.sends(publish(s.topic("t"), "x", qos1, 5).dup()).gets(puback(5));
    b.receives(publish(s.topic("t"), "x", qos1)).receives(publish(s.topic("t"), "x", qos1));
    b.gets_nothing_of(a);
}

TEST_CASE("qos: the receiver of QoS 2 takes an id once until PUBREL, then anew",
          "[v3.1.1][MQTT-4.3.3-2][MQTT-2.3.1-6][v5.0][MQTT-4.3.3-8][MQTT-4.3.3-10]"
          "[MQTT-4.3.3-11][MQTT-4.3.3-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto cuts = GENERATE(false, true);
    Conversation s;
    auto& b = subscriber(s, version);
    auto& a = s.resuming("a", version);
    a.sends(publish(s.topic("t"), "1", qos2, 5)).gets(pubrec(5));
    if (cuts) comes_back(a, version);
    a.sends(publish(s.topic("t"), "1", qos2, 5).dup()).gets(pubrec(5));
    // It is the id that counts, not DUP; a broker may also take this for a violation.
    if (is_own_broker()) a.sends(publish(s.topic("t"), "1", qos2, 5)).gets(pubrec(5));
    a.sends(pubrel(5)).gets(pubcomp(5));
    a.sends(publish(s.topic("t"), "2", qos2, 5)).gets(pubrec(5));
    a.sends(pubrel(5)).gets(pubcomp(5));
    (void)b.holds(publish(s.topic("t"), "1", qos2));
    (void)b.holds(publish(s.topic("t"), "2", qos2));
    b.gets_nothing_of(a);
}

TEST_CASE("qos: an id nobody knows is answered all the same",
          "[v3.1.1][MQTT-4.3.3-2][v5.0][MQTT-4.3.3-11][MQTT-3.7.2-1][MQTT-3.6.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    auto const unknown = ReasonCode::packet_identifier_not_found;
    a.sends(pubrel(77));
    if (version == Version::v3_1_1) {
        a.gets_hex("70 02 004D");
    } else {
        a.gets(pubcomp(77, unknown));
        a.sends(pubrec(78));
        if (is_own_broker()) a.gets(pubrel(78, unknown));
    }
    if (is_own_broker()) a.sends(puback(79)).sends(pubcomp(80)).gets_nothing();
}

TEST_CASE("qos: reasons that are not of their packet end the connection",
          "[v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-3.6.2-1][MQTT-3.7.2-1][MQTT-4.13.1-1]") {
    auto bytes = GENERATE("40 03 0001 01", "40 03 0001 92", "40 03 0001 FF", "50 03 0001 02",
                          "50 03 0001 92", "62 03 0001 10", "62 03 0001 80", "70 03 0001 10",
                          "70 03 0001 87");
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends_hex(bytes).is_cut(ReasonCode::protocol_error);
}

TEST_CASE("qos: acknowledgements of MQTT 5 are taken in each of their forms",
          "[v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-3.6.2-1][MQTT-3.7.2-1]") {
    auto tail = GENERATE("", "00", "00 00", "00 ( 26 s'n' s'v' )", "00 ( 1F s'fine' )");
    Conversation s;
    auto& b = subscriber(s, Version::v5);
    auto& a = s.connected("a", Version::v5);
    auto answer = [&](std::string_view first, std::uint16_t id) {
        return fmt::format("{} ( {:04X} {} )", first, id, tail);
    };
    publish_whole(a, s.topic("t"), "1", qos1);
    b.sends_hex(answer("40", b.holds(publish(s.topic("t"), "1", qos1))));
    publish_whole(a, s.topic("t"), "2", qos2);
    auto id = b.holds(publish(s.topic("t"), "2", qos2));
    b.sends_hex(answer("50", id)).gets(pubrel(id)).sends_hex(answer("70", id)).gets_nothing();
    comes_back(b, Version::v5).gets_nothing();
    a.sends(publish(s.topic("t"), "3", qos2, 9)).gets(pubrec(9));
    a.sends_hex(answer("62", 9)).gets(pubcomp(9, ReasonCode::success));
}

TEST_CASE("qos: SUBSCRIBE with the id of an unfinished PUBLISH", "[v5.0][MQTT-2.2.1-3]") {
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends(publish(s.topic("t"), "x", qos2, 5)).gets(pubrec(5));
    a.sends(subscribe(5, s.topic("t")));
    if (is_own_broker()) a.gets(suback(5, {ReasonCode::packet_identifier_in_use}));
}

TEST_CASE("qos: nothing comes again on the connection it was sent on",
          "[slow][v5.0][MQTT-4.4.0-1]") {
    Conversation s;
    auto& b = subscriber(s, Version::v5);
    auto& a = s.connected("a", Version::v5);
    publish_whole(a, s.topic("t"), "1", qos1);
    auto first = b.holds(publish(s.topic("t"), "1", qos1));
    publish_whole(a, s.topic("t"), "2", qos2);
    auto second = b.holds(publish(s.topic("t"), "2", qos2));
    b.sends(pubrec(second)).gets(pubrel(second));
    // A will that is delayed by 5 seconds comes next.
    auto value = will(s.topic("later"), "x");
    value.will_delay_interval = 5;
    auto& clock = s.client("clock").sends(connect(Version::v5).expiry(60).will(value));
    clock.gets(connack()).drops();
    b.receives(publish(s.topic("later"), "x"));
    comes_back(b, Version::v5);
    b.gets_both(publish(s.topic("t"), "1", qos1, first).dup(), pubrel(second)).gets_nothing();
}
