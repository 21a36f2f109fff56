// QoS 1 and 2 towards clients: packet ids, windows, resends, order (4.3, 4.4, 4.6, 4.9).
#include <array>
#include <catch2/catch.hpp>
#include <limits>
#include <set>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// "sub" subscribed to "t" at QoS 2, and "pub".
struct Pair : Script {
    explicit Pair(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        sub().sends(connect(v).resume()).gets(connack());
        sub().sends(subscribe(1, "t", qos2)).gets(suback(1));
        pub().sends(connect(v)).gets(connack());
    }
    ScriptLink& sub() { return link("sub"); }
    ScriptLink& pub() { return link("pub"); }
    /// Publishes and finishes the exchange.
    void publishes(std::string_view payload, mqtt::Qos qos) {
        pub().sends(publish("t", payload, qos, 1));
        if (qos == qos1) pub().gets(puback(1));
        if (qos == qos2) pub().gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
    void sub_returns() { sub().sends(connect(version).resume()).gets(connack().session_present()); }
    Version version;
};

std::string payload_of(mqtt::Publish const& packet) {
    return std::string{as_text(packet.payload)};
}

}  // namespace

TEST_CASE("QoS 1: an unanswered PUBLISH is sent again with DUP after resume",
          "[v3.1.1][MQTT-4.4.0-1][MQTT-3.3.1-1][MQTT-2.3.1-4][MQTT-4.3.2-1][v5.0][MQTT-4.4.0-1]"
          "[MQTT-3.3.1-1][MQTT-4.3.2-3][gotcha-31]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("bike-7").sends(connect(version).resume()).gets(connack());
    s.link("bike-7").sends(subscribe(1, "bikes/7/cmd", qos1)).gets(suback(1));
    s.link("bridge").sends(connect(version)).gets(connack());
    s.link("bridge").sends(publish("bikes/7/cmd", "unlock", qos1, 9)).gets(puback(9));
    s.link("bike-7").gets(publish("bikes/7/cmd", "unlock", qos1, 1)).drops();
    s.link("bike-7").sends(connect(version).resume()).gets(connack().session_present());
    s.link("bike-7").gets(publish("bikes/7/cmd", "unlock", qos1, 1).dup()).gets_nothing();
    // Answered, it is done.
    s.link("bike-7").sends(puback(1)).drops();
    s.link("bike-7").sends(connect(version).resume()).gets(connack().session_present());
    s.link("bike-7").gets_nothing();
}

TEST_CASE("QoS 1 and 2: nothing is sent again on the same connection",
          "[v5.0][MQTT-4.4.0-1][v3.1.1][MQTT-4.4.0-1][gotcha-31]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    s.publishes("one", qos1);
    s.publishes("two", qos2);
    s.sub().gets(publish("t", "one", qos1, 1)).gets(publish("t", "two", qos2, 2));
    s.sub().sends(pubrec(2)).gets(pubrel(2));
    s.pass(1h);
    s.sub().gets_nothing();
}

TEST_CASE("QoS 2: PUBREC, PUBREL, PUBCOMP, and what comes again at each step",
          "[v3.1.1][MQTT-4.3.3-1][MQTT-2.3.1-6][v5.0][MQTT-4.3.3-3][MQTT-4.3.3-4][MQTT-4.3.3-5]"
          "[MQTT-4.3.3-6][MQTT-2.2.1-5][gotcha-31]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    s.publishes("x", qos2);
    s.sub().gets(publish("t", "x", qos2, 1)).drops();
    s.sub_returns();
    s.sub().gets(publish("t", "x", qos2, 1).dup()).sends(pubrec(1)).gets(pubrel(1));
    CHECK(s.sub().last_frame().front() == std::byte{0x62});
    s.sub().drops();
    s.sub_returns();
    s.sub().gets(pubrel(1)).gets_nothing();
    s.sub().sends(pubrec(1)).gets(pubrel(1));  // asked again, answered again
    s.sub().sends(pubcomp(1)).gets_nothing().drops();
    s.sub_returns();
    s.sub().gets_nothing();
    // The id is free and no message was lost track of.
    s.publishes("y", qos2);
    s.sub().gets(publish("t", "y", qos2, 2));
}

