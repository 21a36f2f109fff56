// SUBSCRIBE, UNSUBSCRIBE and what the options of subscriptions do to messages (3.8 to 3.11, 3.3.4).
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

using Reasons = std::vector<ReasonCode>;

/// "a" and "pub", connected.
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

TEST_CASE("subscribe: one SUBACK with the id and a code for each filter, in order",
          "[v3.1.1][MQTT-2.3.1-7][MQTT-3.8.4-1][MQTT-3.8.4-2][MQTT-3.8.4-4][MQTT-3.8.4-5]"
          "[MQTT-3.9.3-1][v5.0][MQTT-2.2.1-6][MQTT-3.8.4-1][MQTT-3.8.4-2][MQTT-3.8.4-5]"
          "[MQTT-3.8.4-6][MQTT-3.9.3-1]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.a().sends(subscribe(0xFFFF, "x", qos2).also("y", qos0).also("z", qos1));
    s.a().gets(suback(
        0xFFFF, {ReasonCode::granted_qos_2, ReasonCode::granted_qos_0, ReasonCode::granted_qos_1}));
    s.a().gets_nothing();
    for (std::string topic : {"x", "y", "z"}) s.pub().sends(publish(topic, topic));
    for (std::string topic : {"x", "y", "z"}) s.a().gets(publish(topic, topic));
    s.a().gets_nothing();
}

TEST_CASE("subscribe: a bad filter ends the connection, and no filter beside it takes effect",
          "[v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][v5.0][MQTT-4.7.1-1][MQTT-4.7.1-2][MQTT-4.8.2-1]"
          "[MQTT-4.8.2-2][MQTT-4.7.3-1][gotcha-52][gotcha-53][gotcha-56]") {
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    auto filter =
        GENERATE(as<std::string>{}, "", "a#", "a/#/b", "#a", "##", "a+", "+a", "a/+b", "a/b+/c",
                 "++", "$share", "$share/", "$share/g", "$share/g/", "$share//t", "$share//",
                 "$share/+/t", "$share/#/t", "$share/g+/t", "$share/g/a#", "$share/g/+a");
    Two s{version};
    s.a().sends(subscribe(1, "good", qos1).also(filter, qos1).also("fine", qos0));
    if (version == Version::v5) s.a().gets(disconnect(ReasonCode::malformed_packet));
    s.a().closes();
    CHECK(s.index().subscription_count() == 0);
    s.a().sends(connect(version).resume());
    s.a().gets(connack().session_present(version != Version::v3_1));  // which cannot say so
    s.pub().sends(publish("good", "x", qos1, 1)).gets(puback(1));
    s.a().gets_nothing();
}

TEST_CASE("subscribe: filters that are unusual but good",
          "[v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][v5.0][MQTT-4.7.1-1][MQTT-4.7.1-2][MQTT-4.8.2-2]") {
    auto version = GENERATE(values(kBoth));
    auto filter = GENERATE(as<std::string>{}, "#", "+", "/+", "+/+", "a/+/b", "+/b/#", "/", "//",
                           "$shared/x", "$SHARE/g/t", "$SYS/#", "$share/g//t", "$share/g/#", " ");
    Two s{version};
    s.a().sends(subscribe(1, filter, qos1)).gets(suback(1, {ReasonCode::granted_qos_1}));
}

TEST_CASE("subscribe: a malformed packet takes no effect in any part",
          "[v3.1.1][MQTT-3.8.3-1][MQTT-3.8.3-3][MQTT-3.8.3-4][MQTT-2.3.1-1][v5.0][MQTT-3.8.3-1]"
          "[MQTT-3.8.3-2][MQTT-3.8.3-5][MQTT-2.2.1-3][gotcha-52]") {
    auto version = GENERATE(values(kBoth));
    bool v5 = version == Version::v5;
    // In each a good filter comes first.
    auto rest = GENERATE(as<std::string>{}, "s'b' 03", "s'b' C0", "s'b' 30", "s'b'", "0002 C328 00",
                         "0005 'b' 00");
    if (!v5 && rest == "s'b' 30") rest = "s'b' 04";
    Two s{version};
    s.a().sends_bytes(
        bytes_of("82 ( 0001 " + std::string(v5 ? "00" : "") + " s'good' 00 " + rest + ")"));
    if (v5) CHECK(mqtt::is_error(s.a().takes<mqtt::Disconnect>().reason));
    s.a().closes();
    CHECK(s.index().subscription_count() == 0);
}

