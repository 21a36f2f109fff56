// Shared subscriptions (MQTT 5, 4.8.2).
#include <array>
#include <catch2/catch.hpp>
#include <map>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// Members "m0", "m1", ... of $share/g/t, each with QoS 2 and the identifier 10 + its number, and
/// "pub".
struct Group : Script {
    explicit Group(int members, ScriptOptions options = {}) : Script(options) {
        for (int i = 0; i < members; ++i) {
            m(i).sends(connect(Version::v5).resume()).gets(connack());
            m(i).sends(
                subscribe(1, "$share/g/t", qos2).identifier(static_cast<std::uint32_t>(10 + i)));
            m(i).gets(suback(1));
        }
        pub().sends(connect(Version::v5)).gets(connack());
    }
    ScriptLink& m(int i) { return link("m" + std::to_string(i)); }
    ScriptLink& pub() { return link("pub"); }
    void publishes(std::string_view payload, mqtt::Qos qos) {
        pub().sends(publish("t", payload, qos, 1));
        if (qos == qos1) pub().gets(puback(1, ReasonCode::success));
        if (qos == qos2) pub().gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
};

}  // namespace

TEST_CASE("shared: each message goes to one member, with its own identifier") {
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{3});
    auto qos = GENERATE(qos0, qos1, qos2);
    Group s{3, {.shards = shards}};
    std::map<std::string, int> got;
    std::array<int, 3> shares{};
    for (int i = 0; i < 300; ++i) {
        s.publishes(std::to_string(i), qos);
        for (int member = 0; member < 3; ++member) {
            for (auto const& packet : answer_all(s.m(member))) {
                ++got[std::string{as_text(packet.payload)}];
                ++shares[static_cast<std::size_t>(member)];
                CHECK(packet.subscription_identifiers ==
                      std::vector<std::uint32_t>{static_cast<std::uint32_t>(10 + member)});
            }
        }
    }
    CHECK(got.size() == 300);
    for (auto const& [payload, times] : got) CHECK(times == 1);
    for (int share : shares) CHECK(share > 30);
}

TEST_CASE("shared: with the QoS of the member that gets it", "[v5.0][MQTT-4.8.2-3]") {
    Group s{0};
    for (auto qos : {qos0, qos2}) {
        auto name = qos == qos0 ? "low" : "high";
        s.link(name).sends(connect(Version::v5)).gets(connack());
        s.link(name).sends(subscribe(1, "$share/g/t", qos)).gets(suback(1));
    }
    for (int i = 0; i < 20; ++i) s.publishes("x", qos2);
    auto low = answer_all(s.link("low"));
    auto high = answer_all(s.link("high"));
    CHECK(low.size() + high.size() == 20);
    REQUIRE_FALSE(low.empty());
    REQUIRE_FALSE(high.empty());
    for (auto const& packet : low) CHECK(packet.qos == qos0);
    for (auto const& packet : high) CHECK(packet.qos == qos2);
}

TEST_CASE("shared: apart from ordinary subscriptions and other groups") {
    Group s{1};
    s.m(0).sends(subscribe(2, "t", qos0).identifier(1)).gets(suback(2));
    s.m(0).sends(subscribe(3, "$share/other/t", qos0).identifier(2)).gets(suback(3));
    s.m(0).sends(subscribe(4, "$share/g/+", qos0).identifier(3)).gets(suback(4));
    s.publishes("x", qos0);
    std::vector<std::uint32_t> identifiers;
    for (auto const& packet : s.m(0).takes_all<mqtt::Publish>()) {
        REQUIRE(packet.subscription_identifiers.size() == 1);
        identifiers.push_back(packet.subscription_identifiers[0]);
    }
    std::ranges::sort(identifiers);
    CHECK(identifiers == std::vector<std::uint32_t>{1, 2, 3, 10});
}

