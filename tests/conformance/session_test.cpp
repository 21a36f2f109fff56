// Sessions (3.1.1: 3.1.2.4, 4.1; 5.0: 3.1.2.4, 3.1.2.11.2, 4.1): what they hold and how long.
#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("session: it goes on with its subscriptions and what came meanwhile",
          "[v3.1.1][MQTT-3.1.2-4][MQTT-3.1.2-5][MQTT-4.1.0-1][v5.0][MQTT-3.1.2-5]"
          "[MQTT-3.1.2-23]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.resuming("a", version);
    a.sends(subscribe(1, s.topic("one"), qos1).also(s.topic("two"), qos2)).gets(suback(1)).leaves();
    auto& b = s.connected("b", version);
    b.sends(publish(s.topic("one"), "1", qos1, 1)).gets(puback(1));
    b.sends(publish(s.topic("two"), "2", qos2, 2))
        .gets(pubrec(2))
        .sends(pubrel(2))
        .gets(pubcomp(2));
    a.sends(connect(version).resume()).gets(connack().session_present());
    a.receives(publish(s.topic("one"), "1", qos1)).receives(publish(s.topic("two"), "2", qos2));
    b.sends(publish(s.topic("one"), "live", qos1, 3)).gets(puback(3));
    a.receives(publish(s.topic("one"), "live", qos1)).gets_nothing();
}

TEST_CASE("session: a half done exchange of QoS 2 waits in it, both ways",
          "[v3.1.1][MQTT-4.1.0-1][v5.0][MQTT-3.1.2-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.topic("out"), qos2)).gets(suback(1));
    auto& a = s.resuming("a", version);
    a.sends(subscribe(1, s.topic("in"), qos2)).gets(suback(1));
    a.sends(publish(s.topic("out"), "x", qos2, 5)).gets(pubrec(5));
    auto& p = s.connected("p", version);
    p.sends(publish(s.topic("in"), "y", qos2, 6)).gets(pubrec(6)).sends(pubrel(6)).gets(pubcomp(6));
    auto id = a.holds(publish(s.topic("in"), "y", qos2));
    a.drops();
    a.sends(connect(version).resume()).gets(connack().session_present());
    CHECK(a.holds(publish(s.topic("in"), "y", qos2).dup()) == id);
    a.sends(pubrec(id)).gets(pubrel(id)).sends(pubcomp(id));
    a.sends(publish(s.topic("out"), "x", qos2, 5).dup()).gets(pubrec(5));
    a.sends(pubrel(5)).gets(pubcomp(5)).gets_nothing();
    b.receives(publish(s.topic("out"), "x", qos2)).gets_nothing_of(a);
}

TEST_CASE("session: a clean start drops the old one",
          "[v3.1.1][MQTT-3.1.2-6][v5.0][MQTT-3.1.2-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.resuming("a", version);
    a.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1)).leaves();
    auto& b = s.connected("b", version);
    b.sends(publish(s.topic("t"), "queued", qos1, 1)).gets(puback(1));
    a.sends(connect(version)).gets(connack());
    b.sends(publish(s.topic("t"), "lost", qos1, 2)).gets(puback(2));
    a.gets_nothing_of(b).leaves();
    a.sends(connect(version).resume()).gets(connack()).gets_nothing_of(b);
}

TEST_CASE("session: one of clean session lives as long as its connection",
          "[v3.1.1][MQTT-3.1.2-6]") {
    Conversation s;
    auto& a = s.connected("a", Version::v3_1_1);
    a.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1)).leaves();
    a.sends(connect(Version::v3_1_1).resume()).gets(connack());
    auto& b = s.connected("b", Version::v3_1_1);
    b.sends(publish(s.topic("t"), "lost", qos1, 2)).gets(puback(2));
    a.gets_nothing_of(b);
}

TEST_CASE("session: retained messages are no part of it", "[v3.1.1][MQTT-3.1.2-7]") {
    Conversation s;
    auto& a = s.connected("a", Version::v3_1_1);
    a.sends(publish(s.topic("t"), "kept", qos1, 1).retain()).gets(puback(1)).leaves();
    auto& b = s.connected("b", Version::v3_1_1);
    b.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1));
    b.receives(publish(s.topic("t"), "kept", qos1).retain());
}

TEST_CASE("session: a fresh id with clean start 0 gets a new one that works",
          "[v5.0][MQTT-3.1.2-6]") {
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5).clean(false)).gets(connack());
    a.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1));
    s.connected("b", Version::v5).sends(publish(s.topic("t"), "x", qos1, 2)).gets(puback(2));
    a.receives(publish(s.topic("t"), "x", qos1));
}

