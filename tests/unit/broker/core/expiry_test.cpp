// Message expiry and session expiry (3.3.2.3.3, 3.1.2.11.2).
#include <catch2/catch.hpp>

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
    explicit Pair(Version v = Version::v5, ScriptOptions options = {})
        : Script(options), version(v) {
        sub().sends(connect(v).resume()).gets(connack());
        sub().sends(subscribe(1, "t", qos2)).gets(suback(1));
        pub().sends(connect(Version::v5)).gets(connack());
    }
    ScriptLink& sub() { return link("sub"); }
    ScriptLink& pub() { return link("pub"); }
    void sub_returns() { sub().sends(connect(version).resume()).gets(connack().session_present()); }
    Version version;
};

}  // namespace

TEST_CASE("message expiry: counts down in the queue and ends there",
          "[v5.0][MQTT-3.3.2-5][MQTT-3.3.2-6][gotcha-40]") {
    auto version = GENERATE(values(kBoth));
    auto waited = GENERATE(0ms, 2'999ms, 3'000ms, 9'999ms, 10'000ms, 1min);
    Pair s{version};
    s.sub().drops();
    s.pub().sends(publish("t", "x", qos1, 1).expiry(10)).gets(puback(1));
    s.pub().sends(publish("t", "for ever", qos1, 1)).gets(puback(1));
    s.pass(waited);
    s.sub_returns();
    std::uint16_t id = 1;
    if (waited < 10s) {
        auto left = static_cast<std::uint32_t>(10 - waited / 1s);
        auto expected = publish("t", "x", qos1, id++);
        if (version == Version::v5) expected.expiry(left);
        s.sub().gets(expected);
    }
    s.sub().gets(publish("t", "for ever", qos1, id)).gets_nothing();
    CHECK(s.dropped().expired.read() == (waited < 10s ? 0 : 1));
}

TEST_CASE("message expiry: counts down in the retained store and ends there",
          "[v5.0][MQTT-3.3.2-5][MQTT-3.3.2-6][gotcha-40]") {
    auto version = GENERATE(values(kBoth));
    auto waited = GENERATE(0s, 3s, 9s, 10s, 3600s);
    std::string filter = GENERATE("r", "#");
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("r", "x").retain().expiry(10));
    s.pass(waited);
    s.link("late").sends(connect(version)).gets(connack());
    s.link("late").sends(subscribe(1, filter)).gets(suback(1));
    if (waited < 10s) {
        auto expected = publish("r", "x").retain();
        if (version == Version::v5) {
            expected.expiry(static_cast<std::uint32_t>(10 - waited / 1s));
        }
        s.link("late").gets(expected);
    }
    s.link("late").gets_nothing();
}

TEST_CASE("message expiry: an interval of 0 is over when it comes", "[gotcha-40]") {
    Pair s;
    auto qos = GENERATE(qos0, qos1);
    s.pub().sends(publish("t", "x", qos, 1).expiry(0));
    if (qos == qos1) s.pub().gets(puback(1));
    s.sub().gets_nothing();
    s.pub().sends(publish("r", "x").retain().expiry(0));
    s.sub().sends(subscribe(2, "r")).gets(suback(2)).gets_nothing();
}

