#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

using Outcomes = std::vector<Outcome>;
constexpr auto kThisConnection = PublishScope::this_connection;

Publish expiring(Publish packet, std::uint32_t seconds) {
    packet.properties.message_expiry_interval = seconds;
    return packet;
}

}  // namespace

TEST_CASE("publish: QoS 0 is sent once and told as sent when the transport takes it",
          "[client][v3.1.1][MQTT-4.3.1-1][v5.0][MQTT-4.3.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    auto packet = message("a/b", "x");
    packet.retain = true;
    if (version == Version::v5) packet.properties.user_properties = {{"k", "v"}};
    s.publish(packet, 5);
    CHECK(s.app.outcomes.empty());
    auto packets = s.takes();
    REQUIRE(packets.size() == 1);
    CHECK(std::get<Publish>(packets[0]) == packet);
    CHECK(s.app.outcomes == Outcomes{{5, kSent}});
}

TEST_CASE("publish: QoS 1 ends with PUBACK and frees its id",
          "[client][v3.1.1][MQTT-4.3.2-1][v5.0][MQTT-4.3.2-1][MQTT-4.3.2-2][MQTT-4.3.2-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto scope = GENERATE(PublishScope::session, kThisConnection);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "x", kQos1), 5, scope);
    s.publish(message("a", "y", kQos1), 6, scope);
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a x qos1 id1", "PUBLISH a y qos1 id2"});
    CHECK(s.machine.in_flight() == 2);
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(s.app.take_outcomes() == Outcomes{{5, kAcknowledged}});
    s.gives(PubAck{.id = PacketId{2}});
    CHECK(s.app.take_outcomes() == Outcomes{{6, kAcknowledged}});
    CHECK(s.machine.in_flight() == 0);
}

TEST_CASE("publish: the server's reason comes with the outcome", "[client][v5.0][MQTT-4.4.0-2]") {
    ClientScript s{Version::v5};
    s.connects();
    s.publish(message("a", "x", kQos1), 1);
    s.publish(message("a", "x", kQos1), 2);
    s.publish(message("a", "x", kQos2), 3);
    s.publish(message("a", "x", kQos2), 4);
    static_cast<void>(s.takes());
    s.gives(PubAck{.id = PacketId{1}, .reason = ReasonCode::no_matching_subscribers});
    s.gives(PubAck{.id = PacketId{2}, .reason = ReasonCode::not_authorized, .reason_string = "no"});
    s.gives(PubRec{.id = PacketId{3}, .reason = ReasonCode::no_matching_subscribers});
    s.gives(PubRec{.id = PacketId{4}, .reason = ReasonCode::quota_exceeded});
    s.gives(PubComp{.id = PacketId{3}});
    CHECK(s.app.outcomes ==
          Outcomes{{1, kAcknowledged, NotSent::none, ReasonCode::no_matching_subscribers},
                   {2, kRefused, NotSent::none, ReasonCode::not_authorized, "no"},
                   {4, kRefused, NotSent::none, ReasonCode::quota_exceeded},
                   {3, kAcknowledged, NotSent::none, ReasonCode::no_matching_subscribers}});
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 3"});  // none for the refused one
    s.drops();
    s.connects({.session_present = true});
    CHECK(s.takes().empty());
}

TEST_CASE("publish: QoS 2 goes through PUBREC, PUBREL, PUBCOMP",
          "[client][v3.1.1][MQTT-4.3.3-1][v5.0][MQTT-4.3.3-1][MQTT-4.3.3-2][MQTT-4.3.3-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "x", kQos2), 5);
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a x qos2 id1"});
    s.gives(PubRec{.id = PacketId{1}});
    CHECK(s.app.outcomes.empty());
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 1"});
    s.gives(PubRec{.id = PacketId{1}});  // once more: only PUBREL is repeated
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 1"});
    s.gives(PubComp{.id = PacketId{1}});
    CHECK(s.app.outcomes == Outcomes{{5, kAcknowledged}});
    CHECK(s.machine.in_flight() == 0);
}

TEST_CASE("publish: answers to unknown ids do no harm", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.gives(PubAck{.id = PacketId{9}});
    s.gives(PubComp{.id = PacketId{9}});
    CHECK(s.takes().empty());
    s.gives(PubRec{.id = PacketId{9}});
    auto expected = version == Version::v5 ? Lines{"PUBREL 9 0x92"} : Lines{"PUBREL 9"};
    CHECK(lines_of(s.takes()) == expected);
    CHECK_FALSE(s.app.closed);
}

