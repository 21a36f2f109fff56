#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

ConnAck refusal(ReasonCode reason) {
    ConnAck packet;
    packet.reason = reason;
    return packet;
}

Will will_of(Version version) {
    Will will;
    will.topic = "d/bike-7/up";
    will.payload = to_buffer("gone");
    will.qos = kQos1;
    will.retain = true;
    if (version == Version::v5) {
        will.will_delay_interval = 20;
        will.properties.content_type = "text/plain";
    }
    return will;
}

}  // namespace

TEST_CASE("connect: CONNECT goes out first, with everything that was asked for",
          "[client][v3.1.1][MQTT-3.1.0-1][v5.0][MQTT-3.1.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connect.keep_alive = 60;
    s.connect.will = will_of(version);
    s.connect.user_name = "bike";
    s.connect.password = to_buffer("secret");
    if (version == Version::v5) {
        s.connect.session_expiry_interval = 3600;
        s.connect.receive_maximum = 20;
        s.connect.maximum_packet_size = 5000;
        s.connect.topic_alias_maximum = 8;
        s.connect.request_response_information = true;
        s.connect.request_problem_information = false;
        s.connect.user_properties = {{"a", "1"}, {"a", "2"}};
    }
    s.opens();
    auto packets = s.takes();
    REQUIRE(packets.size() == 1);
    CHECK(std::get<Connect>(packets[0]) == s.connect);
    CHECK_FALSE(s.machine.is_connected());
    s.gives(ConnAck{});
    CHECK(s.machine.is_connected());
    CHECK(s.app.connacks == std::vector{ConnAck{}});
}

TEST_CASE("connect: v5 announces the machine's own packet limit", "[client]") {
    ClientScript s{Version::v5, {.packet_size_max = 2000}};
    s.opens();
    auto packets = s.takes();
    CHECK(std::get<Connect>(packets.at(0)).maximum_packet_size == 2000);
}

TEST_CASE("connect: what the server said about itself reaches the application", "[client]") {
    ClientScript s{Version::v5};
    ConnAck connack;
    connack.receive_maximum = 5;
    connack.response_information = "re/bike-7";
    connack.user_properties = {{"region", "eu"}};
    s.connects(connack);
    CHECK(s.app.connacks == std::vector{connack});
}

TEST_CASE("connect: a refused connection is closed with the server's reason",
          "[client][v5.0][MQTT-4.13.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    auto connack = refusal(ReasonCode::not_authorized);
    if (version == Version::v5) {
        connack.reason_string = "ask the operator";
        connack.server_reference = "other:1883";
    }
    s.connects(connack);
    auto closed = s.app.take_closed();
    REQUIRE(closed);
    CHECK(closed->cause == CloseCause::refused);
    CHECK(closed->reason == ReasonCode::not_authorized);
    if (version == Version::v5) {
        CHECK(closed->text ==
              "server refused the connection: not authorized (0x87): ask the operator");
        CHECK(closed->server_reference == "other:1883");
    } else {
        CHECK(closed->text == "server refused the connection: not authorized");
    }
    CHECK(s.machine.is_closed());
    CHECK_FALSE(s.machine.has_output());
    CHECK(s.app.connacks.empty());
}

TEST_CASE("connect: without CONNACK in time the connection is given up", "[client]") {
    ClientScript s{Version::v5, {.connect_timeout = 5s}};
    s.opens();
    CHECK(s.machine.next_deadline() == s.now.steady + 5s);
    s.passes(4999ms);
    s.machine.on_deadline(s.now);
    CHECK_FALSE(s.app.closed);
    s.passes(1ms);
    s.machine.on_deadline(s.now);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::connect_timeout);
    CHECK_FALSE(s.machine.has_output());
    CHECK_FALSE(s.machine.next_deadline());
}

TEST_CASE("connect: any packet before CONNACK breaks the protocol",
          "[client][v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto packet = GENERATE(Packet{PingResp{}}, Packet{message("a", "x")},
                           Packet{PubAck{.id = PacketId{1}}}, Packet{PubRel{.id = PacketId{1}}});
    ClientScript s{version};
    s.opens();
    static_cast<void>(s.takes());
    s.gives(packet);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::server_error);
    CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    CHECK(s.app.messages.empty());
    CHECK(s.takes().empty());
}

TEST_CASE("connect: a second CONNACK and packets of clients break the protocol", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto packet =
        GENERATE(Packet{ConnAck{}}, Packet{PingReq{}},
                 Packet{Subscribe{.id = PacketId{1}, .subscriptions = {{"a", {}}}}},
                 Packet{Unsubscribe{.id = PacketId{1}, .filters = {"a"}}}, Packet{Connect{}});
    ClientScript s{version};
    s.connects();
    s.gives(packet);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::server_error);
    auto lines = lines_of(s.takes());
    if (version == Version::v5) {
        REQUIRE(lines.size() == 1);
        CHECK((lines[0] == "DISCONNECT 0x82" || lines[0] == "DISCONNECT 0x81"));
    } else {
        CHECK(lines.empty());  // DISCONNECT would suppress the will
    }
}

