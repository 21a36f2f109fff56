#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

using Outcomes = std::vector<Outcome>;
constexpr ConnAck kPresent() {
    return {.session_present = true};
}

}  // namespace

TEST_CASE("resume: unanswered PUBLISH come again with DUP, in order, before new ones",
          "[client][v3.1.1][MQTT-4.4.0-1][MQTT-4.6.0-1][MQTT-3.3.1-1][MQTT-2.3.1-3][v5.0]"
          "[MQTT-4.4.0-1][MQTT-4.6.0-1][MQTT-3.3.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "1", kQos1), 1);
    s.publish(message("a", "2", kQos2), 2);
    s.publish(message("a", "3", kQos1), 3);
    s.publish(message("a", "4", kQos2), 4);
    static_cast<void>(s.takes());
    s.gives(PubAck{.id = PacketId{3}});
    s.drops();
    s.publish(message("a", "5", kQos1), 5);
    s.connects(kPresent());
    s.publish(message("a", "6", kQos1), 6);
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 1 qos1 id1 dup", "PUBLISH a 2 qos2 id2 dup",
                                       "PUBLISH a 4 qos2 id4 dup", "PUBLISH a 5 qos1 id5",
                                       "PUBLISH a 6 qos1 id6"});
    s.drops();  // and once more
    s.connects(kPresent());
    CHECK(lines_of(s.takes()).size() == 5);
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(s.app.outcomes.back() == Outcome{1, kAcknowledged});
}

TEST_CASE("resume: nothing is sent again on one connection", "[client][v5.0][MQTT-4.4.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "1", kQos1));
    s.publish(message("a", "2", kQos2));
    static_cast<void>(s.takes());
    s.passes(1h);
    s.machine.on_deadline(s.now);
    CHECK(s.takes().empty());
}

TEST_CASE("resume: PUBREL come again in the order of their PUBRECs, never the PUBLISH",
          "[client][v3.1.1][MQTT-4.6.0-4][MQTT-4.3.3-1][v5.0][MQTT-4.6.0-4][MQTT-4.3.3-5]"
          "[MQTT-4.3.3-6]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    for (std::uint64_t token = 1; token <= 4; ++token) {
        s.publish(message("a", std::to_string(token), kQos2), token);
    }
    static_cast<void>(s.takes());
    s.gives(PubRec{.id = PacketId{3}});
    s.gives(PubRec{.id = PacketId{1}});
    s.gives(PubRec{.id = PacketId{4}});
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 3", "PUBREL 1", "PUBREL 4"});
    s.gives(PubComp{.id = PacketId{4}});
    s.drops();
    s.connects(kPresent());
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 3", "PUBREL 1", "PUBLISH a 2 qos2 id2 dup"});
    s.gives(PubComp{.id = PacketId{3}, .reason = ReasonCode::packet_identifier_not_found});
    s.gives(PubComp{.id = PacketId{1}});
    s.gives(PubRec{.id = PacketId{2}});
    s.gives(PubComp{.id = PacketId{2}});
    CHECK(s.app.outcomes ==
          Outcomes{{4, kAcknowledged}, {3, kAcknowledged}, {1, kAcknowledged}, {2, kAcknowledged}});
}