TEST_CASE("subscribe: no filter, and id 0",
          "[v3.1.1][MQTT-3.8.3-3][MQTT-2.3.1-1][v5.0]"
          "[MQTT-3.8.3-2][MQTT-2.2.1-3][gotcha-52]") {
    auto version = GENERATE(values(kBoth));
    std::string properties = version == Version::v5 ? "00" : "";
    auto packet = GENERATE(as<std::string>{}, "0001 P", "0000 P s'a' 00");
    packet.replace(packet.find('P'), 1, properties);
    Two s{version};
    s.a().sends_bytes(bytes_of("82 (" + packet + ")"));
    if (version == Version::v5) {
        CHECK(mqtt::is_error(s.a().takes<mqtt::Disconnect>().reason));
    }
    s.a().closes();
}

TEST_CASE("subscribe: an id that is an open QoS 2 publish of the client is in use",
          "[v5.0][MQTT-2.2.1-3][gotcha-26]") {
    Two s{Version::v5};
    s.a().sends(publish("t", "x", qos2, 7)).gets(pubrec(7));
    s.a().sends(subscribe(7, "a").also("b"));
    s.a().gets(suback(7, Reasons(2, ReasonCode::packet_identifier_in_use)));
    s.a().sends(unsubscribe(7, {"a"}));
    s.a().gets(unsuback(7, {ReasonCode::packet_identifier_in_use}));
    CHECK(s.index().subscription_count() == 0);
    s.a().sends(pubrel(7)).gets(pubcomp(7));
    s.a().sends(subscribe(7, "a")).gets(suback(7));
}

TEST_CASE("subscribe: again replaces the subscription with all its options",
          "[v3.1.1][MQTT-3.8.4-3][v5.0][MQTT-3.8.4-3][gotcha-47]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.a().sends(subscribe(1, "t", qos0)).gets(suback(1));
    s.a().sends(subscribe(2, "t", qos1)).gets(suback(2));
    s.pub().sends(publish("t", "x", qos2, 1)).gets(pubrec(1));
    s.a().gets(publish("t", "x", qos1, 1)).gets_nothing();
    if (version == Version::v3_1_1) return;
    s.a().sends(puback(1));
    s.a().sends(subscribe(3, "t", qos0).identifier(5).retain_as_published()).gets(suback(3));
    s.pub().sends(publish("t", "x").retain());
    s.a().gets(publish("t", "x").ids({5}).retain());
    s.a().sends(
        subscribe(4, "t", qos0).identifier(6).retain_handling(mqtt::RetainHandling::do_not_send));
    s.a().gets(suback(4));
    s.pub().sends(publish("t", "x").retain());
    s.a().gets(publish("t", "x").ids({6}));
    s.a().sends(subscribe(5, "t", qos0).retain_handling(mqtt::RetainHandling::do_not_send));
    s.a().gets(suback(5));
    s.pub().sends(publish("t", "x"));
    s.a().gets(publish("t", "x")).gets_nothing();
}

TEST_CASE("subscribe: the same filter twice in one packet: the last options count, two codes",
          "[v5.0][MQTT-3.8.4-5][gotcha-52]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.a().sends(subscribe(1, "t", qos2).also("t", qos1));
    s.a().gets(suback(1, {ReasonCode::granted_qos_2, ReasonCode::granted_qos_1}));
    s.pub().sends(publish("t", "x", qos2, 1)).gets(pubrec(1));
    s.a().gets(publish("t", "x", qos1, 1)).gets_nothing();
    CHECK(s.index().subscription_count() == 1);
}