TEST_CASE("connect: malformed bytes end the connection with the right code", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    auto bytes = std::array{std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF}, std::byte{0xFF},
                            std::byte{0xFF}};
    s.gives_bytes(bytes);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::server_error);
    CHECK(s.app.closed->reason == ReasonCode::malformed_packet);
    CHECK(s.app.closed->text.starts_with("server broke the protocol: malformed packet: "));
    auto expected = version == Version::v5 ? Lines{"DISCONNECT 0x81"} : Lines{};
    CHECK(lines_of(s.takes()) == expected);
}

TEST_CASE("connect: a packet above the own limit is refused on its fixed header", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version, {.packet_size_max = 100}};
    s.connects();
    Buffer fits;
    auto packet = message("a", std::string(100 - 5 - (version == Version::v5 ? 1 : 0), 'x'));
    encode(packet, version, fits);
    REQUIRE(fits.size() == 100);
    s.gives_bytes(fits);
    CHECK(s.app.messages.size() == 1);
    auto header = std::array{std::byte{0x30}, std::byte{99}};  // 101 bytes in all
    s.gives_bytes(header);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->reason == ReasonCode::packet_too_large);
    auto expected = version == Version::v5 ? Lines{"DISCONNECT 0x95"} : Lines{};
    CHECK(lines_of(s.takes()) == expected);
}

TEST_CASE("connect: disconnect() says DISCONNECT and nothing after it",
          "[client][v3.1.1][MQTT-3.14.4-2][v5.0][MQTT-3.14.4-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.publish(message("a", "last"), 1);
    s.machine.disconnect({}, s.now);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::requested);
    CHECK(s.app.outcomes == std::vector<Outcome>{{1, kSent}});
    s.publish(message("a", "later"), 2);
    s.machine.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1}, s.now);
    s.gives(PingResp{});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a last", "DISCONNECT 0x00"});
    CHECK_FALSE(s.machine.has_output());
}

TEST_CASE("connect: DISCONNECT carries what v5 allows and keeps the server's size limit",
          "[client][v5.0][MQTT-3.14.2-3]") {
    ClientScript s{Version::v5};
    s.connects({.maximum_packet_size = 40});
    Disconnect packet{.reason = ReasonCode::disconnect_with_will_message,
                      .reason_string = GENERATE(std::string(10, 'r'), std::string(100, 'r'))};
    s.machine.disconnect(packet, s.now);
    auto packets = s.takes();
    REQUIRE(packets.size() == 1);
    auto const& sent = std::get<Disconnect>(packets[0]);
    CHECK(sent.reason == ReasonCode::disconnect_with_will_message);
    CHECK(sent.reason_string.has_value() == (packet.reason_string->size() == 10));
}

TEST_CASE("connect: a server's DISCONNECT closes with its reason",
          "[client][v5.0][MQTT-4.13.2-1]") {
    ClientScript s{Version::v5};
    s.connects();
    s.gives(Disconnect{.reason = ReasonCode::session_taken_over,
                       .reason_string = "elsewhere",
                       .server_reference = "b:1"});
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::server_disconnect);
    CHECK(s.app.closed->reason == ReasonCode::session_taken_over);
    CHECK(s.app.closed->text ==
          "server closed the connection: session taken over (0x8E): elsewhere");
    CHECK(s.app.closed->server_reference == "b:1");
    CHECK_FALSE(s.machine.has_output());
}

TEST_CASE("connect: the transport's end is told with its text, once", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.drops("connection reset by peer");
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::transport);
    CHECK(s.app.closed->text == "connection reset by peer");
    s.drops("again");
    s.gives(PingResp{});
    CHECK(s.app.closed->text == "connection reset by peer");
}

TEST_CASE("connect: a session that the client does not know is an error",
          "[client][v5.0][MQTT-3.2.2-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    SECTION("on the first connection") {
        ClientScript s{version};
        s.connects({.session_present = true});
        REQUIRE(s.app.closed);
        CHECK(s.app.closed->reason == ReasonCode::protocol_error);
        CHECK(s.app.connacks.empty());
    }
    SECTION("unless it may be inherited") {
        ClientScript s{version, {.may_inherit_session = true}};
        s.connects({.session_present = true});
        CHECK(s.machine.is_connected());
    }
    SECTION("with clean start it always is") {
        ClientScript s{version, {.may_inherit_session = true}};
        s.connect.clean_start = true;
        s.connects();
        s.drops();
        s.connects({.session_present = true});
        REQUIRE(s.app.closed);
        CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    }
    SECTION("after a first connection it is known") {
        ClientScript s{version};
        s.connects();
        s.drops();
        s.connects({.session_present = true});
        CHECK(s.machine.is_connected());
    }
}

TEST_CASE("connect: the assigned client id is used to come back", "[client]") {
    ClientScript s{Version::v5};
    s.connect.client_id = "";
    s.connects({.assigned_client_identifier = "auto-1"});
    CHECK(s.machine.assigned_client_id() == "auto-1");
    s.drops();
    s.app.closed.reset();
    SECTION("to the session") {
        s.opens();
        CHECK(std::get<Connect>(s.takes().at(0)).client_id == "auto-1");
    }
    SECTION("but not with clean start") {
        s.connect.clean_start = true;
        s.opens();
        CHECK(std::get<Connect>(s.takes().at(0)).client_id.empty());
    }
}