TEST_CASE("resume: a smaller receive maximum is kept, in order", "[client][v5.0][MQTT-3.3.4-7]") {
    ClientScript s{Version::v5};
    s.connects({.receive_maximum = 10});
    for (std::uint64_t token = 1; token <= 6; ++token) {
        s.publish(message("a", std::to_string(token), token % 2 == 0 ? kQos2 : kQos1), token);
    }
    static_cast<void>(s.takes());
    s.gives(PubRec{.id = PacketId{2}});
    s.drops();
    s.publish(message("a", "7", kQos1), 7);
    s.connects({.session_present = true, .receive_maximum = 3});
    CHECK(lines_of(s.takes()) ==
          Lines{"PUBREL 2", "PUBLISH a 1 qos1 id1 dup", "PUBLISH a 3 qos1 id3 dup"});
    SECTION("the rest follows as answers come") {
        s.gives(PubAck{.id = PacketId{1}});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 4 qos2 id4 dup"});
        s.gives(PubComp{.id = PacketId{2}});
        s.gives(PubAck{.id = PacketId{3}});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 5 qos1 id5 dup", "PUBLISH a 6 qos2 id6 dup"});
        s.gives(PubAck{.id = PacketId{5}});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 7 qos1 id7"});
    }
    SECTION("a second cut in the middle keeps the order") {
        s.drops();
        s.connects({.session_present = true, .receive_maximum = 10});
        CHECK(lines_of(s.takes()) == Lines{"PUBREL 2", "PUBLISH a 1 qos1 id1 dup",
                                           "PUBLISH a 3 qos1 id3 dup", "PUBLISH a 4 qos2 id4 dup",
                                           "PUBLISH a 5 qos1 id5 dup", "PUBLISH a 6 qos2 id6 dup",
                                           "PUBLISH a 7 qos1 id7"});
    }
    SECTION("an answer to one that waits to be repeated counts") {
        s.gives(PubAck{.id = PacketId{5}});
        s.gives(PubRec{.id = PacketId{4}});
        CHECK(lines_of(s.takes()) == Lines{"PUBREL 4"});
        CHECK(s.app.outcomes == Outcomes{{5, kAcknowledged}});
        s.gives(PubAck{.id = PacketId{1}});
        CHECK(s.takes().empty());  // 2, 3 and 4 are open
        s.gives(PubComp{.id = PacketId{2}});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 6 qos2 id6 dup"});
    }
}

TEST_CASE("resume: more PUBREL than the window has go out all the same, PUBLISH waits",
          "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    for (std::uint16_t id = 1; id <= 3; ++id) s.publish(message("a", "x", kQos2));
    static_cast<void>(s.takes());
    for (std::uint16_t id = 1; id <= 3; ++id) s.gives(PubRec{.id = PacketId{id}});
    s.drops();
    s.publish(message("a", "new", kQos1));
    s.connects({.session_present = true, .receive_maximum = 1});
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 1", "PUBREL 2", "PUBREL 3"});
    s.gives(PubComp{.id = PacketId{1}});
    s.gives(PubComp{.id = PacketId{2}});
    CHECK(s.takes().empty());
    s.gives(PubComp{.id = PacketId{3}});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a new qos1 id4"});
}

TEST_CASE("resume: what was sent comes again even after its expiry",
          "[client][v5.0][MQTT-4.3.3-7][MQTT-4.4.0-1]") {
    ClientScript s{Version::v5};
    s.connects();
    auto packet = message("a", "1", kQos2);
    packet.properties.message_expiry_interval = 5;
    s.publish(packet, 1);
    static_cast<void>(s.takes());
    s.drops();
    s.passes(60s);
    s.machine.on_deadline(s.now);
    CHECK(s.app.outcomes.empty());
    s.connects(kPresent());
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 1 qos2 id1 dup expiry1"});
}

TEST_CASE("resume: too large for the new connection ends as unknown", "[client]") {
    auto qos = GENERATE(kQos1, kQos2);
    ClientScript s{Version::v5};
    s.connects();
    s.publish(message("a", std::string(100, 'x'), qos), 1);
    s.publish(message("a", "small", kQos1), 2);
    static_cast<void>(s.takes());
    s.drops();
    s.connects({.session_present = true, .receive_maximum = 1, .maximum_packet_size = 50});
    auto lines = lines_of(s.takes());
    CHECK(s.app.outcomes == Outcomes{{1, kUnknown}});
    if (qos == kQos1) {
        CHECK(lines == Lines{"PUBLISH a small qos1 id2 dup"});
    } else {
        CHECK(lines == Lines{"PUBREL 1"});
        s.gives(PubComp{.id = PacketId{1}});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a small qos1 id2 dup"});
    }
}