TEST_CASE("subscribe: subscribing again during a stream loses nothing",
          "[v5.0][MQTT-3.8.4-4]"
          "[v3.1.1][MQTT-3.8.4-3]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.pub().sends(publish("t", "kept", qos1, 1).retain()).gets(puback(1));
    s.a().sends(subscribe(1, "t", qos1)).gets(suback(1));
    int live = 0;
    int retained = 0;
    auto count = [&] {
        for (;;) {
            if (s.a().waiting() == 0) return;
            auto packet = s.a().takes_any();
            auto* publish = std::get_if<mqtt::Publish>(&packet);
            if (publish == nullptr) continue;
            ++(publish->retain ? retained : live);
            s.a().sends(puback(publish->id.value));
        }
    };
    for (int i = 0; i < 100; ++i) {
        s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
        s.a().sends(subscribe(2, "t", qos1));
        count();
    }
    CHECK(live == 100);
    CHECK(retained == 101);
}

TEST_CASE("subscribe: no more subscriptions than a session may have") {
    auto version = GENERATE(values(kBoth));
    Two s{version, {.settings = {.subscriptions_per_session_max = 2}}};
    auto denied =
        version == Version::v5 ? ReasonCode::quota_exceeded : ReasonCode::unspecified_error;
    s.a().sends(subscribe(1, "a").also("b").also("c"));
    s.a().gets(suback(1, {ReasonCode::granted_qos_0, ReasonCode::granted_qos_0, denied}));
    // Replacing one is not one more; leaving one makes room.
    s.a().sends(subscribe(2, "b", qos1)).gets(suback(2, {ReasonCode::granted_qos_1}));
    s.a().sends(subscribe(3, "$share/g/c")).gets(suback(3, {denied}));
    s.a().sends(unsubscribe(4, {"a"})).gets(unsuback(4));
    s.a().sends(subscribe(5, "c")).gets(suback(5, {ReasonCode::granted_qos_0}));
    CHECK(s.index().subscription_count() == 2);
}

TEST_CASE("subscribe: what is switched off ends an MQTT 5 connection and is denied to 3.1.1",
          "[v3.1.1][MQTT-3.8.3-2][gotcha-18][gotcha-52]") {
    struct Row {
        char const* filter;
        ReasonCode reason;
    };
    auto row = GENERATE(Row{"a/#", ReasonCode::wildcard_subscriptions_not_supported},
                        Row{"+/b", ReasonCode::wildcard_subscriptions_not_supported},
                        Row{"$share/g/t", ReasonCode::shared_subscriptions_not_supported},
                        Row{"$share/g/+", ReasonCode::shared_subscriptions_not_supported});
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    Two s{version,
          {.link = {.wildcard_subscription_available = false,
                    .subscription_identifiers_available = false,
                    .shared_subscription_available = false}}};
    s.a().sends(subscribe(1, "plain").also(row.filter));
    if (version == Version::v5) {
        s.a().gets(disconnect(row.reason)).closes();
        CHECK(s.index().subscription_count() == 0);
        s.a().sends(connect(version).resume()).gets(connack().session_present());
        s.a().sends(subscribe(2, "a").identifier(1));
        s.a().gets(disconnect(ReasonCode::subscription_identifiers_not_supported)).closes();
    } else {
        // 3.1 has no code for a failure.
        auto denied =
            version == Version::v3_1 ? ReasonCode::granted_qos_0 : ReasonCode::unspecified_error;
        s.a().gets(suback(1, {ReasonCode::granted_qos_0, denied}));
        CHECK(s.index().subscription_count() == 1);
    }
}

TEST_CASE("subscribe: wildcards in a shared filter count as such", "[gotcha-18]") {
    Two s{Version::v5, {.link = {.wildcard_subscription_available = false}}};
    s.a().sends(subscribe(1, "$share/g/t")).gets(suback(1));
    s.a().sends(subscribe(2, "$share/g/+"));
    s.a().gets(disconnect(ReasonCode::wildcard_subscriptions_not_supported)).closes();
}