TEST_CASE("connect: enhanced authentication goes back and forth with one method",
          "[client][v5.0][MQTT-4.12.0-5][MQTT-4.12.0-3]") {
    ClientScript s{Version::v5};
    s.connect.authentication_method = "SCRAM";
    s.connect.authentication_data = to_buffer("c1");
    s.opens();
    static_cast<void>(s.takes());
    Auth challenge{.reason = ReasonCode::continue_authentication,
                   .authentication_method = "SCRAM",
                   .authentication_data = to_buffer("s1")};
    s.app.then = [&] {
        s.machine.authenticate({.reason = ReasonCode::continue_authentication,
                                .authentication_method = "SCRAM",
                                .authentication_data = to_buffer("c2")},
                               s.now);
    };
    s.gives(challenge);
    CHECK(s.app.auths == std::vector{challenge});
    CHECK(lines_of(s.takes()) == Lines{"AUTH 0x18"});
    SECTION("CONNACK has the method too") {
        s.gives(ConnAck{.authentication_method = "SCRAM"});
        CHECK(s.machine.is_connected());
    }
    SECTION("CONNACK with none is an error") {
        s.gives(ConnAck{});
        REQUIRE(s.app.closed);
        CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    }
    SECTION("AUTH with another is an error") {
        s.gives(
            Auth{.reason = ReasonCode::continue_authentication, .authentication_method = "OTHER"});
        REQUIRE(s.app.closed);
        CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    }
}

TEST_CASE("connect: AUTH without a method in CONNECT is an error", "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    s.gives(Auth{.reason = ReasonCode::continue_authentication, .authentication_method = "SCRAM"});
    REQUIRE(s.app.closed);
    CHECK(lines_of(s.takes()) == Lines{"DISCONNECT 0x82"});
}

TEST_CASE("connect: nothing but AUTH and DISCONNECT goes out before CONNACK",
          "[client][v5.0][MQTT-3.1.2-30]") {
    ClientScript s{Version::v5};
    s.connect.authentication_method = "SCRAM";
    s.connect.keep_alive = 1;
    s.opens();
    static_cast<void>(s.takes());
    s.publish(message("a", "x", kQos1), 1);
    s.publish(message("a", "x", kQos0), 2);
    s.machine.subscribe({.subscriptions = {{"a", {}}}}, RequestToken{1}, s.now);
    s.passes(3s);
    s.machine.on_deadline(s.now);
    CHECK(s.takes().empty());
    s.gives(ConnAck{.authentication_method = "SCRAM"});
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH a x qos1 id1"});
}

TEST_CASE("connect: bytes may come in any pieces", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto piece =
        GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{3}, std::size_t{7}, std::size_t{1000});
    ClientScript s{version};
    s.opens();
    static_cast<void>(s.takes());
    Buffer bytes;
    encode(ConnAck{}, version, bytes);
    for (int i = 0; i < 3; ++i) {
        encode(message("topic/" + std::to_string(i), std::string(200, 'p'), kQos1,
                       static_cast<std::uint16_t>(i + 1)),
               version, bytes);
        encode(PingResp{}, version, bytes);
    }
    for (auto rest = Bytes{bytes}; !rest.empty();) {
        auto part = rest.first(std::min(piece, rest.size()));
        s.gives_bytes(Buffer{part.begin(), part.end()});  // a copy, so that nothing may keep views
        rest = rest.subspan(part.size());
    }
    CHECK_FALSE(s.app.closed);
    REQUIRE(s.app.messages.size() == 3);
    CHECK(s.app.messages[2].packet.topic == "topic/2");
    CHECK(lines_of(s.takes()) == Lines{"PUBACK 1", "PUBACK 2", "PUBACK 3"});
}

TEST_CASE("connect: what comes behind the end of a connection is ignored", "[client]") {
    ClientScript s{Version::v5};
    s.connects();
    Buffer bytes;
    encode(message("a", "1"), s.version, bytes);
    encode(Disconnect{.reason = ReasonCode::server_shutting_down}, s.version, bytes);
    encode(message("a", "2"), s.version, bytes);
    s.gives_bytes(bytes);
    CHECK(s.app.messages.size() == 1);
    CHECK(s.machine.is_closed());
}

TEST_CASE("connect: a machine closed out of an event stops at once and can be opened again",
          "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.app.then = [&] { s.machine.disconnect({}, s.now); };
    Buffer bytes;
    encode(message("a", "1", kQos1, 1), version, bytes);
    encode(message("a", "2", kQos1, 2), version, bytes);
    bytes.push_back(std::byte{0x30});  // and the beginning of a third
    s.gives_bytes(bytes);
    CHECK(s.app.messages.size() == 1);
    CHECK(lines_of(s.takes()) == Lines{"DISCONNECT 0x00"});
    s.connects({.session_present = true});
    CHECK(s.machine.is_connected());
}
