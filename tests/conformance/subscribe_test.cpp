// SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK (3.8 to 3.11).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// SUBSCRIBE or UNSUBSCRIBE by its first byte and what stands behind its (empty) properties.
std::string request(Version version, std::string_view first, std::string_view payload) {
    return fmt::format("{} ( 0007 {} {} )", first, version == Version::v5 ? "00" : "", payload);
}

void publish_at(Peer& a, std::string const& topic, std::string_view payload, mqtt::Qos qos) {
    a.sends(publish(topic, payload, qos, 3));
    if (qos == qos1) a.gets(puback(3));
    if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
}

}  // namespace

TEST_CASE("subscribe: wrong flags end the connection",
          "[v3.1.1][MQTT-3.8.1-1][MQTT-2.2.2-2][v5.0][MQTT-3.8.1-1][MQTT-2.1.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first = GENERATE("80", "81", "83", "86", "8A");
    Conversation s;
    auto& a = s.connected("a", version);
    a.sends_hex(request(version, first, "s'a' 00")).is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("unsubscribe: wrong flags end the connection",
          "[v3.1.1][MQTT-3.10.1-1][MQTT-2.2.2-2][v5.0][MQTT-3.10.1-1][MQTT-2.1.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first = GENERATE("A0", "A1", "A3", "A6", "AA");
    Conversation s;
    auto& a = s.connected("a", version);
    a.sends_hex(request(version, first, "s'a'")).is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("subscribe: it has at least one filter, and each its options",
          "[v3.1.1][MQTT-3.8.3-3][v5.0][MQTT-3.8.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    s.connected("a", version).sends_hex(request(version, "82", ""));
    s.client("a").is_cut(ReasonCode::protocol_error);
    for (auto* payload : {"s'a'", "s'a' 00 s'b'", "s'a' 00 0002 'b'", "00"}) {
        CAPTURE(payload);
        s.connected("a", version).sends_hex(request(version, "82", payload));
        s.client("a").is_cut(ReasonCode::malformed_packet);
    }
}

TEST_CASE("unsubscribe: it has at least one filter, and whole ones",
          "[v3.1.1][MQTT-3.10.3-2][MQTT-3.10.3-1][v5.0][MQTT-3.10.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    s.connected("a", version).sends_hex(request(version, "A2", ""));
    s.client("a").is_cut(ReasonCode::protocol_error);
    for (auto* payload : {"0002 'b'", "s'a' 00", "s'a' 0005 'four'"}) {
        CAPTURE(payload);
        s.connected("a", version).sends_hex(request(version, "A2", payload));
        s.client("a").is_cut(ReasonCode::malformed_packet);
    }
}

TEST_CASE("subscribe: reserved bits and QoS 3 end the connection, and no filter takes effect",
          "[v3.1.1][MQTT-3.8.3-4][v5.0][MQTT-3.8.3-5]") {
    struct Row {
        std::string_view options;
        ReasonCode reason;
    };
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto malformed = ReasonCode::malformed_packet;
    auto rows = version == Version::v3_1_1
                    ? std::vector<Row>{{"03", malformed}, {"04", malformed}, {"08", malformed},
                                       {"10", malformed}, {"20", malformed}, {"40", malformed},
                                       {"80", malformed}, {"FE", malformed}}
                    : std::vector<Row>{{"40", malformed},
                                       {"80", malformed},
                                       {"C0", malformed},
                                       {"03", ReasonCode::protocol_error},
                                       {"30", ReasonCode::protocol_error}};
    Conversation s;
    auto& a = s.resuming("a", version);
    bool first = true;
    for (auto const& row : rows) {
        CAPTURE(row.options);
        if (!first) a.sends(connect(version).resume()).gets(connack().session_present());
        first = false;
        a.sends_hex(request(
            version, "82",
            fmt::format("s'{}' 01 s'{}' {}", s.topic("good"), s.topic("bad"), row.options)));
        a.is_cut(row.reason);
    }
    auto& p = s.connected("p", version);
    publish_at(p, s.topic("good"), "x", qos1);
    publish_at(p, s.topic("bad"), "x", qos1);
    a.sends(connect(version).resume()).gets(connack().session_present()).gets_nothing_of(p);
}

TEST_CASE("subscribe: one SUBACK answers, with the id and one code for each filter in its order",
          "[v3.1.1][MQTT-3.8.4-1][MQTT-3.8.4-2][MQTT-3.8.4-4][MQTT-3.8.4-5][MQTT-3.9.3-1]"
          "[MQTT-3.9.3-2][v5.0][MQTT-3.8.4-1][MQTT-3.8.4-2][MQTT-3.8.4-5][MQTT-3.8.4-6]"
          "[MQTT-3.9.3-1][MQTT-3.9.3-2][MQTT-2.2.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& p = s.connected("p", version);
    for (auto* name : {"two", "zero", "one"}) {
        p.sends(publish(s.topic(name), "kept", qos2, 4).retain()).gets(pubrec(4));
        p.sends(pubrel(4)).gets(pubcomp(4));
    }
    auto& a = s.connected("a", version);
    a.sends(subscribe(0xFFFF, s.topic("two"), qos2)
                .also(s.topic("zero"), qos0)
                .also(s.topic("one"), qos1));
    // The retained messages may come before it, but there is one SUBACK.
    int answers = 0;
    int kept = 0;
    while (answers < 1 || kept < 3) {
        auto packet = a.takes_any();
        if (std::holds_alternative<mqtt::SubAck>(packet)) {
            CHECK(a.last_frame() == bytes_of(version == Version::v5 ? "90 06 FFFF 00 02 00 01"
                                                                    : "90 05 FFFF 02 00 01"));
            ++answers;
            continue;
        }
        auto& message = std::get<mqtt::Publish>(packet);
        CHECK(message.retain);
        ++kept;
        if (message.qos == qos1) a.sends(puback(message.id.value));
        if (message.qos == qos2) a.sends(pubrec(message.id.value, ReasonCode::unspecified_error));
    }
    CHECK(answers == 1);
    if (version == Version::v3_1_1) a.drops().sends(connect(version)).gets(connack());
    if (version == Version::v3_1_1) {
        a.sends(subscribe(1, s.topic("new/two"), qos2).also(s.topic("new/zero"), qos0));
        a.gets(suback(1));
    } else {
        a.gets_nothing();
        a.sends(subscribe(1, s.topic("new/two"), qos2).also(s.topic("new/zero"), qos0));
        a.gets(suback(1));
    }
    publish_at(p, s.topic("new/two"), "live", qos2);
    a.receives(publish(s.topic("new/two"), "live", qos2));
    publish_at(p, s.topic("new/zero"), "live", qos2);
    a.receives(publish(s.topic("new/zero"), "live", qos0)).gets_nothing_of(p);
}

TEST_CASE("subscribe: the same filter twice in one packet leaves the last options",
          "[v5.0][MQTT-3.8.4-5]") {
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends(subscribe(1, s.topic("t"), qos2).also(s.topic("t"), qos1))
        .gets_hex("90 05 0001 00 02 01");
    auto& p = s.connected("p", Version::v5);
    publish_at(p, s.topic("t"), "x", qos2);
    a.receives(publish(s.topic("t"), "x", qos1)).gets_nothing_of(p);
}

TEST_CASE("subscribe: the same filter again replaces the subscription",
          "[v3.1.1][MQTT-3.8.4-3][v5.0][MQTT-3.8.4-3][MQTT-3.8.4-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& p = s.connected("p", version);
    auto const t = s.topic("t");
    p.sends(publish(t, "kept", qos1, 4).retain()).gets(puback(4));
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, t, qos0)).gets(suback(1)).receives(publish(t, "kept").retain());
    b.sends(subscribe(2, t, qos1)).gets(suback(2)).receives(publish(t, "kept", qos1).retain());
    publish_at(p, t, "x", qos2);
    b.receives(publish(t, "x", qos1)).gets_nothing_of(p);
    if (version == Version::v3_1_1) return;
    auto with_id = [&](std::uint32_t identifier) {
        return subscribe(3, t, qos1)
            .identifier(identifier)
            .retain_handling(mqtt::RetainHandling::do_not_send);
    };
    b.sends(with_id(1)).gets(suback(3)).sends(with_id(2)).gets(suback(3));
    publish_at(p, t, "y", qos1);
    b.receives(publish(t, "y", qos1).ids({2})).gets_nothing_of(p);
    b.sends(subscribe(4, t, qos0).retain_as_published()).gets(suback(4));
    b.receives(publish(t, "kept").retain());
    p.sends(publish(t, "z").retain());
    b.receives(publish(t, "z").retain()).gets_nothing_of(p);
}