TEST_CASE("unsubscribe: compares filters byte by byte and answers for each",
          "[v3.1.1][MQTT-2.3.1-7][MQTT-3.10.4-1][MQTT-3.10.4-2][MQTT-3.10.4-4][MQTT-3.10.4-5]"
          "[MQTT-3.10.4-6][v5.0][MQTT-3.10.4-1][MQTT-3.10.4-2][MQTT-3.10.4-4][MQTT-3.10.4-5]"
          "[MQTT-3.10.4-6][MQTT-3.11.3-1][MQTT-3.11.3-2][gotcha-57]") {
    auto version = GENERATE(values(kBoth));
    bool v5 = version == Version::v5;
    auto none = ReasonCode::no_subscription_existed;
    auto done = ReasonCode::success;
    auto codes = [&](Reasons reasons) { return v5 ? reasons : Reasons{}; };
    Two s{version};
    s.a().sends(subscribe(1, "a/+").also("b").also("$share/g/c")).gets(suback(1));
    s.a().sends(unsubscribe(0x0102, {"a/b", "a/#", "A/+", "c"}));
    s.a().gets(unsuback(0x0102, codes({none, none, none, none})));
    if (!v5) CHECK(s.a().last_frame() == bytes_of("B0 02 0102"));
    s.pub().sends(publish("a/b", "x"));
    s.a().gets(publish("a/b", "x"));
    s.a().sends(unsubscribe(2, {"b", "none", "a/+", "a/+", "$share/g/c"}));
    s.a().gets(unsuback(2, codes({done, none, done, none, done})));
    for (std::string topic : {"a/b", "b", "c"}) s.pub().sends(publish(topic, "x"));
    s.a().gets_nothing();
    CHECK(s.index().subscription_count() == 0);
    s.a().drops().sends(connect(version).resume()).gets(connack().session_present());
    s.pub().sends(publish("b", "x"));
    s.a().gets_nothing();
}

TEST_CASE("unsubscribe: deliveries that have begun are finished",
          "[v3.1.1][MQTT-3.10.4-3][v5.0][MQTT-3.10.4-3][gotcha-57]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.a().sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.pub().sends(publish("t", "one", qos1, 1)).gets(puback(1));
    s.pub().sends(publish("t", "two", qos2, 1)).gets(pubrec(1));
    s.a().gets(publish("t", "one", qos1, 1)).gets(publish("t", "two", qos2, 2));
    s.a().sends(unsubscribe(3, {"t"})).gets(unsuback(3));
    s.a().sends(pubrec(2)).gets(pubrel(2)).sends(pubcomp(2)).gets_nothing().drops();
    s.a().sends(connect(version).resume()).gets(connack().session_present());
    s.a().gets(publish("t", "one", qos1, 1).dup()).gets_nothing();
}

TEST_CASE("overlapping subscriptions: one copy with the highest QoS and all identifiers",
          "[v3.1.1][MQTT-3.3.5-1][v5.0][MQTT-3.3.4-2][MQTT-3.3.4-3][MQTT-3.3.4-4][gotcha-47]") {
    auto version = GENERATE(values(kBoth));
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    Script s{{.shards = shards}};
    auto id = s.id_on_shard(static_cast<std::uint8_t>(shards - 1), "a");
    auto pub = s.id_on_shard(0, "pub");
    auto& a = s.link(id);
    a.sends(connect(version)).gets(connack());
    s.link(pub).sends(connect(version)).gets(connack());
    bool v5 = version == Version::v5;
    auto one = subscribe(1, "a/#", qos0);
    auto two = subscribe(2, "a/b", qos2);
    auto equal = subscribe(3, "+/b", qos1);
    if (v5) {
        one.identifier(7);
        two.identifier(300);
        equal.identifier(7);
    }
    a.sends(one).gets(suback(1)).sends(two).gets(suback(2)).sends(equal).gets(suback(3));
    a.sends(subscribe(4, "#", qos0)).gets(suback(4));  // without an identifier
    s.link(pub).sends(publish("a/b", "x", qos2, 1)).gets(pubrec(1));
    auto packet = a.takes<mqtt::Publish>();
    CHECK(packet.qos == qos2);
    std::ranges::sort(packet.subscription_identifiers);
    CHECK(packet.subscription_identifiers ==
          (v5 ? std::vector<std::uint32_t>{7, 7, 300} : std::vector<std::uint32_t>{}));
    a.gets_nothing();
    s.link(pub).sends(publish("other", "x", qos2, 2)).gets(pubrec(2));
    a.gets(publish("other", "x")).gets_nothing();
}