TEST_CASE("message expiry: the largest interval does not overflow",
          "[v5.0][MQTT-3.3.2-6][gotcha-40]") {
    Pair s;
    s.sub().drops();
    s.pub().sends(publish("t", "x", qos1, 1).expiry(0xFFFF'FFFF)).gets(puback(1));
    s.pass(10s);
    s.sub_returns();
    s.sub().gets(publish("t", "x", qos1, 1).expiry(0xFFFF'FFFF - 10));
}

TEST_CASE("message expiry: judged when the socket takes it",
          "[v5.0][MQTT-3.3.2-5][MQTT-3.3.2-6][gotcha-40]") {
    auto version = GENERATE(values(kBoth));
    auto payload_size = GENERATE(1U, 20'000U);
    std::string const payload(payload_size, 'x');
    Pair s{version};
    s.sub().socket_takes(0);
    s.pub().sends(publish("t", payload).expiry(2));
    s.pub().sends(publish("t", payload, qos1, 1).expiry(2)).gets(puback(1));
    s.pub().sends(publish("t", payload, qos2, 2).expiry(60)).gets(pubrec(2));
    s.pub().sends(publish("t", "last", qos1, 1)).gets(puback(1));
    s.pass(3s);
    s.sub().socket_takes_all();
    auto expected = publish("t", payload, qos2, 2);
    if (version == Version::v5) expected.expiry(57);
    s.sub().gets(expected).gets(publish("t", "last", qos1, 3)).gets_nothing();
    CHECK(s.dropped().expired.read() == 2);
    // What was dropped is not in flight any more.
    CHECK(s.session("sub")->window.open_count() == 2);
    s.sub().drops();
    s.sub_returns();
    s.sub().gets(version == Version::v5 ? expected.dup() : expected.dup());
    s.sub().gets(publish("t", "last", qos1, 3).dup()).gets_nothing();
}

TEST_CASE("message expiry: a packet of which a byte is written goes on", "[v5.0][MQTT-4.3.3-7]") {
    auto cut = GENERATE(1U, 5U, 30U, 10'000U);
    std::string const payload(20'000, 'x');
    Pair s;
    s.sub().socket_takes(cut);
    s.pub().sends(publish("t", payload, qos1, 1).expiry(2)).gets(puback(1));
    s.pub().sends(publish("t", "late", qos1, 1).expiry(2)).gets(puback(1));
    s.pass(3s);
    s.sub().socket_takes_all();
    s.sub().gets(publish("t", payload, qos1, 1).expiry(2)).gets_nothing();
}

TEST_CASE("message expiry: what a stalled window held back is gone, and others take its place",
          "[v5.0][MQTT-3.3.2-5]") {
    Script s;
    s.link("sub").sends(connect(Version::v5).receive_maximum(1)).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "first", qos1, 1)).gets(puback(1));
    s.link("pub").sends(publish("t", "unlock", qos1, 1).expiry(2)).gets(puback(1));
    s.link("pub").sends(publish("t", "ring", qos1, 1).expiry(5)).gets(puback(1));
    s.link("sub").gets(publish("t", "first", qos1, 1));
    s.pass(3s);
    s.link("sub").sends(puback(1)).gets(publish("t", "ring", qos1, 2).expiry(2)).gets_nothing();
}

TEST_CASE("message expiry: none once PUBLISH was sent", "[v5.0][MQTT-4.3.3-7][gotcha-40]") {
    auto qos = GENERATE(qos1, qos2);
    Pair s;
    s.pub().sends(publish("t", "x", qos, 1).expiry(1));
    s.sub().gets(publish("t", "x", qos, 1).expiry(1)).drops();
    s.pass(3s);
    s.sub_returns();
    auto again = s.sub().takes<mqtt::Publish>();
    CHECK(again.dup);
    CHECK(again.id.value == 1);
    if (qos == qos2) s.sub().sends(pubrec(1)).gets(pubrel(1));
    s.sub().gets_nothing();
}

TEST_CASE("message expiry: what never reached the socket expires with its connection",
          "[v5.0][MQTT-3.3.2-5]") {
    // A link stalls and breaks: a command in its out-queue must not come an hour late.
    auto version = GENERATE(values(kBoth));
    bool broken_by_broker = GENERATE(false, true);
    Pair s{version};
    s.sub().socket_takes(0);
    s.pub().sends(publish("t", "unlock", qos1, 1).expiry(5)).gets(puback(1));
    s.pub().sends(publish("t", "ring", qos1, 1).expiry(7200)).gets(puback(1));
    if (broken_by_broker) {
        s.sub().sends(pingreq()).sends_bytes({std::byte{0xC1}, std::byte{0}});
        if (s.sub().is_open()) s.sub().socket_takes(0);
    }
    if (s.sub().is_open()) s.sub().drops();
    s.pass(30min);
    s.sub_returns();
    auto expected = publish("t", "ring", qos1, 2);
    if (version == Version::v5) expected.expiry(5400);
    s.sub().gets(expected).gets_nothing();
    CHECK(s.dropped().expired.read() == 1);
}

TEST_CASE("session expiry: a session waits just as long as it said",
          "[v5.0][MQTT-4.1.0-2][MQTT-3.1.2-23]") {
    auto away = GENERATE(0ms, 1'900ms, 2'100ms, 1h);
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(2)).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.pass(1h);  // the time counts from the end of the connection
    s.link("a").drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1, ReasonCode::success));
    s.pass(away);
    s.link("a").sends(connect(Version::v5).clean(false));
    s.link("a").gets(connack().session_present(away < 2s));
    if (away < 2s) s.link("a").gets(publish("t", "x", qos1, 1));
    s.link("a").gets_nothing();
    CHECK(s.dropped().session_ended.read() == (away < 2s ? 0 : 1));
}

TEST_CASE("session expiry: an expired session is gone without anybody coming back") {
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(2)).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos1).also("$share/g/t", qos1)).gets(suback(1)).drops();
    CHECK(s.index().subscription_count() == 2);
    s.pass(2'100ms);
    CHECK(s.core().sessions().size() == 0);
    CHECK(s.index().subscription_count() == 0);
    CHECK(s.count([](auto const& c) { return c.sessions.read(); }) == 0);
}