TEST_CASE("publish: answers of the wrong kind break the protocol", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "x", kQos1), 1, kThisConnection);
    s.publish(message("a", "x", kQos2), 2, kThisConnection);
    static_cast<void>(s.takes());
    SECTION("PUBREC for QoS 1") {
        s.gives(PubRec{.id = PacketId{1}});
    }
    SECTION("PUBACK for QoS 2") {
        s.gives(PubAck{.id = PacketId{2}});
    }
    SECTION("PUBCOMP for QoS 1") {
        s.gives(PubComp{.id = PacketId{1}});
    }
    SECTION("PUBCOMP before PUBREC") {
        s.gives(PubComp{.id = PacketId{2}});
    }
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    CHECK(s.app.outcomes == Outcomes{{1, kUnknown}, {2, kUnknown}});
}

TEST_CASE("publish: ids in use are skipped when they come round",
          "[client][v3.1.1][MQTT-2.3.1-2][v5.0][MQTT-2.2.1-3]") {
    ClientScript s{Version::v3_1_1};
    s.connects();
    s.publish(message("a", "held", kQos2));
    s.machine.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1}, s.now);
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a held qos2 id1", "SUBSCRIBE 2"});
    for (int i = 0; i < 65'533; ++i) {
        s.publish(message("a", "x", kQos1));
        auto packets = s.takes();
        auto id = std::get<Publish>(packets.at(0)).id;
        if (id.value != static_cast<std::uint16_t>(i + 3)) FAIL("id " << id.value);
        s.gives(PubAck{.id = id});
    }
    s.publish(message("a", "y", kQos1));
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a y qos1 id3"});
}

TEST_CASE("publish: no more than the server's receive maximum are open",
          "[client][v5.0][MQTT-3.3.4-7][MQTT-4.9.0-1][MQTT-4.9.0-2]") {
    ClientScript s{Version::v5};
    s.connects({.receive_maximum = 2});
    for (std::uint64_t token = 1; token <= 5; ++token) {
        s.publish(message("a", std::to_string(token), token == 2 ? kQos2 : kQos1), token);
    }
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 1 qos1 id1", "PUBLISH a 2 qos2 id2"});
    CHECK(s.machine.queued() == 3);
    CHECK_FALSE(s.machine.has_output());
    s.gives(PubRec{.id = PacketId{2}});  // gives nothing back
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 2"});
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 3 qos1 id3"});
    s.gives(PubComp{.id = PacketId{2}});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 4 qos1 id4"});
    s.gives(PubAck{.id = PacketId{9}});  // unknown: gives nothing back either
    CHECK(s.takes().empty());
    s.gives(PubAck{.id = PacketId{3}, .reason = ReasonCode::quota_exceeded});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 5 qos1 id5"});
}

TEST_CASE("publish: a full window holds back nothing but PUBLISH QoS 1 and 2",
          "[client][v5.0][MQTT-3.3.4-8][MQTT-4.9.0-3]") {
    ClientScript s{Version::v5};
    s.connects({.receive_maximum = 1});
    s.publish(message("a", "1", kQos1), 1);
    s.publish(message("a", "2", kQos1), 2);
    s.publish(message("a", "0"), 3);
    s.machine.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1}, s.now);
    s.gives(message("b", "x", kQos1, 7));
    s.gives(message("b", "y", kQos2, 8));
    CHECK(lines_of(s.takes()) ==
          Lines{"PUBLISH a 1 qos1 id1", "PUBLISH a 0", "SUBSCRIBE 2", "PUBACK 7", "PUBREC 8"});
}

TEST_CASE("publish: the own limit holds in 3.1.1, and below a larger one of the server",
          "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version, {.in_flight_max = 1}};
    s.connects();
    s.publish(message("a", "1", kQos1));
    s.publish(message("a", "2", kQos1));
    CHECK(s.takes().size() == 1);
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(s.takes().size() == 1);
}

TEST_CASE("publish: without a connection QoS 1 and 2 wait, the rest is not sent", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.publish(message("a", "0"), 1);
    s.publish(message("a", "1", kQos1), 2);
    s.publish(message("a", "2", kQos2), 3);
    s.publish(message("a", "once", kQos1), 4, kThisConnection);
    CHECK(s.app.take_outcomes() ==
          Outcomes{{1, kNotSent, NotSent::not_connected}, {4, kNotSent, NotSent::not_connected}});
    s.opens();
    s.publish(message("a", "once", kQos1), 5, kThisConnection);  // CONNACK is not there yet
    CHECK(s.app.take_outcomes() == Outcomes{{5, kNotSent, NotSent::not_connected}});
    CHECK(lines_of(s.takes()) == Lines{"CONNECT"});
    s.gives(ConnAck{});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 1 qos1 id1", "PUBLISH a 2 qos2 id2"});
}