TEST_CASE("subscription identifiers: also on queued and sent-again messages",
          "[v5.0][MQTT-3.3.4-3][gotcha-47]") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "t", qos1).identifier(268'435'455)).gets(suback(1));
    s.a().sends(subscribe(2, "+", qos1).identifier(1)).gets(suback(2)).drops();
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
    for (bool dup : {false, true}) {
        s.a().sends(connect(Version::v5).resume()).gets(connack().session_present());
        auto packet = s.a().takes<mqtt::Publish>();
        CHECK(packet.dup == dup);
        std::ranges::sort(packet.subscription_identifiers);
        CHECK(packet.subscription_identifiers == std::vector<std::uint32_t>{1, 268'435'455});
        s.a().drops();
    }
}

TEST_CASE("subscription identifier 0 is an error", "[v5.0][MQTT-4.13.1-1][gotcha-47]") {
    Two s{Version::v5};
    s.a().sends_bytes(bytes_of("82 ( 0001 ( 0B 00 ) s'a' 00 )"));
    s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
}

TEST_CASE("no local: own messages do not come back, live or queued",
          "[v5.0][MQTT-3.8.3-3][gotcha-51]") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "t", qos1).no_local()).gets(suback(1));
    s.pub().sends(subscribe(1, "t", qos1).no_local()).gets(suback(1));
    s.a().sends(publish("t", "mine", qos1, 1)).gets(puback(1, ReasonCode::success)).gets_nothing();
    s.pub().gets(publish("t", "mine", qos1, 1));
    // By the client id, so a message that was published before coming back is still its own.
    s.a().drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.a().gets_nothing();
    s.pub().sends(publish("t", "theirs", qos1, 1)).gets(puback(1));
    s.a().gets(publish("t", "theirs", qos1, 1)).gets_nothing();
}

TEST_CASE("no local: works for each subscription by itself",
          "[v5.0][MQTT-3.8.3-3][MQTT-3.3.4-4][gotcha-48]") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "a/#", qos2).no_local().identifier(1)).gets(suback(1));
    s.a().sends(subscribe(2, "a/b", qos1).identifier(2)).gets(suback(2));
    s.a().sends(publish("a/b", "x", qos2, 1));
    s.a().gets(publish("a/b", "x", qos1, 1).ids({2})).gets(pubrec(1)).gets_nothing();
    s.a().sends(puback(1));
    s.a().sends(publish("a/c", "x", qos1, 2)).gets(puback(2)).gets_nothing();
}

TEST_CASE("no local: not for a shared subscription", "[v5.0][MQTT-3.8.3-4][gotcha-51]") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "good").also("$share/g/t").no_local());
    s.a().gets(disconnect(ReasonCode::protocol_error)).closes();
    CHECK(s.index().subscription_count() == 0);
}

TEST_CASE("retain as published: RETAIN of a live message",
          "[v3.1.1][MQTT-3.3.1-9][v5.0][MQTT-3.3.1-12][MQTT-3.3.1-13]") {
    auto version = GENERATE(values(kBoth));
    bool as_published = GENERATE(false, true);
    bool retain = GENERATE(false, true);
    bool queued = GENERATE(false, true);
    bool shared = GENERATE(false, true);
    if (as_published && version == Version::v3_1_1) return;
    Two s{version};
    auto packet = subscribe(1, shared ? "$share/g/t" : "t", qos1);
    if (as_published) packet.retain_as_published();
    s.a().sends(packet).gets(suback(1));
    if (queued) s.a().drops();
    s.pub().sends(publish("t", "x", qos1, 1).retain(retain)).gets(puback(1));
    if (queued) s.a().sends(connect(version).resume()).gets(connack().session_present());
    s.a().gets(publish("t", "x", qos1, 1).retain(retain && as_published)).gets_nothing();
}

