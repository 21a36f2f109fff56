// Receive maximum, both ways (3.3.4, 4.9), and the client's maximum packet size (3.1.2.11.4).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

void publish_many(Peer& a, std::string const& topic, int count, mqtt::Qos qos) {
    for (int i = 1; i <= count; ++i) {
        a.sends(publish(topic, std::to_string(i), qos, 3));
        if (qos == qos1) a.gets(puback(3));
        if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
    }
}

}  // namespace

TEST_CASE("flow: the server keeps no more open than the client's receive maximum",
          "[v5.0][MQTT-3.3.4-9][MQTT-4.9.0-1][MQTT-4.9.0-2]") {
    Conversation s;
    auto& b = s.client("b").sends(connect(Version::v5).receive_maximum(2)).gets(connack());
    auto const t = s.topic("t");
    b.sends(subscribe(1, t, qos2)).gets(suback(1));
    auto& a = s.connected("a", Version::v5);
    publish_many(a, t, 4, qos1);
    publish_many(a, t, 4, qos2);
    auto first = b.holds(publish(t, "1", qos1));
    auto second = b.holds(publish(t, "2", qos1));
    b.gets_nothing_of(a);
    b.sends(puback(first));
    auto third = b.holds(publish(t, "3", qos1));
    b.gets_nothing();
    b.sends(puback(second));
    auto fourth = b.holds(publish(t, "4", qos1));
    b.sends(puback(third)).sends(puback(fourth));
    auto fifth = b.holds(publish(t, "1", qos2));
    auto sixth = b.holds(publish(t, "2", qos2));
    // PUBREC below 0x80 frees nothing; PUBCOMP does, and PUBREC from 0x80 up.
    b.sends(pubrec(fifth)).gets(pubrel(fifth)).gets_nothing();
    b.sends(pubcomp(fifth));
    auto seventh = b.holds(publish(t, "3", qos2));
    b.gets_nothing();
    b.sends(pubrec(sixth, ReasonCode::quota_exceeded));
    (void)b.holds(publish(t, "4", qos2));
    b.gets_nothing_of(a).sends(pubrec(seventh)).gets(pubrel(seventh)).gets_nothing();
}

TEST_CASE("flow: an acknowledgement of nothing does not raise the quota",
          "[own][v5.0][MQTT-4.9.0-2]") {
    Conversation s{Setup{}};
    auto& b = s.client("b").sends(connect(Version::v5).receive_maximum(3)).gets(connack());
    auto const t = s.topic("t");
    b.sends(subscribe(1, t, qos2)).gets(suback(1));
    for (std::uint16_t id = 900; id < 905; ++id) b.sends(puback(id)).sends(pubcomp(id));
    auto& a = s.connected("a", Version::v5);
    publish_many(a, t, 10, qos1);
    for (int i = 1; i <= 3; ++i) (void)b.holds(publish(t, std::to_string(i), qos1));
    b.gets_nothing_of(a);
}

TEST_CASE("flow: the quota is new on each connection", "[v5.0][MQTT-4.9.0-1][MQTT-3.3.4-9]") {
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.client("b").sends(connect(Version::v5).resume().receive_maximum(1));
    b.gets(connack()).sends(subscribe(1, t, qos1)).gets(suback(1));
    auto& a = s.connected("a", Version::v5);
    publish_many(a, t, 5, qos1);
    auto first = b.holds(publish(t, "1", qos1));
    b.gets_nothing_of(a).drops();
    b.sends(connect(Version::v5).resume().receive_maximum(3)).gets(connack().session_present());
    b.gets(publish(t, "1", qos1, first).dup());
    (void)b.holds(publish(t, "2", qos1));
    (void)b.holds(publish(t, "3", qos1));
    b.gets_nothing_of(a);
}

TEST_CASE("flow: a full window holds back nothing else", "[v5.0][MQTT-3.3.4-10][MQTT-4.9.0-3]") {
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.client("b").sends(connect(Version::v5).receive_maximum(1)).gets(connack());
    b.sends(subscribe(1, t, qos2)).gets(suback(1));
    auto& a = s.connected("a", Version::v5);
    publish_many(a, t, 3, qos2);
    auto id = b.holds(publish(t, "1", qos2));
    b.gets_nothing();
    b.sends(subscribe(2, s.topic("other"), qos2)).gets(suback(2));
    b.sends(unsubscribe(3, {s.topic("other")})).gets(unsuback(3));
    b.sends(publish(s.topic("x"), "x", qos1, 4)).gets(puback(4));
    b.sends(publish(s.topic("x"), "x", qos2, 5)).gets(pubrec(5)).sends(pubrel(5)).gets(pubcomp(5));
    a.sends(publish(t, "QoS 0"));
    b.gets(publish(t, "QoS 0"));  // is not counted
    b.sends(pubrec(id)).gets(pubrel(id)).gets_nothing();
}