TEST_CASE("subscribe: replacing a subscription loses nothing of a stream",
          "[v3.1.1][MQTT-3.8.4-3][v5.0][MQTT-3.8.4-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto const t = s.topic("t");
    auto& p = s.connected("p", version);
    p.sends(publish(t, "kept", qos1, 4).retain()).gets(puback(4));
    auto& b = s.connected("b", version).sends(subscribe(1, t, qos1)).gets(suback(1));
    b.receives(publish(t, "kept", qos1).retain());
    constexpr int kMessages = 300;
    constexpr int kTimes = 100;
    Buffer stream;
    for (std::uint16_t i = 1; i <= kMessages; ++i) {
        auto one = p.encoded(publish(t, std::to_string(i), qos1, i));
        stream.insert(stream.end(), one.begin(), one.end());
    }
    p.sends_bytes(stream);
    for (int i = 0; i < kTimes; ++i) b.sends(subscribe(2, t, qos1));
    int next = 1;
    int kept = 0;
    int answers = 0;
    while (next <= kMessages || kept < kTimes || answers < kTimes) {
        auto packet = b.takes_any();
        if (std::holds_alternative<mqtt::SubAck>(packet)) {
            ++answers;
            continue;
        }
        auto const& message = std::get<mqtt::Publish>(packet);
        b.sends(puback(message.id.value));
        if (message.retain) {
            ++kept;
        } else {
            REQUIRE(as_text(message.payload) == std::to_string(next));
            ++next;
        }
    }
    b.gets_nothing();
    for (std::uint16_t i = 1; i <= kMessages; ++i) p.gets(puback(i));
}