TEST_CASE("shared: a session is one member however often it subscribes, one UNSUBSCRIBE leaves") {
    Group s{2};
    for (std::uint16_t i = 2; i < 12; ++i) {
        s.m(0).sends(subscribe(i, "$share/g/t", qos1)).gets(suback(i));
    }
    for (int i = 0; i < 100; ++i) s.publishes("x", qos0);
    auto share = s.m(0).takes_all<mqtt::Publish>().size();
    CHECK(share >= 30);
    CHECK(share <= 70);
    CHECK(s.m(1).takes_all<mqtt::Publish>().size() == 100 - share);
    s.m(0).sends(unsubscribe(20, {"$share/g/t"})).gets(unsuback(20, {ReasonCode::success}));
    for (int i = 0; i < 10; ++i) s.publishes("x", qos0);
    s.m(0).gets_nothing();
    CHECK(s.m(1).takes_all<mqtt::Publish>().size() == 10);
}

TEST_CASE("shared: members that are connected are preferred, away ones get it if nobody is") {
    Group s{3};
    s.m(0).drops();
    s.m(2).drops();
    for (int i = 0; i < 10; ++i) s.publishes("x", qos1);
    CHECK(answer_all(s.m(1)).size() == 10);
    s.m(1).drops();
    for (int i = 0; i < 9; ++i) s.publishes("later", qos1);
    std::size_t got = 0;
    for (int i = 0; i < 3; ++i) {
        s.m(i).sends(connect(Version::v5).resume()).gets(connack().session_present());
        got += answer_all(s.m(i)).size();
    }
    CHECK(got == 9);
    // And all are members again.
    for (int i = 0; i < 90; ++i) s.publishes("x", qos0);
    for (int i = 0; i < 3; ++i) CHECK(s.m(i).takes_all<mqtt::Publish>().size() >= 15);
}

TEST_CASE("shared: QoS 2 that has begun stays with its member", "[v5.0][MQTT-4.8.2-4]") {
    bool released = GENERATE(false, true);
    Group s{2};
    s.publishes("x", qos2);
    int chosen = s.m(0).waiting() > 0 ? 0 : 1;
    auto id = s.m(chosen).takes<mqtt::Publish>().id.value;
    if (released) s.m(chosen).sends(pubrec(id)).gets(pubrel(id));
    s.m(chosen).drops();
    s.pass(60s);
    s.m(1 - chosen).gets_nothing();
    s.m(chosen).sends(connect(Version::v5).resume()).gets(connack().session_present());
    if (released) {
        s.m(chosen).gets(pubrel(id));
    } else {
        CHECK(s.m(chosen).takes<mqtt::Publish>().dup);
        s.m(chosen).sends(pubrec(id)).gets(pubrel(id));
    }
    s.m(chosen).sends(pubcomp(id)).gets_nothing();
    s.m(1 - chosen).gets_nothing();
}

TEST_CASE("shared: QoS 2 that has begun ends with its member's session", "[v5.0][MQTT-4.8.2-5]") {
    Group s{0};
    for (std::string name : {"a", "b"}) {
        s.link(name).sends(connect(Version::v5).expiry(1)).gets(connack());
        s.link(name).sends(subscribe(1, "$share/g/t", qos2)).gets(suback(1));
    }
    s.publishes("x", qos2);
    std::string chosen = s.link("a").waiting() > 0 ? "a" : "b";
    std::string other = chosen == "a" ? "b" : "a";
    (void)s.link(chosen).takes<mqtt::Publish>();
    s.link(chosen).drops();
    s.pass(5s);
    s.link(other).gets_nothing();
}

TEST_CASE("shared: a negative acknowledgement ends the message for all", "[v5.0][MQTT-4.8.2-6]") {
    auto qos = GENERATE(qos1, qos2);
    Group s{2};
    s.publishes("x", qos);
    int chosen = s.m(0).waiting() > 0 ? 0 : 1;
    auto id = s.m(chosen).takes<mqtt::Publish>().id.value;
    if (qos == qos1) s.m(chosen).sends(puback(id, ReasonCode::unspecified_error));
    if (qos == qos2) s.m(chosen).sends(pubrec(id, ReasonCode::unspecified_error));
    s.m(chosen).gets_nothing().drops();
    s.m(chosen).sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.m(chosen).gets_nothing();
    s.m(1 - chosen).gets_nothing();
}