TEST_CASE("QoS 2: PUBREC 0x10 goes on, PUBREC from 0x80 ends the delivery",
          "[v5.0][MQTT-4.3.3-4][MQTT-4.4.0-2][MQTT-3.3.4-9][gotcha-30]") {
    Script s;
    s.link("sub").sends(connect(Version::v5).resume().receive_maximum(1)).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int i = 0; i < 3; ++i) {
        s.link("pub").sends(publish("t", std::to_string(i), qos2, 1)).gets(pubrec(1));
        s.link("pub").sends(pubrel(1)).gets(pubcomp(1));
    }
    s.link("sub").gets(publish("t", "0", qos2, 1)).gets_nothing();
    s.link("sub").sends(pubrec(1, ReasonCode::quota_exceeded));
    s.link("sub").gets(publish("t", "1", qos2, 2));  // no PUBREL, and the quota is back
    s.link("sub").sends(pubrec(2, ReasonCode::no_matching_subscribers)).gets(pubrel(2));
    s.link("sub").gets_nothing().sends(pubcomp(2)).gets(publish("t", "2", qos2, 3)).drops();
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.link("sub").gets(publish("t", "2", qos2, 3).dup()).gets_nothing();
}

TEST_CASE("QoS 1: PUBACK from 0x80 ends the delivery", "[v5.0][MQTT-4.4.0-2][gotcha-30]") {
    Pair s{Version::v5};
    s.publishes("x", qos1);
    s.sub().gets(publish("t", "x", qos1, 1));
    s.sub().sends(puback(1, ReasonCode::not_authorized)).gets_nothing().drops();
    s.sub_returns();
    s.sub().gets_nothing();
}

TEST_CASE("acknowledgements of unknown ids: PUBREC gets PUBREL, the others are ignored",
          "[v5.0][MQTT-3.6.2-1][gotcha-29]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    bool v5 = version == Version::v5;
    s.sub().sends(pubrec(7));
    s.sub().gets(pubrel(7, v5 ? ReasonCode::packet_identifier_not_found : ReasonCode::success));
    s.sub().sends(puback(7)).sends(pubcomp(7)).gets_nothing();
    if (v5) s.sub().sends(pubrec(7, ReasonCode::unspecified_error)).gets_nothing();
}

TEST_CASE("acknowledgements of the wrong exchange end the connection",
          "[v5.0][MQTT-4.13.1-1][v3.1.1][MQTT-4.8.0-1][gotcha-29]") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    auto answer = GENERATE(4, 5, 7);
    if ((qos == qos1) == (answer == 4) || (qos == qos2 && answer != 4)) return;
    Pair s{version};
    s.publishes("x", qos);
    s.sub().gets(publish("t", "x", qos, 1));
    if (answer == 4) s.sub().sends(puback(1));
    if (answer == 5) s.sub().sends(pubrec(1));
    if (answer == 7) s.sub().sends(pubcomp(1));
    if (version == Version::v5) s.sub().gets(disconnect(ReasonCode::protocol_error));
    s.sub().closes();
}