TEST_CASE("session lost: the option decides about publishes", "[client][v5.0][MQTT-3.2.2-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto policy = GENERATE(SessionLost::resend, SessionLost::fail_sent, SessionLost::fail_all);
    ClientScript s{version, {.session_lost = policy}};
    s.connects();
    s.publish(message("a", "1", kQos1), 1);
    s.publish(message("a", "2", kQos2), 2);
    s.publish(message("a", "3", kQos2), 3);
    static_cast<void>(s.takes());
    s.gives(PubRec{.id = PacketId{3}});
    s.drops();
    s.publish(message("a", "4", kQos1), 4);
    CHECK(s.app.outcomes.empty());
    s.connects();
    auto lines = lines_of(s.takes());
    switch (policy) {
        case SessionLost::resend:
            CHECK(s.app.outcomes == Outcomes{{3, kUnknown}});  // its content went with PUBREC
            CHECK(lines ==
                  Lines{"PUBLISH a 1 qos1 id4", "PUBLISH a 2 qos2 id5", "PUBLISH a 4 qos1 id6"});
            break;
        case SessionLost::fail_sent:
            CHECK(s.app.outcomes == Outcomes{{3, kUnknown}, {1, kUnknown}, {2, kUnknown}});
            CHECK(lines == Lines{"PUBLISH a 4 qos1 id4"});
            break;
        case SessionLost::fail_all:
            CHECK(s.app.outcomes == Outcomes{{3, kUnknown},
                                             {1, kUnknown},
                                             {2, kUnknown},
                                             {4, kNotSent, NotSent::session_lost}});
            CHECK(lines.empty());
            break;
    }
}

TEST_CASE("session lost: the first connection loses nothing", "[client]") {
    ClientScript s{Version::v5, {.session_lost = SessionLost::fail_all}};
    s.publish(message("a", "1", kQos1), 1);
    s.connects();
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 1 qos1 id1"});
}

TEST_CASE("session lost: sent again as new, a message can expire, and may have arrived",
          "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    auto packet = message("a", "1", kQos1);
    packet.properties.message_expiry_interval = 5;
    s.publish(packet, 1);
    static_cast<void>(s.takes());
    s.drops();
    s.passes(6s);
    s.connects();
    CHECK(s.takes().empty());
    CHECK(s.app.outcomes == Outcomes{{1, kUnknown}});
}

TEST_CASE("this connection only: never again, whatever becomes of the session", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool present = GENERATE(true, false);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "1", kQos1), 1, PublishScope::this_connection);
    s.publish(message("a", "2", kQos2), 2, PublishScope::this_connection);
    s.publish(message("a", "3", kQos2), 3, PublishScope::this_connection);
    s.publish(message("a", "4", kQos1), 4);
    static_cast<void>(s.takes());
    s.gives(PubRec{.id = PacketId{3}});
    s.drops();
    CHECK(s.app.take_outcomes() == Outcomes{{1, kUnknown}, {2, kUnknown}, {3, kUnknown}});
    s.connects({.session_present = present});
    if (present) {
        // Only ids are released, so that the server forgets them.
        CHECK(lines_of(s.takes()) == Lines{"PUBREL 3", "PUBREL 2", "PUBLISH a 4 qos1 id4 dup"});
        s.gives(PubComp{.id = PacketId{3}});
        s.gives(PubComp{.id = PacketId{2}});
    } else {
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 4 qos1 id5"});
    }
    CHECK(s.app.take_outcomes().empty());
    CHECK(s.machine.in_flight() == 1);
}

TEST_CASE("resume: ids that are still open are not used for anything else", "[client]") {
    ClientScript s{Version::v3_1_1};
    s.connects();
    s.publish(message("a", "1", kQos2));
    static_cast<void>(s.takes());
    s.drops();
    s.connects(kPresent());
    s.machine.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1}, s.now);
    CHECK(lines_of(s.takes()) == Lines{"SUBSCRIBE 2", "PUBLISH a 1 qos2 id1 dup"});
}