TEST_CASE("subscribe: a message comes with the lower of its QoS and the granted one",
          "[v3.1.1][MQTT-3.8.4-6][v5.0][MQTT-3.8.4-8]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto kept = GENERATE(false, true);
    Conversation s;
    auto& p = s.connected("p", version);
    for (auto granted : {qos0, qos1, qos2}) {
        for (auto sent : {qos0, qos1, qos2}) {
            CAPTURE(granted, sent);
            auto const t =
                s.topic(fmt::format("{}/{}", static_cast<int>(granted), static_cast<int>(sent)));
            auto& b = s.connected("b", version);
            if (!kept)
                b.sends(subscribe(1, t, granted))
                    .gets(suback(1, {ReasonCode{static_cast<std::uint8_t>(granted)}}));
            p.sends(publish(t, "x", sent, 3).retain(kept));
            if (sent == qos1) p.gets(puback(3));
            if (sent == qos2) p.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
            p.gets_nothing();
            if (kept) b.sends(subscribe(1, t, granted)).gets(suback(1));
            b.receives(publish(t, "x", std::min(sent, granted)).retain(kept)).gets_nothing();
            b.leaves();
        }
    }
}

TEST_CASE("subscribe: no local keeps back what the client itself published",
          "[v5.0][MQTT-3.8.3-3]") {
    Conversation s;
    auto const t = s.topic("t");
    auto with_user = [](mqtt::Connect& packet) {
        packet.user_name = "joe";
        packet.password = to_buffer("secret");
    };
    auto& a = s.client("a").sends(connect(Version::v5).resume().with(with_user)).gets(connack());
    auto& b = s.client("b").sends(connect(Version::v5).with(with_user)).gets(connack());
    a.sends(subscribe(1, t, qos1).no_local()).gets(suback(1));
    b.sends(subscribe(1, t, qos1).no_local()).gets(suback(1));
    publish_at(a, t, "of a", qos1);
    b.receives(publish(t, "of a", qos1));
    publish_at(b, t, "of b", qos1);
    a.receives(publish(t, "of b", qos1)).gets_nothing();
    b.gets_nothing();
    // It is the client id that counts: a new connection of a is still a.
    a.leaves().sends(connect(Version::v5).resume().with(with_user));
    a.gets(connack().session_present());
    publish_at(a, t, "again", qos1);
    b.receives(publish(t, "again", qos1));
    a.gets_nothing();
    // Another subscription of a that matches without it gets the message.
    a.sends(subscribe(2, s.topic("+"), qos1)).gets(suback(2));
    a.sends(publish(t, "both", qos0));
    a.receives(publish(t, "both", qos0));
}