TEST_CASE("publish: the queue has a bound in messages and one in bytes", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    SECTION("messages") {
        ClientScript s{version, {.queue_messages_max = 2}};
        for (std::uint64_t token = 1; token <= 3; ++token) {
            s.publish(message("a", "x", kQos1), token);
        }
        CHECK(s.app.outcomes == Outcomes{{3, kNotSent, NotSent::queue_full}});
        CHECK(s.machine.queued() == 2);
    }
    SECTION("bytes") {
        ClientScript s{version, {.queue_bytes_max = 3000}};
        for (std::uint64_t token = 1; token <= 3; ++token) {
            s.publish(message("a", std::string(1200, 'x'), kQos1), token);
        }
        CHECK(s.app.outcomes == Outcomes{{3, kNotSent, NotSent::queue_full}});
        s.connects();
        static_cast<void>(s.takes());
        s.drops();  // what was in flight is back in the queue
        s.publish(message("a", std::string(1200, 'x'), kQos1), 4);
        CHECK(s.app.outcomes.back() == Outcome{4, kNotSent, NotSent::queue_full});
        s.connects({.session_present = true});
        CHECK(s.takes().size() == 2);
    }
    SECTION("neither counts for what goes out at once") {
        ClientScript s{version, {.queue_messages_max = 0, .queue_bytes_max = 0}};
        s.connects();
        s.publish(message("a", "x", kQos1), 1);
        s.publish(message("a", "x", kQos0), 2);
        CHECK(s.takes().size() == 2);
        static_cast<void>(s.takes_unwritten());
    }
}

TEST_CASE("publish: while the socket is full publishes wait, in order", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version, {.queue_messages_max = 3}};
    s.connects();
    s.publish(message("a", "1"), 1);
    CHECK(lines_of(s.takes_unwritten()) == Lines{"PUBLISH a 1"});
    s.publish(message("a", "2"), 2);
    s.publish(message("a", "3", kQos1), 3);
    s.publish(message("a", "4"), 4);
    s.publish(message("a", "5"), 5);
    CHECK(s.app.outcomes == Outcomes{{1, kSent}, {5, kNotSent, NotSent::queue_full}});
    CHECK_FALSE(s.machine.has_output());
    s.written();
    CHECK(s.machine.has_output());
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 3 qos1 id1", "PUBLISH a 2", "PUBLISH a 4"});
    CHECK(s.app.outcomes.size() == 4);
}