TEST_CASE("receive maximum: no more QoS 1 and 2 are open than the client takes",
          "[v5.0][MQTT-3.3.4-9][MQTT-4.9.0-1][MQTT-4.9.0-2][gotcha-35]") {
    Script s;
    s.link("sub").sends(connect(Version::v5).resume().receive_maximum(2)).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    auto publishes = [&](std::string const& payload, mqtt::Qos qos) {
        s.link("pub").sends(publish("t", payload, qos, 1));
        if (qos == qos1) s.link("pub").gets(puback(1));
        if (qos == qos2) s.link("pub").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    };
    publishes("a", qos1);
    publishes("b", qos2);
    publishes("c", qos1);
    publishes("d", qos2);
    publishes("e", qos1);
    auto& sub = s.link("sub");
    sub.gets(publish("t", "a", qos1, 1)).gets(publish("t", "b", qos2, 2)).gets_nothing();
    // QoS 0 is not limited; it may pass by.
    publishes("zero", qos0);
    sub.gets(publish("t", "zero")).gets_nothing();
    // What is answered without need gives nothing.
    sub.sends(puback(9)).sends(pubcomp(9)).sends(pubcomp(2)).gets_nothing();
    sub.sends(pubrec(2)).gets(pubrel(2)).gets_nothing();
    sub.sends(pubcomp(2)).gets(publish("t", "c", qos1, 3)).gets_nothing();
    sub.sends(puback(1)).gets(publish("t", "d", qos2, 4)).gets_nothing();
    sub.sends(puback(1)).gets_nothing();
    // A new connection begins with a new quota, which what is sent again uses up.
    sub.drops().sends(connect(Version::v5).resume().receive_maximum(1));
    sub.gets(connack().session_present()).gets(publish("t", "c", qos1, 3).dup()).gets_nothing();
    sub.drops().sends(connect(Version::v5).resume().receive_maximum(3));
    sub.gets(connack().session_present()).gets(publish("t", "c", qos1, 3).dup());
    sub.gets(publish("t", "d", qos2, 4).dup()).gets(publish("t", "e", qos1, 5)).gets_nothing();
}

TEST_CASE("receive maximum: for 3.1.1 and absent ones the broker's own limit holds",
          "[gotcha-35]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version, {.link = {.inflight_max = 3}}};
    for (int i = 0; i < 5; ++i) s.publishes("x", qos1);
    CHECK(s.sub().takes_all<mqtt::Publish>().size() == 3);
    s.sub().sends(puback(2));
    CHECK(s.sub().takes_all<mqtt::Publish>().size() == 1);
}

TEST_CASE("receive maximum: a full window blocks nothing but PUBLISH",
          "[v5.0][MQTT-3.3.4-10][MQTT-4.9.0-3][gotcha-37]") {
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("r", "kept", qos1, 1).retain()).gets(puback(1));
    auto& sub = s.link("sub");
    sub.sends(connect(Version::v5).receive_maximum(1)).gets(connack());
    sub.sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    sub.gets(publish("t", "x", qos1, 1));
    sub.sends(pingreq()).gets(pingresp());
    sub.sends(subscribe(2, "r", qos1)).gets(suback(2)).gets_nothing();  // its replay waits
    sub.sends(publish("other", "y", qos1, 5)).gets(puback(5));
    sub.sends(publish("other", "y", qos2, 6)).gets(pubrec(6)).sends(pubrel(6)).gets(pubcomp(6));
    sub.sends(pubrec(99)).gets(pubrel(99, ReasonCode::packet_identifier_not_found));
    sub.sends(unsubscribe(3, {"t"})).gets(unsuback(3)).gets_nothing();
    sub.sends(puback(1)).gets(publish("r", "kept", qos1, 2).retain()).gets_nothing();
}

TEST_CASE("resume: all that was open in the order of the first sends, before what was queued",
          "[v3.1.1][MQTT-4.6.0-1][MQTT-4.6.0-6][MQTT-4.1.0-1][v5.0][MQTT-4.6.0-1][MQTT-4.6.0-5]"
          "[MQTT-4.9.0-1][gotcha-32]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    for (int i = 1; i <= 10; ++i) s.publishes(std::to_string(i), i % 2 == 1 ? qos1 : qos2);
    CHECK(s.sub().takes_all<mqtt::Publish>().size() == 10);
    s.sub().drops();
    for (int i = 11; i <= 20; ++i) s.publishes(std::to_string(i), i % 2 == 1 ? qos1 : qos2);
    auto connect_again = connect(version).resume();
    if (version == Version::v5) connect_again.receive_maximum(3);
    s.sub().sends(connect_again).gets(connack().session_present());
    int expected = 1;
    for (auto const& packet : answer_all(s.sub())) {
        REQUIRE(payload_of(packet) == std::to_string(expected));
        REQUIRE(packet.dup == (expected <= 10));
        REQUIRE(packet.id.value == expected);
        ++expected;
    }
    CHECK(expected == 21);
}