TEST_CASE("session expiry: judged at CONNECT even if its timer did not run yet") {
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(2)).gets(connack()).drops();
    // One jump: the CONNECT is in the same turn as the timer.
    s.jump(2s);
    s.link("a").sends(connect(Version::v5).clean(false)).gets(connack());
}

TEST_CASE("session expiry: the extremes", "[v5.0][MQTT-3.1.2-23][gotcha-9]") {
    auto expiry = GENERATE(0xFFFF'FFFEU, 0xFFFF'FFFFU);
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(expiry)).gets(connack()).drops();
    s.jump(std::chrono::hours{24 * 20});
    s.link("a").sends(connect(Version::v5).clean(false).expiry(expiry));
    s.link("a").gets(connack().session_present());
}

TEST_CASE("session expiry: the server's limit is told and applied",
          "[v5.0][MQTT-4.1.0-2][gotcha-9]") {
    auto version = GENERATE(values(kBoth));
    Script s{{.link = {.session_expiry_max = 10}}};
    s.link("a").sends(connect(version).resume());
    CHECK(s.link("a").takes<mqtt::ConnAck>().session_expiry_interval ==
          (version == Version::v5 ? std::optional<std::uint32_t>{10} : std::nullopt));
    s.link("a").drops();
    s.pass(9'900ms);
    s.link("a").sends(connect(version).resume()).gets(connack().session_present()).drops();
    s.pass(10'100ms);
    s.link("a").sends(connect(version).resume()).gets(connack());
}

TEST_CASE("session expiry: DISCONNECT changes it, within limits",
          "[v5.0][MQTT-4.1.0-2][MQTT-4.13.1-1][MQTT-3.14.2-2][gotcha-10]") {
    Script s{{.link = {.session_expiry_max = 100}}};
    auto return_after = [&](std::chrono::milliseconds time, bool present) {
        s.pass(time);
        s.link("a").sends(connect(Version::v5).clean(false));
        s.link("a").gets(connack().session_present(present));
    };
    SECTION("from 0 to more is an error") {
        s.link("a").sends(connect(Version::v5)).gets(connack());
        s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 5));
        s.link("a").gets(disconnect(ReasonCode::protocol_error)).closes();
        return_after(0ms, false);
    }
    SECTION("to 0 ends it now") {
        s.link("a").sends(connect(Version::v5).expiry(60)).gets(connack());
        s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
        CHECK(s.core().sessions().size() == 0);
        return_after(0ms, false);
    }
    SECTION("absent keeps what CONNECT said") {
        s.link("a").sends(connect(Version::v5).expiry(60)).gets(connack());
        s.link("a").sends(disconnect()).closes();
        return_after(59s, true);
    }
    SECTION("longer") {
        s.link("a").sends(connect(Version::v5).expiry(10)).gets(connack());
        s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 50)).closes();
        return_after(49s, true);
    }
    SECTION("longer than the limit") {
        s.link("a").sends(connect(Version::v5).expiry(10)).gets(connack());
        s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 500)).closes();
        return_after(101s, false);
    }
    SECTION("from what the limit made 0 it stays 0") {
        Script none{{.link = {.session_expiry_max = 0}}};
        none.link("w").sends(connect(Version::v5)).gets(connack());
        none.link("w").sends(subscribe(1, "w")).gets(suback(1));
        none.link("a").sends(connect(Version::v5).expiry(60).will(will("w", "gone")));
        CHECK(none.link("a").takes<mqtt::ConnAck>().session_expiry_interval == 0U);
        none.link("a").sends(disconnect(ReasonCode::normal_disconnection, 60)).closes();
        none.link("w").gets_nothing();
        CHECK(none.core().sessions().size() == 1);
    }
    SECTION("0 where it was 0 is fine") {
        s.link("a").sends(connect(Version::v5)).gets(connack());
        s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
    }
}