TEST_CASE("shared: a member whose session ends is no member") {
    Group s{0};
    s.link("gone").sends(connect(Version::v5)).gets(connack());
    s.link("gone").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    s.pub().sends(publish("t", "x", qos1, 1));
    s.pub().gets(puback(1, ReasonCode::no_matching_subscribers));
}

namespace {

/// "stays" and "goes", members of $share/g/t, and who is in the group alone gets all.
struct TwoMembers : Script {
    TwoMembers() { pub().sends(connect(Version::v5)).gets(connack()); }
    /// The member whose session will end; `expiry` 0: with its connection.
    void goes_joins(std::uint32_t expiry) {
        goes().sends(connect(Version::v5).expiry(expiry).receive_maximum(3)).gets(connack());
        goes().sends(subscribe(1, "$share/g/t", qos2)).gets(suback(1));
    }
    void stays_joins(mqtt::Qos qos = qos2) {
        stays().sends(connect(Version::v5).resume()).gets(connack());
        stays().sends(subscribe(1, "$share/g/t", qos).identifier(77)).gets(suback(1));
    }
    ScriptLink& goes() { return link("goes"); }
    ScriptLink& stays() { return link("stays"); }
    ScriptLink& pub() { return link("pub"); }
    void publishes(std::string_view payload, mqtt::Qos qos) {
        pub().sends(publish("t", payload, qos, 1));
        if (qos == qos1) pub().gets(puback(1));
        if (qos == qos2) pub().gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
};

std::vector<std::string> payloads_of(std::vector<mqtt::Publish> const& packets) {
    std::vector<std::string> all;
    for (auto const& packet : packets) all.emplace_back(as_text(packet.payload));
    return all;
}

}  // namespace

TEST_CASE("shared: what a member has not finished goes to another when its session ends",
          "[v5.0][MQTT-4.8.2-5][gotcha-54]") {
    auto expiry = GENERATE(0U, 10U);
    std::string end = GENERATE("lost", "disconnect", "clean start");
    TwoMembers s;
    s.goes_joins(expiry);
    s.publishes("1 in flight", qos1);
    s.publishes("2 in flight", qos2);
    s.publishes("3 in flight", qos1);
    s.publishes("4 waits", qos1);
    s.publishes("5 waits", qos2);
    CHECK(s.goes().takes_all<mqtt::Publish>().size() == 3);
    s.stays_joins(GENERATE(qos1, qos2));
    s.stays().gets_nothing();
    if (end == "lost") s.goes().drops();
    if (end == "disconnect") s.goes().sends(disconnect(ReasonCode::normal_disconnection, 0));
    if (end == "clean start") {
        s.goes().sends(pingreq()).gets(pingresp()).drops();
        s.goes().sends(connect(Version::v5)).gets(connack());
    }
    if (end == "lost" && expiry > 0) {
        s.stays().gets_nothing();
        s.pass(11s);
    }
    auto got = answer_all(s.stays());
    CHECK(payloads_of(got) ==
          std::vector<std::string>{"1 in flight", "3 in flight", "4 waits", "5 waits"});
    for (auto const& packet : got) {
        CHECK_FALSE(packet.dup);
        CHECK(packet.subscription_identifiers == std::vector<std::uint32_t>{77});
    }
    CHECK(s.dropped().session_ended.read() == 0);
}

TEST_CASE("shared: what is acknowledged, either way, does not go on to another", "[gotcha-54]") {
    auto reason = GENERATE(ReasonCode::success, ReasonCode::unspecified_error);
    TwoMembers s;
    s.goes_joins(0);
    s.publishes("1", qos1);
    s.publishes("2", qos2);
    CHECK(s.goes().takes_all<mqtt::Publish>().size() == 2);
    s.stays_joins();
    s.goes().sends(puback(1, reason)).sends(pubrec(2, reason));
    if (reason == ReasonCode::success) s.goes().gets(pubrel(2));
    s.goes().drops();
    s.stays().gets_nothing();
}

TEST_CASE("shared: without another member what waited is lost and counted", "[gotcha-54]") {
    TwoMembers s;
    s.goes_joins(10);
    s.goes().drops();
    s.publishes("1", qos1);
    s.publishes("2", qos2);
    s.pass(11s);
    CHECK(s.dropped().session_ended.read() == 2);
    s.stays_joins();
    s.stays().gets_nothing();
}

TEST_CASE("shared: a member that left with UNSUBSCRIBE keeps what it got until its session ends",
          "[gotcha-54][gotcha-57]") {
    TwoMembers s;
    s.goes_joins(60);
    s.goes().drops();
    s.publishes("waits", qos1);
    s.stays_joins();
    s.goes().sends(connect(Version::v5).clean(false).expiry(60).receive_maximum(3));
    s.goes().gets(connack().session_present());
    s.goes().gets(publish("t", "waits", qos1, 1));
    s.goes().sends(unsubscribe(2, {"$share/g/t"})).gets(unsuback(2));
    s.stays().gets_nothing();
    s.goes().sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
    s.stays().gets(publish("t", "waits", qos1, 1).ids({77}));
}

TEST_CASE("shared: what goes on to another member crosses shards", "[gotcha-54]") {
    Script s{{.shards = 2}};
    auto goes = s.id_on_shard(0, "goes");
    auto stays = s.id_on_shard(1, "stays");
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link(goes).sends(connect(Version::v5)).gets(connack());
    s.link(goes).sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1));
    s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link(goes).gets(publish("t", "x", qos1, 1));
    s.link(stays).sends(connect(Version::v5)).gets(connack());
    s.link(stays).sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1));
    s.link(goes).drops();
    s.link(stays).gets(publish("t", "x", qos1, 1)).gets_nothing();
    // And back, by a session of the other shard.
    s.link(goes).sends(connect(Version::v5)).gets(connack());
    s.link(goes).sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1));
    s.link(stays).drops();
    s.link(goes).gets(publish("t", "x", qos1, 1)).gets_nothing();
}