TEST_CASE("resume: PUBRELs come in the order of the PUBRECs",
          "[v3.1.1][MQTT-4.6.0-4][v5.0][MQTT-4.6.0-4][gotcha-32]") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    for (int i = 1; i <= 4; ++i) s.publishes(std::to_string(i), qos2);
    CHECK(s.sub().takes_all<mqtt::Publish>().size() == 4);
    s.sub().sends(pubrec(3)).sends(pubrec(1)).sends(pubrec(4));
    s.sub().gets(pubrel(3)).gets(pubrel(1)).gets(pubrel(4)).drops();
    s.sub_returns();
    s.sub().gets(pubrel(3)).gets(pubrel(1)).gets(pubrel(4));
    s.sub().gets(publish("t", "2", qos2, 2).dup()).gets_nothing();
}

TEST_CASE("resume: by another version of the protocol", "[v5.0][MQTT-4.4.0-1][gotcha-31]") {
    auto before = GENERATE(values(kBoth));
    auto after = before == Version::v5 ? Version::v3_1_1 : Version::v5;
    Pair s{before};
    s.publishes("one", qos1);
    s.publishes("two", qos2);
    s.sub().gets(publish("t", "one", qos1, 1)).gets(publish("t", "two", qos2, 2));
    s.sub().sends(pubrec(2)).gets(pubrel(2)).drops();
    s.publishes("three", qos2);
    s.sub().sends(connect(after).resume()).gets(connack().session_present());
    s.sub().gets(pubrel(2)).gets(publish("t", "one", qos1, 1).dup());
    s.sub().gets(publish("t", "three", qos2, 3)).gets_nothing();
}

TEST_CASE("delivery: with the lower of published and granted QoS, live, queued and retained",
          "[v3.1.1][MQTT-3.8.4-6][MQTT-3.1.2-5][MQTT-4.3.1-1][v5.0][MQTT-3.8.4-8][MQTT-4.3.1-1]"
          "[MQTT-4.3.2-2][MQTT-4.3.3-2][gotcha-34]") {
    auto version = GENERATE(values(kBoth));
    auto published = GENERATE(qos0, qos1, qos2);
    auto granted = GENERATE(qos0, qos1, qos2);
    auto expected = std::min(published, granted);
    Script s;
    auto publishes = [&](std::string const& topic) {
        s.link("pub").sends(publish(topic, "x", published, 1).retain());
        if (published == qos1) s.link("pub").gets(puback(1));
        if (published == qos2) {
            s.link("pub").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
        }
    };
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "live", granted)).gets(suback(1));
    s.link("sub").sends(subscribe(2, "queued", granted)).gets(suback(2));
    publishes("live");
    s.link("sub").gets(publish("live", "x", expected, 1)).drops();
    publishes("queued");
    publishes("retained");
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    if (expected != qos0) {
        s.link("sub").gets(publish("live", "x", expected, 1).dup());
        s.link("sub").gets(publish("queued", "x", expected, 2));
    }
    s.link("sub").gets_nothing();
    CHECK(s.dropped().offline_qos0.read() == (expected == qos0 ? 1 : 0));
    s.link("sub").sends(subscribe(3, "retained", granted)).gets(suback(3));
    s.link("sub").gets(publish("retained", "x", expected, 3).retain()).gets_nothing();
}

TEST_CASE("delivery: DUP says whether it is sent again, not how it came",
          "[v3.1.1][MQTT-3.3.1-3][v5.0][MQTT-3.3.1-3]") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    Pair s{version};
    s.pub().sends(publish("t", "x", qos, 1).dup());
    s.sub().gets(publish("t", "x", qos, 1)).gets_nothing();
}

