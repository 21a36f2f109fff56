// Keep alive (3.1.2.10) and the server's own (3.2.2.3.14).
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

void expect_timeout(ScriptLink& client) {
    if (client.version() == Version::v5) client.gets(disconnect(ReasonCode::keep_alive_timeout));
    client.closes();
}

}  // namespace

TEST_CASE("keep alive: one and a half times, from the last whole packet that came",
          "[v3.1.1][MQTT-3.1.2-24][MQTT-3.12.4-1][v5.0][MQTT-3.1.2-22][MQTT-3.2.2-22]"
          "[MQTT-3.12.4-1][gotcha-17]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    auto& a = s.link("a");
    a.sends(connect(version).keep_alive(2)).gets(connack());
    for (int i = 0; i < 5; ++i) {
        s.pass(2'900ms);
        a.sends(pingreq()).gets(pingresp());
    }
    s.pass(2'950ms);
    a.gets_nothing();
    s.pass(100ms);
    expect_timeout(a);
    CHECK(s.count([](auto const& counters) { return counters.keep_alive_timeouts.read(); }) == 1);
}

TEST_CASE("keep alive: 0 is off, 65535 does not overflow",
          "[v3.1.1][MQTT-3.1.2-24][MQTT-4.1.0-2][v5.0][MQTT-3.1.2-22][gotcha-17]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("off").sends(connect(version).keep_alive(0)).gets(connack());
    s.link("long").sends(connect(version).keep_alive(65'535)).gets(connack());
    s.pass(std::chrono::milliseconds{65'535 * 1500 - 100});
    s.link("long").gets_nothing();
    s.pass(300ms);
    expect_timeout(s.link("long"));
    s.pass(48h);
    s.link("off").gets_nothing();
}

TEST_CASE("keep alive: half a packet and packets of the broker do not count",
          "[v3.1.1][MQTT-3.1.2-24][v5.0][MQTT-3.1.2-22][gotcha-17]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.link("pub").sends(connect(version)).gets(connack());
    auto& a = s.link("a");
    a.sends(connect(version).keep_alive(2)).gets(connack());
    a.sends(subscribe(1, "t")).gets(suback(1));
    for (int i = 0; i < 4; ++i) {
        s.pass(700ms);
        s.link("pub").sends(publish("t", "x"));
        a.gets(publish("t", "x"));
        a.sends_bytes(bytes_of("30"));  // the script drops what is no whole packet
    }
    s.pass(300ms);
    expect_timeout(a);
}

TEST_CASE("keep alive: the server's limit is told and holds", "[v5.0][MQTT-3.2.2-22][gotcha-17]") {
    auto version = GENERATE(values(kBoth));
    auto wanted =
        GENERATE(std::uint16_t{0}, std::uint16_t{4}, std::uint16_t{5}, std::uint16_t{100});
    Script s{{.link = {.keep_alive_max = 4}}};
    auto& a = s.link("a");
    a.sends(connect(version).keep_alive(wanted));
    bool replaced = wanted != 4;
    auto connack = a.takes<mqtt::ConnAck>();
    CHECK(connack.server_keep_alive ==
          (replaced && version == Version::v5 ? std::optional<std::uint16_t>{4} : std::nullopt));
    s.pass(5'950ms);
    a.gets_nothing();
    s.pass(100ms);
    expect_timeout(a);
}

TEST_CASE("keep alive: rests while the broker does not read") {
    Script s;
    auto& a = s.link("a");
    a.sends(connect(Version::v5).keep_alive(2)).gets(connack());
    a.link().paused = true;
    s.pass(1min);
    a.gets_nothing();
    a.link().paused = false;
    s.pass(2'900ms);
    a.gets_nothing();
    s.pass(3'100ms);
    expect_timeout(a);
}
