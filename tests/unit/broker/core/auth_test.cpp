// Enhanced authentication (3.15, 4.12).
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

Buffer text(std::string_view of) {
    auto bytes = as_bytes(of);
    return {bytes.begin(), bytes.end()};
}

ConnectBuilder connect_with(std::string method, std::optional<std::string> data) {
    return connect(Version::v5).with([&](mqtt::Connect& packet) {
        packet.authentication_method = std::move(method);
        if (data) packet.authentication_data = text(*data);
    });
}

PacketBuilder auth(ReasonCode reason, std::optional<std::string> method,
                   std::optional<std::string> data = std::nullopt) {
    mqtt::Auth packet;
    packet.reason = reason;
    packet.authentication_method = std::move(method);
    if (data) packet.authentication_data = text(*data);
    return PacketBuilder{packet};
}
PacketBuilder go_on(std::optional<std::string> data) {
    return auth(ReasonCode::continue_authentication, "echo", std::move(data));
}
PacketBuilder again(std::optional<std::string> data) {
    return auth(ReasonCode::re_authenticate, "echo", std::move(data));
}
PacketBuilder done() {
    return auth(ReasonCode::success, "echo", "bye");
}

struct Guarded {
    FakeAuthenticator door{};
    Script s;
    explicit Guarded(std::uint8_t shards = 1)
        : s{{.link = {.authenticator = &door}, .shards = shards}} {}

    /// A client that has been authenticated as "anna".
    ScriptLink& anna() {
        auto& a = s.link("a");
        a.sends(connect_with("echo", "quick:anna")).gets(connack());
        return a;
    }
};

}  // namespace

TEST_CASE("AUTH: an exchange leads to CONNACK, which names method and last data",
          "[v5.0][MQTT-4.12.0-2][MQTT-4.12.0-3][MQTT-4.12.0-5][gotcha-58]") {
    std::uint8_t shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    bool data_at_once = GENERATE(false, true);
    Guarded g{shards};
    auto& a = g.s.link(g.s.id_on_shard(static_cast<std::uint8_t>(shards - 1), "a")).on_shard(0);
    if (data_at_once) {
        a.sends(connect_with("echo", "anna"));
    } else {
        a.sends(connect_with("echo", std::nullopt)).gets(go_on(std::nullopt));
        a.sends(go_on("anna"));
    }
    a.gets(go_on("again:anna")).gets_nothing();
    a.sends(go_on("again:anna"));
    auto connack = a.takes<mqtt::ConnAck>();
    CHECK(connack.reason == ReasonCode::success);
    CHECK(connack.authentication_method == "echo");
    CHECK(connack.authentication_data == text("bye"));
    a.sends(pingreq()).gets(pingresp());
}

TEST_CASE("AUTH: a method that is not offered is refused", "[v5.0][MQTT-4.12.0-1][gotcha-58]") {
    Guarded g;
    g.s.link("a").sends(connect_with("other", "x"));
    g.s.link("a").gets(connack(ReasonCode::bad_authentication_method)).closes();
    Script open;
    open.link("a").sends(connect_with("echo", "x"));
    open.link("a").gets(connack(ReasonCode::bad_authentication_method)).closes();
}

TEST_CASE("AUTH: a failed exchange is refused in CONNACK", "[v5.0][MQTT-4.12.0-4][gotcha-58]") {
    Guarded g;
    auto& a = g.s.link("a");
    a.sends(connect_with("echo", "anna")).gets(go_on("again:anna"));
    a.sends(go_on("nonsense")).gets(connack(ReasonCode::not_authorized)).closes();
    CHECK(g.s.core().sessions().size() == 0);
}