TEST_CASE("flow: the server takes as many as its receive maximum says and no more",
          "[own][v5.0][MQTT-3.3.4-7][MQTT-4.13.1-1]") {
    constexpr std::uint16_t kMaximum = 5;
    Conversation s{Setup{.more = "limits.receive_maximum = 5"}};
    auto& b = s.watcher("b", Version::v5, qos0);
    auto& a = s.client("a").sends(connect(Version::v5));
    CHECK(a.takes<mqtt::ConnAck>().receive_maximum == kMaximum);
    for (std::uint16_t id = 1; id <= kMaximum; ++id) {
        a.sends(publish(s.topic("t"), "x", qos2, id)).gets(pubrec(id));
        b.receives(publish(s.topic("t"), "x"));
    }
    // A repeat is not one more, QoS 0 is none, a finished one makes room.
    a.sends(publish(s.topic("t"), "x", qos2, 1).dup()).gets(pubrec(1));
    a.sends(publish(s.topic("t"), "y"));
    b.receives(publish(s.topic("t"), "y"));
    a.sends(pubrel(1)).gets(pubcomp(1)).sends(publish(s.topic("t"), "x", qos2, 1)).gets(pubrec(1));
    b.receives(publish(s.topic("t"), "x"));
    a.sends(publish(s.topic("t"), "too many", qos2, 77));
    a.is_cut(ReasonCode::receive_maximum_exceeded);
    b.gets_nothing_of(a);
}

TEST_CASE("flow: no packet is larger than the client's maximum packet size",
          "[v5.0][MQTT-3.1.2-24][MQTT-3.1.2-25]") {
    // Peer refuses a larger one.
    constexpr std::uint32_t kMaximum = 64;
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.client("b");
    b.sends(connect(Version::v5).resume().receive_maximum(1).maximum_packet_size(kMaximum));
    b.gets(connack()).sends(subscribe(1, t, qos1)).gets(suback(1));
    auto& a = s.connected("a", Version::v5);
    auto empty = a.encoded(publish(t, "", qos1)).size();
    auto payload_for = [&](std::size_t size) { return std::string(size - empty, 'x'); };
    auto sends_all = [&] {
        for (auto size : {kMaximum - 1, kMaximum, kMaximum + 1, 10 * kMaximum}) {
            a.sends(publish(t, payload_for(size), qos1, 3)).gets(puback(3));
        }
        a.sends(publish(t, "small", qos1, 3)).gets(puback(3));
    };
    auto receives_all = [&] {
        b.receives(publish(t, payload_for(kMaximum - 1), qos1));
        CHECK(b.last_frame().size() == kMaximum - 1);
        b.receives(publish(t, payload_for(kMaximum), qos1));
        CHECK(b.last_frame().size() == kMaximum);
        b.receives(publish(t, "small", qos1)).gets_nothing();
    };
    sends_all();
    receives_all();
    b.leaves();
    sends_all();
    b.sends(connect(Version::v5).resume().maximum_packet_size(kMaximum));
    b.gets(connack().session_present());
    receives_all();
    // What was too large was done with: it does not come to a client that would take it.
    b.leaves().sends(connect(Version::v5).resume()).gets(connack().session_present());
    b.gets_nothing_of(a);
    // Retained ones too.
    a.sends(publish(t, std::string(200, 'x'), qos1, 3).retain()).gets(puback(3));
    b.receives(publish(t, std::string(200, 'x'), qos1));
    auto& c = s.client("c").sends(connect(Version::v5).maximum_packet_size(kMaximum));
    c.gets(connack()).sends(subscribe(1, t, qos1)).gets(suback(1)).gets_nothing();
}

