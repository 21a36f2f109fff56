// Retained messages as clients see them (3.3.1.3, 3.8.3.1).
#include <catch2/catch.hpp>
#include <set>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::RetainHandling;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

struct Two : Script {
    explicit Two(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        a().sends(connect(v).resume()).gets(connack());
        pub().sends(connect(v)).gets(connack());
    }
    ScriptLink& a() { return link("a"); }
    ScriptLink& pub() { return link("pub"); }
    Version version;
};

}  // namespace

TEST_CASE("retained: the last message of each topic goes to new subscriptions, with RETAIN",
          "[v3.1.1][MQTT-3.3.1-5][MQTT-3.3.1-6][MQTT-3.3.1-7][MQTT-3.3.1-8][MQTT-3.1.2-7][v5.0]"
          "[MQTT-3.3.1-5][MQTT-3.3.1-9][gotcha-46]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.pub().sends(publish("r/1", "old", qos1, 1).retain()).gets(puback(1));
    s.pub().sends(publish("r/1", "new", qos0).retain());
    s.pub().sends(publish("r/2", "two", qos1, 1).retain()).gets(puback(1)).drops();
    s.a().sends(subscribe(1, "r/+", qos2)).gets(suback(1));
    auto packets = answer_all(s.a());
    REQUIRE(packets.size() == 2);
    std::ranges::sort(packets, {}, &mqtt::Publish::topic);
    CHECK(packets[0] == publish("r/1", "new").retain().value());
    CHECK(packets[1] == publish("r/2", "two", qos1, 1).retain().value());
}

TEST_CASE("retained: an empty message removes and is delivered as any other",
          "[v3.1.1][MQTT-3.3.1-10][MQTT-3.3.1-11][v5.0][MQTT-3.3.1-6][MQTT-3.3.1-7][gotcha-46]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.pub().sends(publish("r", "x").retain());
    s.link("sub").sends(connect(version)).gets(connack());
    s.link("sub").sends(subscribe(1, "#")).gets(suback(1)).gets(publish("r", "x").retain());
    s.pub().sends(publish("r", "").retain()).sends(publish("fresh", "").retain());
    s.link("sub").gets(publish("r", "")).gets(publish("fresh", "")).gets_nothing();
    s.a().sends(subscribe(1, "#")).gets(suback(1)).gets_nothing();
    CHECK(s.retained().count() == 0);
}

TEST_CASE("retained: without RETAIN nothing is stored or changed",
          "[v3.1.1][MQTT-3.3.1-12][v5.0][MQTT-3.3.1-8][gotcha-46]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.pub().sends(publish("r", "x").retain());
    s.pub().sends(publish("r", "plain")).sends(publish("r", "")).sends(publish("other", "y"));
    s.a().sends(subscribe(1, "#")).gets(suback(1)).gets(publish("r", "x").retain()).gets_nothing();
}

TEST_CASE("retain handling: at every subscription, at a new one, never",
          "[v5.0][MQTT-3.3.1-9][MQTT-3.3.1-10][MQTT-3.3.1-11][gotcha-49]") {
    auto handling =
        GENERATE(RetainHandling::send, RetainHandling::send_if_new, RetainHandling::do_not_send);
    Two s{Version::v5};
    s.pub().sends(publish("r", "x").retain());
    auto subscribes = [&](bool is_new, mqtt::Qos qos = qos0) {
        s.a().sends(subscribe(1, "r", qos).retain_handling(handling)).gets(suback(1));
        bool expected =
            handling == RetainHandling::send || (handling == RetainHandling::send_if_new && is_new);
        if (expected) s.a().gets(publish("r", "x").retain());
        s.a().gets_nothing();
    };
    subscribes(true);
    subscribes(false);
    subscribes(false, qos1);  // other options do not make it new
    s.a().drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    subscribes(false);  // nor does coming back
    s.a().sends(unsubscribe(2, {"r"})).gets(unsuback(2));
    subscribes(true);
    s.pub().sends(publish("r", "live"));
    s.a().gets(publish("r", "live"));
}

TEST_CASE("retain handling: 3.1.1 sends at every SUBSCRIBE", "[v3.1.1][MQTT-3.8.4-3][gotcha-49]") {
    Two s{Version::v3_1_1};
    s.pub().sends(publish("r", "x").retain());
    for (std::uint16_t i = 1; i < 4; ++i) {
        s.a().sends(subscribe(i, "r")).gets(suback(i)).gets(publish("r", "x").retain());
    }
}