TEST_CASE("subscribe: no local on a shared subscription ends the connection",
          "[v5.0][MQTT-3.8.3-4]") {
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    a.sends(subscribe(1, "$share/g/" + s.topic("t")).no_local()).is_cut(ReasonCode::protocol_error);
}

TEST_CASE("subscribe: what is switched off is refused",
          "[own][v3.1.1][MQTT-3.8.3-2][MQTT-3.8.4-5][MQTT-3.9.3-2][v5.0][MQTT-3.8.4-7]"
          "[MQTT-3.9.3-2][MQTT-3.8.4-6]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{Setup{.more = "mqtt.wildcard_subscription_available = false\n"
                                 "mqtt.shared_subscription_available = false\n"
                                 "mqtt.subscription_identifiers_available = false"}};
    bool v5 = version == Version::v5;
    auto& a = s.client("a").sends(connect(version));
    auto told = a.takes<mqtt::ConnAck>();
    if (v5) {
        CHECK(told.wildcard_subscription_available == false);
        CHECK(told.shared_subscription_available == false);
        CHECK(told.subscription_identifiers_available == false);
    }
    auto some = subscribe(1, s.topic("t"), qos1).also(s.topic("#"), qos2).also(s.topic("+"), qos2);
    if (!v5) {
        a.sends(some).gets_hex("90 05 0001 01 80 80");
        publish_at(a, s.topic("other"), "x", qos1);
        publish_at(a, s.topic("t"), "x", qos0);
        a.receives(publish(s.topic("t"), "x")).gets_nothing();
        return;
    }
    // To MQTT 5, who was told, it is an error that ends the connection (3.2.2.3.11 to 13).
    a.sends(some).is_cut(ReasonCode::wildcard_subscriptions_not_supported);
    auto& b = s.connected("b", version).sends(subscribe(2, "$share/g/t"));
    b.is_cut(ReasonCode::shared_subscriptions_not_supported);
    auto& c = s.connected("c", version).sends(subscribe(3, "t").identifier(1));
    c.is_cut(ReasonCode::subscription_identifiers_not_supported);
}