TEST_CASE("shared: the will of a member whose session ends goes to another", "[gotcha-54]") {
    Group s{0};
    auto expiry = GENERATE(0U, 1U);
    s.link("stays").sends(connect(Version::v5)).gets(connack());
    s.link("stays").sends(subscribe(1, "$share/g/w", qos1)).gets(suback(1));
    for (int round = 0; round < 4; ++round) {
        auto gone = will("w", "gone");
        if (expiry > 0) gone.will_delay_interval = 5;
        s.link("dies").sends(connect(Version::v5).expiry(expiry).will(gone)).gets(connack());
        s.link("dies").sends(subscribe(1, "$share/g/w", qos1)).gets(suback(1)).drops();
        s.pass(2s);
        s.link("stays").gets(publish("w", "gone")).gets_nothing();
    }
}

TEST_CASE("shared: members take turns whatever else their publisher sends", "[gotcha-54]") {
    Group s{2};
    for (int i = 0; i < 20; ++i) {
        s.publishes("x", qos0);
        s.pub().sends(publish("else", "y"));
    }
    CHECK(s.m(0).takes_all<mqtt::Publish>().size() == 10);
    CHECK(s.m(1).takes_all<mqtt::Publish>().size() == 10);
}

TEST_CASE("shared: ten thousand messages reach the three members once each", "[gotcha-54]") {
    auto shards = GENERATE(std::uint8_t{1}, std::uint8_t{3});
    Group s{3, {.shards = shards}};
    std::vector<int> got(10'000);
    for (std::size_t i = 0; i < got.size(); ++i) {
        s.publishes(std::to_string(i), i % 2 == 0 ? qos1 : qos2);
        if (i % 50 != 49) continue;
        for (int member = 0; member < 3; ++member) {
            for (auto const& packet : answer_all(s.m(member))) {
                ++got[std::stoul(std::string{as_text(packet.payload)})];
            }
        }
    }
    CHECK(std::ranges::count(got, 1) == 10'000);
}