TEST_CASE("delivery: to every session with a matching subscription",
          "[v3.1.1][MQTT-4.5.0-1][MQTT-3.1.2-5][v5.0][MQTT-4.5.0-1]") {
    auto version = GENERATE(values(kBoth));
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{3});
    Script s{{.shards = shards}};
    for (int i = 0; i < 6; ++i) {
        auto name = "sub" + std::to_string(i);
        s.link(name).sends(connect(version).resume()).gets(connack());
        s.link(name).sends(subscribe(1, i % 2 == 0 ? "a/b" : "a/#", qos1)).gets(suback(1));
        if (i >= 4) s.link(name).drops();
    }
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("pub").sends(publish("a/b", "x", qos1, 1)).gets(puback(1));
    s.link("pub").sends(publish("b", "y", qos1, 1)).gets(puback(1));
    for (int i = 0; i < 6; ++i) {
        auto name = "sub" + std::to_string(i);
        if (i >= 4) s.link(name).sends(connect(version).resume()).gets(connack().session_present());
        s.link(name).gets(publish("a/b", "x", qos1, 1)).gets_nothing();
    }
}

TEST_CASE("order: each QoS of a publisher stays in order, over a reconnect of the receiver",
          "[v3.1.1][MQTT-4.6.0-5][MQTT-4.6.0-6][v5.0][MQTT-4.6.0-5][MQTT-4.6.0-6][gotcha-33]") {
    auto version = GENERATE(values(kBoth));
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    Pair s{version, {.link = {.inflight_max = 4}, .shards = shards}};
    std::array<int, 3> next{};  // the first copies of each QoS
    auto reads = [&](std::size_t most) {
        for (auto const& packet : answer_all(s.sub(), most)) {
            auto& expected = next[static_cast<std::size_t>(packet.qos)];
            int number = std::stoi(payload_of(packet));
            REQUIRE((packet.dup || number >= expected));
            if (number < expected) continue;
            if (packet.qos != qos0) REQUIRE(number == expected);
            expected = number + 1;
        }
    };
    for (int i = 0; i < 300; ++i) {
        for (auto qos : {qos0, qos1, qos2}) s.publishes(std::to_string(i), qos);
        if (i % 37 == 36) {
            if (s.sub().is_open()) {
                s.sub().drops();
            } else {
                s.sub_returns();
            }
        }
        if (s.sub().is_open()) reads(static_cast<std::size_t>(i % 11));
    }
    if (!s.sub().is_open()) s.sub_returns();
    reads(std::numeric_limits<std::size_t>::max());
    CHECK(next[1] == 300);
    CHECK(next[2] == 300);
}

TEST_CASE("packet ids: of the server and of the client do not get in each other's way",
          "[gotcha-26]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("a").sends(connect(version)).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("a").sends(publish("t", "x", qos2, 1));
    s.link("a").gets(publish("t", "x", qos2, 1)).gets(pubrec(1));
    s.link("a").sends(pubrec(1)).gets(pubrel(1));
    s.link("a").sends(pubrel(1)).gets(pubcomp(1)).sends(pubcomp(1)).gets_nothing();
}

TEST_CASE("packet ids: one that is held is not given to 70000 others",
          "[v3.1.1][MQTT-2.3.1-4][v5.0][MQTT-2.2.1-4][gotcha-26]") {
    Pair s{Version::v5};
    for (int i = 0; i < 3; ++i) s.publishes("held", qos2);
    std::set<std::uint16_t> held;
    for (auto const& packet : s.sub().takes_all<mqtt::Publish>()) held.insert(packet.id.value);
    for (int i = 0; i < 70'000; ++i) {
        s.pub().sends(publish("t", "x", qos1, 1));
        (void)s.pub().takes<mqtt::PubAck>();
        auto id = s.sub().takes<mqtt::Publish>().id.value;
        if (held.count(id) != 0) FAIL("id " << id << " came twice");
        s.sub().sends(puback(id));
    }
}
