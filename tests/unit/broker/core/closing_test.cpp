// How connections end, and what of their sessions stays (3.14, 4.13).
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

}  // namespace

TEST_CASE("closing: what stands behind a DISCONNECT is not processed",
          "[v5.0][MQTT-3.14.4-1][gotcha-59]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("watch").sends(connect(version)).gets(connack());
    s.link("watch").sends(subscribe(1, "#")).gets(suback(1));
    s.link("a").sends(connect(version)).gets(connack());
    s.link("a").sends_together(publish("t", "before"), disconnect(), publish("t", "behind"),
                               pingreq());
    s.link("a").closes();
    s.link("watch").gets(publish("t", "before")).gets_nothing();
}

TEST_CASE("closing: what stands behind an error is not processed, and it is told once",
          "[v3.1.1][MQTT-4.8.0-1][v5.0][MQTT-4.13.1-1][MQTT-4.13.2-1][MQTT-3.14.4-2][gotcha-59]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("watch").sends(connect(version)).gets(connack());
    s.link("watch").sends(subscribe(1, "#")).gets(suback(1));
    s.link("a").sends(connect(version)).gets(connack());
    s.link("a").sends_together(publish("t", "before", qos1, 1), bytes_of("C1 00"),
                               publish("t", "behind"), bytes_of("C1 00"));
    s.link("a").gets(puback(1));
    if (version == Version::v5) s.link("a").gets(disconnect(ReasonCode::malformed_packet));
    s.link("a").closes();
    s.link("watch").gets(publish("t", "before")).gets_nothing();
}

TEST_CASE("closing: a DISCONNECT of the broker never carries a session expiry",
          "[v5.0][MQTT-3.14.2-2][MQTT-3.14.2-1][gotcha-10]") {
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(60)).gets(connack());
    s.link("a").sends_bytes(bytes_of("C1 00"));
    auto packet = s.link("a").takes<mqtt::Disconnect>();
    CHECK_FALSE(packet.session_expiry_interval);
    s.link("a").closes();
    s.link("a").sends(connect(Version::v5).clean(false)).gets(connack().session_present());
}

TEST_CASE("closing: a client that is closed for an error keeps its session as after a failure") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("a").sends(connect(version).resume()).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos1)).gets(suback(1)).sends_bytes(bytes_of("C1 00"));
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link("a").sends(connect(version).resume()).gets(connack().session_present());
    s.link("a").gets(publish("t", "x", qos1, 1));
}

TEST_CASE("closing: a slow client gets what is queued before it is closed") {
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    auto& a = s.link("a");
    a.sends(connect(Version::v5)).gets(connack()).sends(subscribe(1, "t")).gets(suback(1));
    a.socket_takes(10);
    s.link("pub").sends(publish("t", std::string(5000, 'x')));
    a.sends_bytes(bytes_of("C1 00"));
    CHECK(a.is_open());
    // Nothing more is queued for it.
    s.link("pub").sends(publish("t", "later"));
    a.socket_takes_all();
    a.gets(publish("t", std::string(5000, 'x'))).gets(disconnect(ReasonCode::malformed_packet));
    a.closes();
}

TEST_CASE("closing: one whose last messages expired is closed all the same") {
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    auto& a = s.link("a");
    a.sends(connect(Version::v3_1_1)).gets(connack()).sends(subscribe(1, "t")).gets(suback(1));
    a.socket_takes(0);
    s.link("pub").sends(publish("t", "x").expiry(1));
    a.sends_bytes(bytes_of("C1 00"));
    CHECK(a.is_open());
    s.pass(2s);
    a.socket_takes_all().closes();
}

TEST_CASE("closing: lingering ends after its time") {
    Script s;
    auto& a = s.link("a");
    a.sends(connect(Version::v5)).gets(connack()).socket_takes(0);
    a.sends_bytes(bytes_of("C1 00"));
    REQUIRE(a.is_open());
    s.core().linger(a.link(), 2s);
    s.pass(1'900ms);
    CHECK_FALSE(a.link().linger_over);
    s.pass(200ms);
    CHECK(a.link().linger_over);
}

TEST_CASE(
    "shut down: MQTT 5 clients are told, all are closed, sessions and wills treated as after "
    "a failure") {
    Script s{{.shards = 2}};
    auto expect_end = [&](ScriptLink& client) {
        if (client.version() == Version::v5) {
            client.gets(disconnect(ReasonCode::server_shutting_down));
        }
        client.closes();
    };
    for (int i = 0; i < 10; ++i) {
        auto name = "c" + std::to_string(i);
        auto version = i % 2 == 0 ? Version::v5 : Version::v3_1_1;
        s.link(name).sends(connect(version).resume()).gets(connack());
    }
    s.shut_down();
    for (int i = 0; i < 10; ++i) expect_end(s.link("c" + std::to_string(i)));
    CHECK(s.count([](auto const& counters) { return counters.connections.read(); }) == 0);
    CHECK(s.count([](auto const& counters) { return counters.sessions.read(); }) == 10);
    CHECK(s.count([](auto const& counters) { return counters.protocol_errors.read(); }) == 0);
}

TEST_CASE("counters: connections and sessions go back to 0") {
    auto version = GENERATE(values(kBoth));
    Script s;
    auto connections = [&] { return s.count([](auto const& c) { return c.connections.read(); }); };
    auto sessions = [&] { return s.count([](auto const& c) { return c.sessions.read(); }); };
    s.link("a").sends(connect(version)).gets(connack());
    s.link("b").sends(connect(version).resume()).gets(connack());
    CHECK(connections() == 2);
    CHECK(sessions() == 2);
    s.link("a").drops();
    CHECK(connections() == 1);
    CHECK(sessions() == 1);
    s.link("b").sends(disconnect()).closes();
    CHECK(connections() == 0);
    CHECK(sessions() == 1);
    s.link("b").sends(connect(version)).gets(connack()).drops();
    CHECK(sessions() == 0);
}