TEST_CASE("flow: no answer breaks a small maximum packet size with what explains it",
          "[v5.0][MQTT-3.6.2-2][MQTT-3.6.2-3][MQTT-3.7.2-2][MQTT-3.7.2-3][MQTT-3.9.2-1]"
          "[MQTT-3.9.2-2][MQTT-3.11.2-1][MQTT-3.11.2-2][MQTT-3.14.2-3][MQTT-3.14.2-4]"
          "[MQTT-3.4.2-2][MQTT-3.4.2-3][MQTT-3.5.2-2][MQTT-3.5.2-3][MQTT-3.1.2-24]") {
    // Peer refuses what is larger than was asked for, and what does not fit stays away.
    auto size = GENERATE(20U, 24U, 30U, 40U);
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5).maximum_packet_size(size));
    auto answer = a.takes_or_ends();
    if (!answer || mqtt::is_error(std::get<mqtt::ConnAck>(*answer).reason)) {
        CHECK_FALSE(is_own_broker());  // whose CONNACK fits
        return;
    }
    auto const unknown = ReasonCode::packet_identifier_not_found;
    auto has_none = [&](auto const& packet) {
        CHECK_FALSE(packet.reason_string.has_value());
        CHECK(packet.user_properties.empty());
    };
    a.sends(pubrel(7)).gets(pubcomp(7, unknown));
    if (is_own_broker()) a.sends(pubrec(8)).gets(pubrel(8, unknown));
    a.sends(publish(s.topic("q"), "", qos2, 9)).gets(pubrec(9));
    a.sends(subscribe(9, "in use"));
    has_none(a.takes<mqtt::SubAck>());
    a.sends(unsubscribe(10, {"never"})).gets(unsuback(10, {ReasonCode{0x11}}));
    a.sends(publish("$SYS/x", "x", qos1, 11));
    if (is_own_broker()) a.gets(puback(11, ReasonCode::not_authorized));
    a.sends_hex("C0 80 00").is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("flow: explanations come to those alone who want them", "[v5.0][MQTT-3.1.2-29]") {
    // Peer refuses an explanation in any packet that may not have one.
    auto wants = GENERATE(false, true);
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5).with([&](auto& packet) {
        packet.request_problem_information = wants;
    }));
    a.gets(connack()).sends(subscribe(1, s.topic("#"), qos0)).gets(suback(1));
    a.sends(pubrel(7)).gets(pubcomp(7, ReasonCode::packet_identifier_not_found));
    if (is_own_broker()) {
        a.sends(publish("$SYSX/" + s.topic("q"), "x", qos2, 9)).gets(pubrec(9));
        a.sends(subscribe(9, "x")).gets(suback(9, {ReasonCode::packet_identifier_in_use}));
    }
    a.sends(unsubscribe(10, {"never"})).gets(unsuback(10, {ReasonCode{0x11}}));
    if (is_own_broker()) {
        a.sends(pubrec(8)).gets(pubrel(8, ReasonCode::packet_identifier_not_found));
        a.sends(publish("$SYS/x", "x", qos1, 11)).gets(puback(11, ReasonCode::not_authorized));
        a.sends(publish("$SYS/x", "x", qos2, 12)).gets(pubrec(12, ReasonCode::not_authorized));
    }
    // The user properties of a message are not an explanation.
    mqtt::MessageProperties properties;
    properties.user_properties = {{"a", "b"}};
    a.sends(publish(s.topic("t"), "x").properties(properties));
    a.gets(publish(s.topic("t"), "x").properties(properties));
}

TEST_CASE("flow: topic aliases to a client stay within its maximum",
          "[v5.0][MQTT-3.1.2-26][MQTT-3.1.2-27][MQTT-3.3.2-7][MQTT-3.3.2-8][MQTT-3.3.2-11]") {
    // Peer refuses an alias above the maximum, 0, or one that was not set on this connection.
    auto maximum = GENERATE(std::optional<std::uint16_t>{}, std::uint16_t{0}, std::uint16_t{1},
                            std::uint16_t{3});
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    auto& b = s.client("b");
    for (int connection = 0; connection < 2; ++connection) {
        b.sends(connect(Version::v5).resume().with([&](auto& packet) {
            packet.topic_alias_maximum = maximum;
        }));
        (void)b.takes<mqtt::ConnAck>();
        if (connection == 0) b.sends(subscribe(1, s.topic("#"), qos1)).gets(suback(1));
        std::map<std::uint16_t, std::string> names;
        bool used = false;
        for (int i = 0; i < 40; ++i) {
            auto const topic = s.topic(fmt::format("t{}", i % 10));
            a.sends(publish(topic, std::to_string(i), qos1, 3)).gets(puback(3));
            auto came = b.takes<mqtt::Publish>();
            b.sends(puback(came.id.value));
            if (came.topic_alias && !came.topic.empty()) names[*came.topic_alias] = came.topic;
            used |= came.topic.empty();
            CHECK((came.topic.empty() ? names[came.topic_alias.value()] : came.topic) == topic);
            CHECK(as_text(came.payload) == std::to_string(i));
        }
        CHECK(names.size() <= maximum.value_or(0));
        if (is_own_broker()) CHECK(used == (maximum.value_or(0) > 0));
        b.leaves();
    }
}

TEST_CASE("flow: aliases of a client end with its connection, and 0 is none",
          "[v5.0][MQTT-3.3.2-7][MQTT-3.3.2-8]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v5, qos0);
    auto& a = s.resuming("a", Version::v5);
    a.sends(publish(s.topic("t"), "set").alias(1)).sends(publish("", "used").alias(1));
    b.gets(publish(s.topic("t"), "set")).gets(publish(s.topic("t"), "used"));
    a.leaves().sends(connect(Version::v5).resume()).gets(connack().session_present());
    a.sends(publish("", "lost").alias(1)).is_cut(ReasonCode::protocol_error);
    a.sends(connect(Version::v5).resume()).gets(connack().session_present());
    a.sends_hex(fmt::format("30 ( s'{}' ( 23 0000 ) 'x' )", s.topic("t")));
    a.is_cut(ReasonCode::topic_alias_invalid);
    b.gets_nothing_of(a);
}