TEST_CASE("AUTH: until CONNACK nothing but AUTH and DISCONNECT is legal",
          "[v5.0][MQTT-3.1.2-30][gotcha-16][gotcha-58]") {
    Guarded g;
    auto& a = g.s.link("a");
    a.sends(connect_with("echo", "anna")).gets(go_on("again:anna"));
    SECTION("DISCONNECT ends it without a word") {
        a.sends(disconnect()).closes();
    }
    SECTION("another method") {
        a.sends(auth(ReasonCode::continue_authentication, "other", "again:anna"));
        a.gets(connack(ReasonCode::protocol_error)).closes();
    }
    SECTION("AUTH which does not continue") {
        auto reason = GENERATE(ReasonCode::success, ReasonCode::re_authenticate);
        a.sends(auth(reason, "echo", "again:anna"));
        a.gets(connack(ReasonCode::protocol_error)).closes();
    }
    SECTION("AUTH without a method") {
        a.sends_bytes(bytes_of("F0 02 18 00")).gets(connack(ReasonCode::protocol_error)).closes();
    }
    SECTION("broken bytes") {
        a.sends_bytes(bytes_of("F1 00")).gets(connack(ReasonCode::malformed_packet)).closes();
    }
    SECTION("anything else") {
        auto packet = GENERATE(0, 1, 2, 3, 4);
        if (packet == 0) a.sends(pingreq());
        if (packet == 1) a.sends(subscribe(1, "t"));
        if (packet == 2) a.sends(publish("t", "x"));
        if (packet == 3) a.sends(puback(1));
        if (packet == 4) a.sends(connect_with("echo", "anna"));
        a.gets(connack(ReasonCode::protocol_error)).closes();
    }
    CHECK(g.s.core().sessions().size() == 0);
}

TEST_CASE("AUTH: an exchange that takes too long ends") {
    Guarded g;
    g.s.link("a").sends(connect_with("echo", "anna")).gets(go_on("again:anna"));
    g.s.pass(10s);
    g.s.link("a").closes();
}

TEST_CASE("AUTH: without a method in CONNECT there is none either way",
          "[v5.0][MQTT-4.12.0-6][MQTT-4.12.0-7][gotcha-58]") {
    Guarded g;
    auto& a = g.s.link("a");
    a.sends(connect(Version::v5));
    CHECK_FALSE(a.takes<mqtt::ConnAck>().authentication_method);
    auto reason = GENERATE(ReasonCode::continue_authentication, ReasonCode::re_authenticate);
    a.sends(auth(reason, "echo", "anna"));
    a.gets(disconnect(ReasonCode::protocol_error)).closes();
}

TEST_CASE("AUTH: a client may show again who it is, and goes on meanwhile",
          "[v5.0][MQTT-4.12.1-1][gotcha-58]") {
    Guarded g;
    auto& a = g.anna();
    for (int i = 0; i < 2; ++i) {
        a.sends(again("anna")).gets(go_on("again:anna"));
        a.sends(pingreq()).gets(pingresp());
        a.sends(go_on("again:anna")).gets(done()).gets_nothing();
    }
    a.sends(again(std::nullopt)).gets(go_on(std::nullopt));
    a.sends(go_on("quick:anna")).gets(done());
}

TEST_CASE("AUTH: who fails to show it again is disconnected", "[v5.0][MQTT-4.12.1-2][gotcha-58]") {
    Guarded g;
    auto& a = g.anna();
    SECTION("with wrong data") {
        a.sends(again("anna")).gets(go_on("again:anna")).sends(go_on("nonsense"));
    }
    SECTION("as another user") {
        a.sends(again("quick:bert"));
    }
    SECTION("since the method is no longer offered") {
        g.door.offers_echo = false;
        a.sends(again("quick:anna"));
    }
    a.gets(disconnect(ReasonCode::not_authorized)).closes();
}

TEST_CASE("AUTH: out of turn on a connected link is a protocol error",
          "[v5.0][MQTT-4.12.1-1][MQTT-4.12.0-3][gotcha-58]") {
    Guarded g;
    auto& a = g.anna();
    SECTION("goes on with nothing") {
        a.sends(go_on("x"));
    }
    SECTION("success is the server's word") {
        a.sends(auth(ReasonCode::success, "echo", "x"));
    }
    SECTION("begins twice") {
        a.sends(again("anna")).gets(go_on("again:anna")).sends(again("anna"));
    }
    SECTION("another method") {
        a.sends(auth(ReasonCode::re_authenticate, "other", "quick:anna"));
    }
    a.gets(disconnect(ReasonCode::protocol_error)).closes();
}