TEST_CASE("session: in MQTT 5 the expiry interval alone says whether it is kept",
          "[v5.0][MQTT-3.1.2-23][MQTT-3.1.2-4][MQTT-4.1.0-2]") {
    auto clean = GENERATE(false, true);
    auto expiry = GENERATE(std::optional<std::uint32_t>{}, 0U, 30U, 0xFFFF'FFFEU, 0xFFFF'FFFFU);
    auto breaks = GENERATE(false, true);
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v5).with([&](auto& packet) {
        packet.clean_start = clean;
        packet.session_expiry_interval = expiry;
    }));
    a.gets(connack());
    if (breaks) {
        a.drops();
    } else {
        a.leaves();
    }
    a.sends(connect(Version::v5).clean(false));
    a.gets(connack().session_present(expiry.value_or(0) > 0));
}

TEST_CASE("session: DISCONNECT may change the expiry, but not from 0",
          "[v5.0][MQTT-4.1.0-2][MQTT-3.1.2-23][MQTT-4.13.1-1]") {
    Conversation s;
    auto& a = s.resuming("a", Version::v5);
    a.sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
    a.sends(connect(Version::v5).clean(false)).gets(connack());
    a.sends(disconnect(ReasonCode::normal_disconnection, 60)).is_cut(ReasonCode::protocol_error);
    a.sends(connect(Version::v5).resume()).gets(connack());
    a.sends(disconnect(ReasonCode::normal_disconnection)).closes();
    a.sends(connect(Version::v5).resume()).gets(connack().session_present());
}

TEST_CASE("session: a QoS 1 message is in that of every client it is for, here or away",
          "[v3.1.1][MQTT-4.5.0-1][v5.0][MQTT-4.5.0-1][MQTT-4.3.2-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos1, qos2);
    Conversation s;
    auto& away = s.resuming("away", version);
    away.sends(subscribe(1, s.topic("#"), qos2)).gets(suback(1)).leaves();
    auto& exact = s.connected("exact", version);
    exact.sends(subscribe(1, s.topic("a/b"), qos2)).gets(suback(1));
    auto& plus = s.connected("plus", version);
    plus.sends(subscribe(1, s.topic("+/b"), qos2)).gets(suback(1));
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("a/b"), "x", qos, 3));
    if (qos == qos1) a.gets(puback(3));
    if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
    a.drops();  // the message does not go with its publisher
    auto const message = publish(s.topic("a/b"), "x", qos);
    exact.receives(message).gets_nothing();
    plus.receives(message).gets_nothing();
    away.sends(connect(version).resume()).gets(connack().session_present());
    away.receives(message).gets_nothing();
}

TEST_CASE("session: it lasts as long as the connection, whatever its expiry, and ends behind it",
          "[slow][v3.1.1][MQTT-4.1.0-2][v5.0][MQTT-4.1.0-1][MQTT-4.1.0-2]") {
    Conversation s;
    auto& b = s.connected("b", Version::v5);
    auto subscribes = [&](Peer& a) { a.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1)); };
    auto& old = s.connected("old", Version::v3_1_1);
    auto& none = s.client("none").sends(connect(Version::v5).expiry(0)).gets(connack());
    auto& one = s.client("one").sends(connect(Version::v5).expiry(1)).gets(connack());
    for (auto* a : {&old, &none, &one}) {
        subscribes(*a);
        a->sends(publish(s.topic("begun"), "x", qos2, 9)).gets(pubrec(9));
    }
    auto& short_lived = s.client("short").sends(connect(Version::v5).expiry(1)).gets(connack());
    subscribes(short_lived);
    short_lived.leaves();
    auto& returns = s.client("returns").sends(connect(Version::v5).expiry(30)).gets(connack());
    subscribes(returns);
    returns.leaves();
    // Its will marks when the session of `mark` ended: three seconds from here.
    auto value = will(s.topic("mark"), "gone");
    value.will_delay_interval = 60;
    auto& mark = s.client("mark").sends(connect(Version::v5).expiry(3).will(value));
    b.sends(subscribe(2, s.topic("mark"))).gets(suback(2));
    mark.gets(connack()).drops();
    b.receives(publish(s.topic("mark"), "gone"));

    b.sends(publish(s.topic("t"), "x", qos1, 7)).gets(puback(7));
    for (auto* a : {&old, &none, &one}) {
        a->receives(publish(s.topic("t"), "x", qos1));
        a->sends(pubrel(9)).gets(pubcomp(9));
        CHECK(a->last_frame() == bytes_of("70 02 0009"));  // MQTT 5: not 0x92
    }
    returns.sends(connect(Version::v5).resume()).gets(connack().session_present());
    returns.receives(publish(s.topic("t"), "x", qos1));
    short_lived.sends(connect(Version::v5).resume()).gets(connack()).gets_nothing_of(b);
    b.sends(publish(s.topic("t"), "y", qos1, 8)).gets(puback(8));
    short_lived.gets_nothing_of(b);
}