TEST_CASE("publish: a batch is bounded, the rest can still expire", "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    for (std::uint64_t token = 1; token <= 10; ++token) {
        s.publish(message("a", std::string(20'000, 'x'), kQos1), token, kThisConnection,
                  s.now.steady + 1s);
    }
    CHECK(s.takes_unwritten().size() == 4);  // the first above 64 KiB is the last
    s.passes(1s);
    s.written();
    CHECK(s.takes().empty());
    CHECK(s.app.outcomes.size() == 6);
    CHECK(s.app.outcomes.front() == Outcome{5, kNotSent, NotSent::expired});
}

TEST_CASE("publish: expiry is checked when the message would go out, and before", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.publish(expiring(message("a", "late", kQos1), 5), 1);
    s.publish(expiring(message("a", "good", kQos1), 10), 2);
    s.publish(message("a", "ttl", kQos1), 3, PublishScope::session, s.now.steady + 1500ms);
    CHECK(s.machine.next_deadline() == s.now.steady + 1500ms);
    SECTION("by the deadline") {
        s.passes(1499ms);
        s.machine.on_deadline(s.now);
        CHECK(s.app.outcomes.empty());
        s.passes(1ms);
        s.machine.on_deadline(s.now);
        CHECK(s.app.take_outcomes() == Outcomes{{3, kNotSent, NotSent::expired}});
        CHECK(s.machine.next_deadline() == s.now.steady + 3500ms);
        s.passes(3500ms);
        s.machine.on_deadline(s.now);
        CHECK(s.app.take_outcomes() == Outcomes{{1, kNotSent, NotSent::expired}});
        s.passes(5s);
        s.machine.on_deadline(s.now);
        CHECK(s.app.take_outcomes() == Outcomes{{2, kNotSent, NotSent::expired}});
        CHECK_FALSE(s.machine.next_deadline());
    }
    SECTION("by the write, if nobody kept the time") {
        s.connects();
        s.passes(5s);
        auto expected = version == Version::v5 ? Lines{"PUBLISH a good qos1 id1 expiry5"}
                                               : Lines{"PUBLISH a good qos1 id1"};
        CHECK(lines_of(s.takes()) == expected);
        CHECK(s.app.outcomes ==
              Outcomes{{1, kNotSent, NotSent::expired}, {3, kNotSent, NotSent::expired}});
    }
}

TEST_CASE("publish: what is too late already is not taken", "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    s.publish(message("a", "x", kQos1), 1, PublishScope::session, s.now.steady);
    s.publish(expiring(message("a", "x"), 0), 2);
    CHECK(s.app.outcomes ==
          Outcomes{{1, kNotSent, NotSent::expired}, {2, kNotSent, NotSent::expired}});
    s.publish(message("a", "x", kQos1), 3, PublishScope::session, s.now.steady + 1ms);
    CHECK(s.takes().size() == 1);
}

TEST_CASE("publish: the rest of the life is sent, rounded up", "[client]") {
    ClientScript s{Version::v5, {.in_flight_max = 1}};
    s.connects();
    s.publish(expiring(message("a", "0"), 10));
    s.publish(expiring(message("a", "1", kQos1), 10));
    s.publish(expiring(message("a", "2", kQos1), 10));
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 0 expiry10", "PUBLISH a 1 qos1 id1 expiry10"});
    s.passes(2500ms);
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 2 qos1 id2 expiry8"});
}

TEST_CASE("publish: the largest expiry interval does not overflow", "[client]") {
    ClientScript s{Version::v5};
    s.publish(expiring(message("a", "x", kQos1), 0xFFFF'FFFF), 1);
    s.passes(1s);
    s.connects();
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a x qos1 id1 expiry4294967294"});
}

TEST_CASE("publish: bad topics and properties are not sent",
          "[client][v3.1.1][MQTT-3.3.2-2][v5.0][MQTT-3.3.2-2][MQTT-3.3.2-14]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    std::uint64_t token = 0;
    for (std::string topic : {"", "a/+", "#", "\xC3\x28"}) {
        s.publish(message(topic, "x"), ++token);
        CHECK(s.app.outcomes.back() == Outcome{token, kNotSent, NotSent::topic_invalid});
    }
    s.publish(message(std::string(65'536, 'x'), "x"), ++token);
    CHECK(s.app.outcomes.back() == Outcome{token, kNotSent, NotSent::topic_invalid});
    auto packet = message("a", "x");
    SECTION("response topic with a wildcard") {
        packet.properties.response_topic = "a/#";
    }
    SECTION("content type too long") {
        packet.properties.content_type = std::string(65'536, 'x');
    }
    SECTION("correlation data too long") {
        packet.properties.correlation_data = Buffer(65'536);
    }
    SECTION("user property not UTF-8") {
        packet.properties.user_properties = {{"k", "\xFF"}};
    }
    s.publish(packet, 99);
    CHECK(s.app.outcomes.back() == Outcome{99, kNotSent, NotSent::property_invalid});
    CHECK(s.takes().empty());
}

TEST_CASE("publish: the server's limits are kept",
          "[client][v5.0][MQTT-3.2.2-11][MQTT-3.2.2-14][MQTT-3.2.2-15]") {
    ClientScript s{Version::v5};
    s.publish(message("a", "queued", kQos2), 1);
    s.publish(message("a", std::string(50, 'x'), kQos1), 2);
    s.connects({.maximum_qos = kQos1, .retain_available = false, .maximum_packet_size = 40});
    CHECK(s.takes().empty());
    CHECK(s.app.take_outcomes() ==
          Outcomes{{1, kNotSent, NotSent::qos_not_supported}, {2, kNotSent, NotSent::too_large}});
    auto retained = message("a", "x");
    retained.retain = true;
    s.publish(retained, 3);
    s.publish(message("a", "x", kQos2), 4);
    // 2 fixed header, 3 topic, 2 id, 1 property length
    s.publish(message("a", std::string(33, 'x'), kQos1), 5);
    s.publish(message("a", std::string(35, 'x'), kQos0), 6);
    CHECK(s.app.take_outcomes() == Outcomes{{3, kNotSent, NotSent::retain_not_supported},
                                            {4, kNotSent, NotSent::qos_not_supported},
                                            {5, kNotSent, NotSent::too_large},
                                            {6, kNotSent, NotSent::too_large}});
    CHECK(s.machine.in_flight() == 0);
    s.publish(message("a", std::string(32, 'x'), kQos1), 7);
    s.publish(message("a", std::string(34, 'x'), kQos0), 8);
    CHECK(s.takes().size() == 2);
}

TEST_CASE("publish: for this connection only, the outcome tells whether it may have arrived",
          "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(kQos1, kQos2);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "taken", qos), 1, kThisConnection);
    static_cast<void>(s.takes_unwritten());
    s.publish(message("a", "waits", qos), 2, kThisConnection);
    s.publish(message("a", "0"), 3);
    s.drops();
    CHECK(s.app.take_outcomes() == Outcomes{{1, kUnknown},
                                            {2, kNotSent, NotSent::connection_lost},
                                            {3, kNotSent, NotSent::connection_lost}});
    s.connects({.session_present = true});
    auto expected = qos == kQos2 ? Lines{"PUBREL 1"} : Lines{};
    CHECK(lines_of(s.takes()) == expected);  // never the PUBLISH
}

TEST_CASE("publish: encoded but not taken is not sent", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "0"), 1);
    s.publish(message("a", "1", kQos1), 2, kThisConnection);
    s.publish(message("a", "2", kQos2), 3, kThisConnection);
    s.publish(message("a", "s", kQos1), 4);
    REQUIRE(s.machine.output_bytes() > 0);
    s.drops();
    CHECK(s.app.take_outcomes() == Outcomes{{1, kNotSent, NotSent::connection_lost},
                                            {2, kNotSent, NotSent::connection_lost},
                                            {3, kNotSent, NotSent::connection_lost}});
    CHECK_FALSE(s.machine.has_output());
    s.connects({.session_present = true});
    // New under a new id, without DUP: no byte of it ever left.
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a s qos1 id4"});
}

TEST_CASE("publish: disconnect() hands over what is encoded, then ends the rest", "[client]") {
    ClientScript s{Version::v5, {.in_flight_max = 2}};
    s.connects();
    s.publish(message("a", "1", kQos1), 1, kThisConnection);
    s.publish(message("a", "2", kQos1), 2);
    s.publish(message("a", "3", kQos1), 3, kThisConnection);
    s.machine.disconnect({}, s.now);
    CHECK(lines_of(s.takes()) ==
          Lines{"PUBLISH a 1 qos1 id1", "PUBLISH a 2 qos1 id2", "DISCONNECT 0x00"});
    CHECK(s.app.take_outcomes() ==
          Outcomes{{1, kUnknown}, {3, kNotSent, NotSent::connection_lost}});
    s.machine.abandon();
    CHECK(s.app.take_outcomes() == Outcomes{{2, kUnknown}});
}

TEST_CASE("publish: abandon() ends everything with an honest outcome", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "1", kQos1), 1);
    s.publish(message("a", "2", kQos2), 2);
    s.publish(message("a", "3", kQos2), 3);
    static_cast<void>(s.takes());
    s.gives(PubRec{.id = PacketId{3}});
    s.drops();
    s.publish(message("a", "4", kQos1), 4);
    CHECK(s.app.take_outcomes().empty());
    s.machine.abandon();
    CHECK(s.app.take_outcomes() ==
          Outcomes{{1, kUnknown}, {2, kUnknown}, {4, kNotSent, NotSent::abandoned}, {3, kUnknown}});
    CHECK(s.machine.queued() == 0);
    // The server may hold both QoS 2 ids: they are released before anything else uses them.
    s.connects({.session_present = true});
    CHECK(lines_of(s.takes()) == Lines{"PUBREL 3", "PUBREL 2"});
    s.gives(PubComp{.id = PacketId{3}});
    s.gives(PubComp{.id = PacketId{2}, .reason = ReasonCode::packet_identifier_not_found});
    CHECK(s.machine.in_flight() == 0);
    CHECK(s.app.take_outcomes().empty());
}

TEST_CASE("publish: the application may publish out of an outcome", "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    s.publish(message("a", "1", kQos1), 1);
    static_cast<void>(s.takes());
    s.app.then = [&] { s.publish(message("a", "2", kQos1), 2); };
    s.gives(PubAck{.id = PacketId{1}});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 2 qos1 id2"});
    s.app.then = [&] { s.publish(message("a", "4"), 4); };
    s.publish(message("a", "3"), 3);
    static_cast<void>(s.takes());  // the outcome of 3 publishes 4
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a 4"});
    s.publish(message("a", "5", kQos1), 5, kThisConnection);
    s.publish(message("a", "6", kQos1), 6, kThisConnection);
    s.app.then = [&] { s.publish(message("a", "7", kQos1), 7, kThisConnection); };
    s.drops();
    CHECK(s.app.outcomes.back() == Outcome{6, kNotSent, NotSent::connection_lost});
    CHECK(s.app.outcomes[s.app.outcomes.size() - 2] ==
          Outcome{7, kNotSent, NotSent::not_connected});
}