TEST_CASE("retained: each filter of a SUBSCRIBE brings its own",
          "[v3.1.1][MQTT-3.8.4-4][v5.0][MQTT-3.8.4-5]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    for (std::string topic : {"x", "y", "z"}) s.pub().sends(publish(topic, topic).retain());
    s.a().sends(subscribe(1, "x").also("y").also("$share/g/z")).gets(suback(1));
    s.a().gets(publish("x", "x").retain()).gets(publish("y", "y").retain()).gets_nothing();
}

TEST_CASE("retained: carries the identifier of the SUBSCRIBE that asked, and no other",
          "[v5.0][MQTT-3.3.4-3][gotcha-47]") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "#", qos0).identifier(1)).gets(suback(1));
    s.pub().sends(publish("r", "x").retain());
    s.a().gets(publish("r", "x").ids({1}));
    s.a().sends(subscribe(2, "r", qos0).identifier(2)).gets(suback(2));
    s.a().gets(publish("r", "x").retain().ids({2})).gets_nothing();
    s.a().sends(subscribe(3, "+", qos0)).gets(suback(3));
    s.a().gets(publish("r", "x").retain()).gets_nothing();
}

TEST_CASE("retained: own messages come too, also with no local", "[gotcha-51]") {
    // The text leaves it open; what a client retained is its state to be read back.
    Two s{Version::v5};
    s.a().sends(publish("r", "mine").retain());
    s.a().sends(subscribe(1, "r").no_local()).gets(suback(1));
    s.a().gets(publish("r", "mine").retain()).gets_nothing();
}

TEST_CASE("retained: wildcards in the first level do not reach topics with $",
          "[v3.1.1][MQTT-4.7.2-1][v5.0][MQTT-4.7.2-1][gotcha-55]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.pub().sends(publish("$t/x", "x").retain());
    s.a().sends(subscribe(1, "#").also("+/x").also("+/#")).gets(suback(1)).gets_nothing();
    s.a().sends(subscribe(2, "$t/#")).gets(suback(2)).gets(publish("$t/x", "x").retain());
}

