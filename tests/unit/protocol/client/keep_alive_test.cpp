#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

void until(ClientScript& s, std::chrono::milliseconds time) {
    s.passes(time);
    s.machine.on_deadline(s.now);
}

}  // namespace

TEST_CASE("keep alive: PINGREQ goes out when nothing else did for one interval",
          "[client][v3.1.1][MQTT-3.1.2-23][v5.0][MQTT-3.1.2-20]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connect.keep_alive = 10;
    s.connects();
    CHECK(s.machine.next_deadline() == s.now.steady + 10s);
    until(s, 9999ms);
    CHECK(s.takes().empty());
    until(s, 1ms);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
    s.gives(PingResp{});
    until(s, 9999ms);
    CHECK(s.takes().empty());
    until(s, 1ms);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
}

TEST_CASE("keep alive: traffic both ways puts PINGREQ off", "[client]") {
    ClientScript s{Version::v5};
    s.connect.keep_alive = 10;
    s.connects();
    for (int i = 0; i < 5; ++i) {
        s.publish(message("a", "x", kQos1));
        CHECK(lines_of(s.takes()).size() == 1);
        s.gives(PubAck{.id = PacketId{static_cast<std::uint16_t>(i + 1)}});
        until(s, 9s);
        CHECK(s.takes().empty());
    }
    CHECK_FALSE(s.app.closed);
}

TEST_CASE("keep alive: a client that only sends notices a dead server", "[client]") {
    ClientScript s{Version::v5, {.ping_timeout = 5s}};
    s.connect.keep_alive = 10;
    s.connects();
    until(s, 6s);
    s.publish(message("a", "1"));
    static_cast<void>(s.takes());
    until(s, 4s);  // 10 s since something came
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
    s.publish(message("a", "2"));
    static_cast<void>(s.takes());
    until(s, 4999ms);
    CHECK_FALSE(s.app.closed);
    until(s, 1ms);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::keep_alive_timeout);
    CHECK_FALSE(s.machine.has_output());
}

TEST_CASE("keep alive: a client that only receives sends PINGREQ",
          "[client][v3.1.1][MQTT-3.1.2-23][v5.0][MQTT-3.1.2-20]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connect.keep_alive = 10;
    s.connects();
    until(s, 5s);
    s.gives(message("a", "x"));
    until(s, 5s);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
}

TEST_CASE("keep alive: without PINGRESP the connection is given up", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version, {.ping_timeout = 3s}};
    s.connect.keep_alive = 10;
    s.connects();
    until(s, 10s);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
    CHECK(s.machine.next_deadline() == s.now.steady + 3s);
    SECTION("when nothing comes") {
        until(s, 2999ms);
        CHECK_FALSE(s.app.closed);
        until(s, 1ms);
        REQUIRE(s.app.closed);
        CHECK(s.app.closed->cause == CloseCause::keep_alive_timeout);
    }
    SECTION("not while other bytes come") {
        until(s, 2s);
        s.gives(message("a", "x"));
        until(s, 2s);
        CHECK_FALSE(s.app.closed);
        until(s, 1s);
        CHECK(s.app.closed);
    }
    SECTION("PINGRESP ends the wait") {
        until(s, 2s);
        s.gives(PingResp{});
        until(s, 5s);
        CHECK_FALSE(s.app.closed);
    }
}

TEST_CASE("keep alive: pings go on while an answer is late but bytes come", "[client]") {
    ClientScript s{Version::v5, {.ping_timeout = 5s}};
    s.connect.keep_alive = 10;
    s.connects();
    until(s, 10s);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
    for (int i = 0; i < 3; ++i) {
        until(s, 4s);
        s.gives(message("a", "x"));
    }
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
    CHECK_FALSE(s.app.closed);
}

TEST_CASE("keep alive: 0 is off", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    CHECK_FALSE(s.machine.next_deadline());
    until(s, 24h);
    CHECK(s.takes().empty());
    CHECK_FALSE(s.app.closed);
}

TEST_CASE("keep alive: the server's interval replaces the own one",
          "[client][v5.0][MQTT-3.1.2-21][MQTT-3.2.2-21]") {
    auto own = GENERATE(std::uint16_t{0}, std::uint16_t{10}, std::uint16_t{600});
    auto servers = GENERATE(std::uint16_t{0}, std::uint16_t{30});
    ClientScript s{Version::v5};
    s.connect.keep_alive = own;
    s.connects({.server_keep_alive = servers});
    if (servers == 0) {
        CHECK_FALSE(s.machine.next_deadline());
    } else {
        CHECK(s.machine.next_deadline() == s.now.steady + 30s);
    }
}

TEST_CASE("keep alive: the longest interval does not overflow", "[client]") {
    ClientScript s{Version::v3_1_1};
    s.connect.keep_alive = 65'535;
    s.connects();
    until(s, 65'534s);
    CHECK(s.takes().empty());
    until(s, 1s);
    CHECK(lines_of(s.takes()) == Lines{"PINGREQ"});
}

TEST_CASE("keep alive: time counts from what was handed to the transport", "[client]") {
    ClientScript s{Version::v5, {.ping_timeout = 2s}};
    s.connect.keep_alive = 10;
    s.connects();
    s.publish(message("a", "1"));
    until(s, 5s);
    CHECK(s.takes_unwritten().size() == 1);
    s.gives(PingResp{});
    until(s, 9s);
    CHECK_FALSE(s.machine.has_output());
    until(s, 1s);
    // The socket is full: PINGREQ waits, and the silence of the server counts all the same.
    CHECK(s.machine.has_output());
    until(s, 2s);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::keep_alive_timeout);
}
