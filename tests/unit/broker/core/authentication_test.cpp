// User name and password of CONNECT, judged at once or later (3.1.3.5, 3.1.3.6).
#include <catch2/catch.hpp>

#include "tests/support/fake_auth.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

ConnectBuilder with_password(Version version, std::string user, std::string_view password) {
    auto bytes = as_bytes(password);
    return connect(version).with([&](mqtt::Connect& packet) {
        packet.user_name = std::move(user);
        packet.password = Buffer{bytes.begin(), bytes.end()};
    });
}

template <class Builder>
Buffer encoded_as(Version version, Builder const& builder) {
    Buffer bytes;
    mqtt::encode(builder.packet(), version, bytes);
    return bytes;
}

struct Guarded {
    FakeAuthenticator door{};
    Script s;
    explicit Guarded(std::uint8_t shards = 1, std::chrono::milliseconds timeout = 10s)
        : s{{.link = {.connect_timeout = timeout, .authenticator = &door}, .shards = shards}} {
        door.users["anna"] = "right";
    }
};

}  // namespace

TEST_CASE(
    "authentication: a wrong password is refused with its code, a right one is not asked twice",
    "[v3.1.1][MQTT-3.2.2-4][v5.0][MQTT-3.2.2-6]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool later = GENERATE(false, true);
    Guarded g;
    g.door.holds = later;
    auto& a = g.s.link("a");
    a.sends(with_password(version, "anna", "wrong"));
    if (later) {
        a.gets_nothing();
        g.door.answer();
    }
    a.gets(connack(ReasonCode::bad_user_name_or_password)).closes();
    a.sends(with_password(version, "anna", "right"));
    if (later) g.door.answer();
    a.gets(connack()).gets_nothing();
    CHECK(g.s.count([](auto const& c) { return c.authentications_refused.read(); }) == 1);
}

TEST_CASE("authentication: without user name, as the door says") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Guarded g;
    g.door.anonymous = false;
    g.s.link("a").sends(connect(version)).gets(connack(ReasonCode::not_authorized)).closes();
    g.door.anonymous = true;
    g.s.link("a").sends(connect(version)).gets(connack());
}

TEST_CASE("authentication: MQTT 5 takes a password without a user name to the door",
          "[v5.0][MQTT-3.1.2-19]") {
    Guarded g;
    g.door.holds = true;
    g.s.link("a").sends(connect(Version::v5).with([](mqtt::Connect& packet) {
        packet.password = bytes_of("'token'");
    }));
    REQUIRE(g.door.held.size() == 1);
    CHECK_FALSE(g.door.held[0].credentials.user_name);
    CHECK(g.door.held[0].credentials.password == bytes_of("'token'"));
    g.door.answer();
    g.s.link("a").gets(connack());
}

TEST_CASE("authentication: what is sent behind CONNECT waits, and is dropped with a refusal",
          "[v3.1.1][MQTT-3.1.4-5][v5.0][MQTT-3.1.4-6][gotcha-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::uint8_t shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    bool good = GENERATE(false, true);
    Guarded g{shards};
    auto& watcher = g.s.link("watcher");
    watcher.sends(with_password(version, "anna", "right"));
    watcher.gets(connack()).sends(subscribe(1, "t")).gets(suback(1));
    g.door.holds = true;
    auto& a = g.s.link(g.s.id_on_shard(static_cast<std::uint8_t>(shards - 1), "a")).on_shard(0);
    a.sends_together(with_password(version, "anna", good ? "right" : "wrong"),
                     encoded_as(version, subscribe(1, "t")),
                     encoded_as(version, publish("t", "x")));
    a.sends(pingreq());
    a.gets_nothing();
    watcher.gets_nothing();
    g.door.answer();
    if (good) {
        a.gets(connack()).gets(suback(1)).gets(publish("t", "x")).gets(pingresp());
        watcher.gets(publish("t", "x"));
    } else {
        a.gets(connack(ReasonCode::bad_user_name_or_password)).closes();
        watcher.gets_nothing();
    }
}

TEST_CASE("authentication: a refused CONNECT leaves the connection and session of that id alone",
          "[v3.1.1][MQTT-3.1.4-2][v5.0][MQTT-3.1.4-2][gotcha-1][gotcha-3][gotcha-14]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Guarded g;
    auto& old = g.s.link("old");
    old.sends(with_password(version, "anna", "right").id("x").resume()).gets(connack());
    g.s.link("new").sends(with_password(version, "anna", "wrong").id("x"));
    g.s.link("new").gets(connack(ReasonCode::bad_user_name_or_password)).closes();
    old.gets_nothing();
    old.drops();
    old.sends(with_password(version, "anna", "right").id("x").resume());
    old.gets(connack().session_present());
}

TEST_CASE("authentication: a link that goes while it waits costs nothing") {
    Guarded g;
    g.door.holds = true;
    auto& a = g.s.link("a");
    SECTION("by itself") {
        a.sends(with_password(Version::v5, "anna", "right"));
        a.drops();
    }
    SECTION("because it takes too long") {
        a.sends(with_password(Version::v5, "anna", "right"));
        g.s.pass(10s);
        a.closes();
    }
    g.door.answer();
    CHECK(g.s.core().sessions().size() == 0);
    CHECK(g.s.count([](auto const& c) { return c.connections.read(); }) == 0);
}

TEST_CASE("authentication: what the transport has shown is the user name and needs no password") {
    Guarded g;
    g.door.holds = true;
    auto& a = g.s.link("a").opens();
    a.link().identity = std::make_unique<std::string>("bike-7");
    a.sends(with_password(Version::v5, "anna", "wrong"));
    REQUIRE(g.door.held.size() == 1);
    CHECK(g.door.held[0].credentials.user_name == "bike-7");
    CHECK(g.door.held[0].credentials.shown_by_transport);
    g.door.answer();
    a.gets(connack());
}