TEST_CASE("unsubscribe: filters are compared byte by byte",
          "[v3.1.1][MQTT-3.10.4-1][MQTT-3.10.4-2][MQTT-3.10.4-5][v5.0][MQTT-3.10.4-1]"
          "[MQTT-3.10.4-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto const none = ReasonCode::no_subscription_existed;
    bool v5 = version == Version::v5;
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.topic("a/+"), qos1)).gets(suback(1));
    auto& p = s.connected("p", version);
    for (auto* other : {"a/b", "a/#", "A/+", "a/+/", "a"}) {
        b.sends(unsubscribe(2, {s.topic(other)}));
        if (v5) b.gets(unsuback(2, {none}));
        if (!v5) b.gets_hex("B0 02 0002");
    }
    publish_at(p, s.topic("a/b"), "x", qos1);
    b.receives(publish(s.topic("a/b"), "x", qos1));
    b.sends(unsubscribe(3, {s.topic("a/+")}));
    if (v5) b.gets(unsuback(3, {ReasonCode::success}));
    if (!v5) b.gets_hex("B0 02 0003");
    publish_at(p, s.topic("a/b"), "y", qos1);
    b.gets_nothing_of(p);
}

TEST_CASE("unsubscribe: a shared subscription is left by its whole filter",
          "[v5.0][MQTT-3.10.4-1]") {
    Conversation s;
    auto const inner = s.topic("t");
    auto const whole = "$share/g/" + inner;
    auto& b = s.connected("b", Version::v5).sends(subscribe(1, whole, qos1)).gets(suback(1));
    auto& p = s.connected("p", Version::v5);
    for (auto const& other : {inner, "$share/h/" + inner}) {
        b.sends(unsubscribe(2, {other}));
        b.gets(unsuback(2, {ReasonCode::no_subscription_existed}));
    }
    publish_at(p, inner, "x", qos1);
    b.receives(publish(inner, "x", qos1));
    b.sends(unsubscribe(3, {whole})).gets(unsuback(3, {ReasonCode::success}));
    publish_at(p, inner, "y", qos1);
    b.gets_nothing_of(p);
}

TEST_CASE("unsubscribe: what has begun is finished",
          "[v3.1.1][MQTT-3.10.4-3][v5.0][MQTT-3.10.4-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.resuming("b", version).sends(subscribe(1, s.topic("t"), qos2)).gets(suback(1));
    auto& p = s.connected("p", version);
    publish_at(p, s.topic("t"), "1", qos2);
    auto first = b.holds(publish(s.topic("t"), "1", qos2));
    publish_at(p, s.topic("t"), "2", qos1);
    auto second = b.holds(publish(s.topic("t"), "2", qos1));
    b.sends(unsubscribe(2, {s.topic("t")})).gets(unsuback(2));
    b.sends(pubrec(first)).gets(pubrel(first)).sends(pubcomp(first)).drops();
    b.sends(connect(version).resume()).gets(connack().session_present());
    b.gets(publish(s.topic("t"), "2", qos1, second).dup()).sends(puback(second)).gets_nothing();
}

TEST_CASE("unsubscribe: one UNSUBACK answers for all filters, known or not",
          "[v3.1.1][MQTT-3.10.4-4][MQTT-3.10.4-5][MQTT-3.10.4-6][v5.0][MQTT-3.10.4-4]"
          "[MQTT-3.10.4-5][MQTT-3.10.4-6][MQTT-3.11.3-1][MQTT-3.11.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool v5 = version == Version::v5;
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.topic("1"), qos1).also(s.topic("2"), qos1).also(s.topic("3"), qos1));
    b.gets(suback(1));
    b.sends(unsubscribe(0x0102, {s.topic("1"), s.topic("never"), s.topic("2"), s.topic("3")}));
    b.gets_hex(v5 ? "B0 07 0102 00 00 11 00 00" : "B0 02 0102");
    auto& p = s.connected("p", version);
    for (auto* name : {"1", "2", "3"}) publish_at(p, s.topic(name), "x", qos1);
    b.gets_nothing_of(p);
    b.sends(subscribe(1, s.topic("1"))).gets(suback(1));
    b.sends(unsubscribe(4, {s.topic("1"), s.topic("1")}));
    b.gets_hex(v5 ? "B0 05 0004 00 00 11" : "B0 02 0004");
    b.sends(unsubscribe(5, {s.topic("never")}));
    b.gets_hex(v5 ? "B0 04 0005 00 11" : "B0 02 0005");
}