TEST_CASE("retain as published: one of several overlapping subscriptions is enough") {
    Two s{Version::v5};
    s.a().sends(subscribe(1, "a/b").retain_as_published()).gets(suback(1));
    s.a().sends(subscribe(2, "a/#")).gets(suback(2));
    s.pub().sends(publish("a/b", "x").retain());
    s.a().gets(publish("a/b", "x").retain()).gets_nothing();
    s.pub().sends(publish("a/c", "x").retain());
    s.a().gets(publish("a/c", "x"));
}

TEST_CASE("matching: what a subscription gets, and what not",
          "[v3.1.1][MQTT-3.3.2-3][MQTT-4.7.2-1][MQTT-4.7.3-4][MQTT-4.7.1-2][MQTT-4.7.1-3][v5.0]"
          "[MQTT-3.3.2-3][MQTT-4.7.2-1][MQTT-4.7.3-4][MQTT-4.7.1-1][MQTT-4.7.1-2][gotcha-56]") {
    auto version = GENERATE(values(kBoth));
    struct Row {
        char const* filter;
        char const* topic;
        bool matches;
    };
    auto row = GENERATE(
        Row{"a/#", "a", true}, Row{"a/#", "a/b/c", true}, Row{"a/+", "a/", true},
        Row{"a/+", "a", false}, Row{"+", "/a", false}, Row{"/+", "/a", true}, Row{"+/+", "/", true},
        Row{"#", "/", true}, Row{"a//b", "a//b", true}, Row{"a/b", "a//b", false},
        Row{"A", "a", false}, Row{"#", "$t/x", false}, Row{"+/x", "$t/x", false},
        Row{"+/#", "$t/x", false}, Row{"$t/#", "$t/x", true}, Row{"$t/+", "$t/x", true},
        Row{"$share/g/#", "$t/x", false}, Row{"$share/g/$t/#", "$t/x", true},
        Row{"x/+", "x/$y", true}, Row{"\xC3\xA9", "e\xCC\x81", false}, Row{"a ", "a", false});
    Two s{version};
    s.a().sends(subscribe(1, row.filter)).gets(suback(1));
    s.pub().sends(publish(row.topic, "x"));
    if (row.matches) s.a().gets(publish(row.topic, "x"));
    s.a().gets_nothing();
}

TEST_CASE("matching: a topic of 65535 bytes", "[v3.1.1][MQTT-4.7.3-3][v5.0][MQTT-4.7.3-3]") {
    auto version = GENERATE(values(kBoth));
    std::string const topic = GENERATE(std::string(65'535, 't'), std::string(65'535, '/'));
    Two s{version};
    s.a().sends(subscribe(1, topic, qos1).also("#", qos0)).gets(suback(1));
    s.pub().sends(publish(topic, "x", qos1, 1)).gets(puback(1));
    s.a().gets(publish(topic, "x", qos1, 1)).gets_nothing();
}

TEST_CASE("matching: U+FEFF is a character like others",
          "[v3.1.1][MQTT-1.5.3-3][v5.0][MQTT-1.5.4-3]") {
    auto version = GENERATE(values(kBoth));
    Two s{version};
    s.a().sends(subscribe(1, "t")).gets(suback(1));
    s.link("all").sends(connect(version)).gets(connack());
    s.link("all").sends(subscribe(1, "#")).gets(suback(1));
    s.pub().sends(publish("\xEF\xBB\xBFt", "x"));
    s.a().gets_nothing();
    s.link("all").gets(publish("\xEF\xBB\xBFt", "x"));
}

TEST_CASE("a remote node that subscribed gets the message once by the cluster's bus") {
    Two s{Version::v5};
    broker::Subscriber node;
    node.slot = 42;
    node.shard = broker::kRemoteNode;
    node.qos = 2;
    s.index().subscribe("t", node);
    s.index().subscribe("#", node);
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1, ReasonCode::success));
    REQUIRE(s.bus().forwarded.size() == 1);
    CHECK(s.bus().forwarded[0].node == 42);
    CHECK(s.bus().forwarded[0].message->topic() == "t");
}