TEST_CASE("retained: thousands come in slices, each once, whatever the window",
          "[v5.0][MQTT-3.3.4-9][MQTT-4.9.0-2]") {
    auto version = GENERATE(values(kBoth));
    auto window = GENERATE(std::uint16_t{1}, std::uint16_t{10}, std::uint16_t{1000});
    auto qos = GENERATE(qos0, qos1, qos2);
    constexpr int kCount = 1500;
    Script s{{.link = {.inflight_max = window}}};
    s.link("pub").sends(connect(version)).gets(connack());
    for (int i = 0; i < kCount; ++i) {
        auto topic = "r/" + std::to_string(i % 40) + "/" + std::to_string(i);
        s.link("pub").sends(publish(topic, std::to_string(i), qos, 1).retain());
        if (qos == qos1) s.link("pub").gets(puback(1));
        if (qos == qos2) s.link("pub").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
    auto& a = s.link("a");
    a.sends(connect(version)).gets(connack());
    a.sends(subscribe(1, "r/#", qos)).gets(suback(1));
    if (qos != qos0) CHECK(a.waiting() <= window);
    std::set<std::string> topics;
    for (auto const& packet : answer_all(a)) {
        CHECK(packet.retain);
        if (!topics.insert(packet.topic).second) FAIL(packet.topic << " came twice");
    }
    CHECK(topics.size() == kCount);
    CHECK(s.dropped().queue_full.read() == 0);
    CHECK_FALSE(s.core().has_work());
}

TEST_CASE("retained: a slow receiver gets all of them, and its queue stays bounded") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1);
    Two s{version,
          {.settings = {.queue_messages_max = 300}, .link = {.out_queue_bytes_max = 5000}}};
    for (int i = 0; i < 2000; ++i) {
        s.pub().sends(publish("r/" + std::to_string(i), std::string(100, 'x'), qos, 1).retain());
        if (qos == qos1) s.pub().gets(puback(1));
    }
    s.a().socket_takes(100);
    s.a().sends(subscribe(1, "r/#", qos));
    CHECK(s.a().link().out.bytes() < 80'000);
    std::size_t got = 0;
    for (int i = 0; i < 10'000 && got < 2000; ++i) {
        s.a().socket_takes(3000);
        if (i == 0) s.a().gets(suback(1));
        got += answer_all(s.a()).size();
        REQUIRE(s.a().link().out.bytes() < 80'000);
    }
    CHECK(got == 2000);
    CHECK(s.dropped().queue_full.read() == 0);
    CHECK(s.dropped().slow_receiver.read() == 0);
}

TEST_CASE("retained: a replay goes on in the next connection of the session") {
    auto version = GENERATE(values(kBoth));
    Two s{version, {.link = {.inflight_max = 5}}};
    std::set<std::string> wanted;
    for (int i = 0; i < 600; ++i) {
        auto topic = "r/" + std::to_string(i);
        wanted.insert(topic);
        s.pub().sends(publish(topic, "x", qos1, 1).retain()).gets(puback(1));
    }
    s.a().sends(subscribe(1, "r/#", qos1)).gets(suback(1));
    std::set<std::string> got;
    for (auto const& packet : answer_all(s.a(), 100)) got.insert(packet.topic);
    s.a().drops().sends(connect(version).resume()).gets(connack().session_present());
    for (auto const& packet : answer_all(s.a())) got.insert(packet.topic);
    CHECK(got == wanted);
}

TEST_CASE("retained: UNSUBSCRIBE ends a replay that is under way") {
    auto version = GENERATE(values(kBoth));
    Two s{version, {.link = {.inflight_max = 5}}};
    for (int i = 0; i < 2000; ++i) {
        s.pub().sends(publish("r/" + std::to_string(i), "x", qos1, 1).retain()).gets(puback(1));
    }
    s.a().sends(subscribe(1, "r/#", qos1)).gets(suback(1));
    CHECK(answer_all(s.a(), 5).size() == 5);
    CHECK(s.a().waiting() == 5);
    for (auto const& packet : s.a().takes_all<mqtt::Publish>()) {
        if (packet.id.value != 10) s.a().sends(puback(packet.id.value));
    }
    (void)s.a().takes_all<mqtt::Publish>();
    s.a().sends(unsubscribe(2, {"r/#"})).gets(unsuback(2));
    // What has begun and what is queued may still come; the rest of 2000 does not.
    s.a().drops().sends(connect(version).resume()).gets(connack().session_present());
    CHECK(answer_all(s.a()).size() < 600);
}

TEST_CASE("retained: a full store refuses new topics, counts and logs it, and delivers live") {
    auto version = GENERATE(values(kBoth));
    Two s{version, {.retained = {.messages_max = 2, .bytes_max = 1'000'000}}};
    s.a().sends(subscribe(1, "#")).gets(suback(1));
    auto logged = s.log().size();
    for (std::string topic : {"1", "2", "3", "4"}) {
        s.pub().sends(publish(topic, "x").retain());
        s.a().gets(publish(topic, "x"));
    }
    CHECK(s.retained().count() == 2);
    CHECK(s.count([](auto const& counters) { return counters.retained_refused.read(); }) == 2);
    CHECK(s.log().size() == logged + 1);
    // MQTT 5 publishers learn it, and the id is free; 3.1.1 goes through the whole exchange.
    bool v5 = version == Version::v5;
    auto reason = v5 ? ReasonCode::quota_exceeded : ReasonCode::success;
    s.pub().sends(publish("5", "x", qos1, 7).retain()).gets(puback(7, reason));
    s.pub().sends(publish("5", "x", qos2, 7).retain()).gets(pubrec(7, reason));
    s.a().gets(publish("5", "x")).gets(publish("5", "x"));
    s.pub().sends(publish("live", "x", qos2, 7)).gets(pubrec(7, ReasonCode::success));
    s.pub().sends(pubrel(7)).gets(pubcomp(7, ReasonCode::success));
    if (v5) s.a().gets(publish("live", "x"));
    s.a().gets_nothing();
    s.pub().sends(publish("2", "new").retain());  // replacing is no new topic
    s.a().gets(publish("2", "new"));
    s.a().sends(subscribe(2, "2")).gets(suback(2)).gets(publish("2", "new").retain());
}

TEST_CASE("retained: one that is found expired goes from the store too", "[v5.0][gotcha-40]") {
    Script s;
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("a/1", "x").retain().expiry(5)).sends(publish("a/2", "x").retain());
    s.pass(6s);
    auto calls = s.store().calls().size();
    s.link("sub").sends(connect(Version::v5)).gets(connack());
    s.link("sub").sends(subscribe(1, "a/+")).gets(suback(1)).gets(publish("a/2", "x").retain());
    s.link("sub").sends(subscribe(2, "a/+")).gets(suback(2)).gets(publish("a/2", "x").retain());
    CHECK(std::vector(s.store().calls().begin() + static_cast<std::ptrdiff_t>(calls),
                      s.store().calls().end()) == std::vector<std::string>{"put_retained a/1"});
}
