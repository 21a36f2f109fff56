// Acknowledgements wait for the store and keep their order (architecture: a PUBACK means durable).
#include <catch2/catch.hpp>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// A kept session "sub" on "kept", a passing one "now" on "passing", and "pub"; then the store
/// begins to take its time.
struct Slow : Script {
    explicit Slow(Version v) : version(v) {
        link("sub").sends(connect(v).resume()).gets(connack());
        link("sub").sends(subscribe(1, "kept", qos2)).gets(suback(1));
        link("now").sends(connect(v)).gets(connack());
        link("now").sends(subscribe(1, "passing", qos2)).gets(suback(1));
        pub().sends(connect(v).resume()).gets(connack());
        store().hold();
    }
    ScriptLink& pub() { return link("pub"); }
    Version version;
};

}  // namespace

TEST_CASE("store: PUBACK and PUBREC leave when what they promise is durable, not before") {
    auto version = GENERATE(values(kBoth));
    Slow s{version};
    s.pub().sends(publish("kept", "x", qos1, 1)).gets_nothing();
    s.link("sub").gets(publish("kept", "x", qos1, 1));  // delivery and commit run side by side
    s.becomes_durable();
    s.pub().gets(puback(1)).gets_nothing();
    s.pub().sends(publish("kept", "y", qos2, 2)).gets_nothing();
    s.becomes_durable();
    s.pub().gets(pubrec(2)).sends(pubrel(2)).gets_nothing();
    s.becomes_durable();
    s.pub().gets(pubcomp(2));
    // Also for a receiver that is away.
    s.link("sub").drops();
    s.pub().sends(publish("kept", "z", qos1, 3)).gets_nothing();
    s.becomes_durable();
    s.pub().gets(puback(3));
}

TEST_CASE("store: what changes nothing in it waits for nothing") {
    auto version = GENERATE(values(kBoth));
    Slow s{version};
    s.pub().sends(publish("passing", "x", qos1, 1)).gets(puback(1));
    s.pub().sends(publish("nobody", "x", qos1, 2)).gets(puback(2));
    s.link("now").gets(publish("passing", "x", qos1, 1));
    s.link("now").sends(subscribe(2, "more")).gets(suback(2));
}

TEST_CASE("store: acknowledgements leave in the order of the publishes", "[gotcha-33]") {
    auto version = GENERATE(values(kBoth));
    Slow s{version};
    s.pub().sends(publish("kept", "1", qos1, 1));
    auto first =
        s.store().last_ticket() - 1;  // behind it the delivery goes on, which nobody awaits
    s.pub().sends(publish("passing", "2", qos1, 2));  // needs no store, yet came behind
    s.pub().sends(publish("kept", "3", qos2, 3));
    auto third = s.store().last_ticket();
    s.pub().sends(publish("passing", "4", qos1, 4));
    s.pub().sends(publish("kept", "5", qos1, 5)).gets_nothing();
    s.becomes_durable(first - 1);
    s.pub().gets_nothing();
    s.becomes_durable(first);
    s.pub().gets(puback(1)).gets(puback(2)).gets_nothing();
    s.becomes_durable(third);
    s.pub().gets(pubrec(3)).gets(puback(4)).gets_nothing();
    s.becomes_durable(first);  // news from the past
    s.pub().gets_nothing();
    s.becomes_durable();
    s.pub().gets(puback(5)).gets_nothing();
    s.pub().sends(publish("passing", "6", qos1, 6)).gets(puback(6));
}

TEST_CASE("store: publishes whose last answer waits are open", "[v5.0][MQTT-3.3.4-7][gotcha-36]") {
    auto version = GENERATE(values(kBoth));
    Script s{{.link = {.receive_maximum = 3}}};
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "kept", qos1)).gets(suback(1));
    auto& pub = s.link("pub");
    pub.sends(connect(version).resume()).gets(connack());
    s.store().hold();
    pub.sends(publish("kept", "1", qos1, 1));
    auto first = s.store().last_ticket();
    pub.sends(publish("kept", "2", qos2, 2)).sends(publish("kept", "3", qos1, 3)).gets_nothing();
    SECTION("one more is too many") {
        pub.sends(publish("kept", "4", qos1, 4));
        if (version == Version::v5) pub.gets(disconnect(ReasonCode::receive_maximum_exceeded));
        pub.closes();
        s.becomes_durable();
    }
    SECTION("an answer makes room") {
        s.becomes_durable(first);
        pub.gets(puback(1)).sends(publish("kept", "4", qos1, 4)).gets_nothing();
        s.becomes_durable();
        pub.gets(pubrec(2)).gets(puback(3)).gets(puback(4));
        // PUBREL alone does not: PUBCOMP is the last answer.
        pub.sends(pubrel(2)).gets_nothing();
        pub.sends(publish("kept", "5", qos1, 5)).sends(publish("kept", "6", qos1, 6));
        pub.gets_nothing();
        s.becomes_durable();
        pub.gets(pubcomp(2)).gets(puback(5)).gets(puback(6)).gets_nothing();
    }
}

TEST_CASE("store: a reason waits with its acknowledgement") {
    Slow s{Version::v5};
    s.pub().sends(publish("kept", "1", qos1, 1));
    s.pub().sends(publish("nobody", "2", qos1, 2));
    s.pub().sends(publish("$SYS/x", "3", qos1, 3)).gets_nothing();
    s.becomes_durable();
    s.pub().gets(puback(1, ReasonCode::success));
    s.pub().gets(puback(2, ReasonCode::no_matching_subscribers));
    s.pub().gets(puback(3, ReasonCode::not_authorized));
}

TEST_CASE("store: SUBACK and UNSUBACK of a kept session wait too") {
    auto version = GENERATE(values(kBoth));
    Slow s{version};
    s.link("sub").sends(subscribe(2, "a").also("b")).gets_nothing();
    s.becomes_durable(s.store().last_ticket() - 1);
    s.link("sub").gets_nothing();
    s.becomes_durable();
    s.link("sub").gets(suback(2));
    s.link("sub").sends(unsubscribe(3, {"a"})).gets_nothing();
    s.becomes_durable();
    s.link("sub").gets(unsuback(3));
}

TEST_CASE("store: an acknowledgement whose connection is gone goes nowhere") {
    auto version = GENERATE(values(kBoth));
    bool by_disconnect = GENERATE(false, true);
    Slow s{version};
    s.pub().sends(publish("kept", "1", qos1, 1));
    s.link("other").sends(connect(version)).gets(connack());
    s.link("other").sends(publish("kept", "2", qos1, 7)).gets_nothing();
    if (by_disconnect) {
        s.pub().sends(disconnect());
    } else {
        s.pub().drops();
    }
    s.pub().sends(connect(version).resume()).gets(connack().session_present());
    s.becomes_durable();
    s.pub().gets_nothing();  // the client sends it again and is answered then
    s.link("other").gets(puback(7));
}

TEST_CASE("store: is told what a session that is kept becomes, and nothing of others") {
    Script s;
    s.link("passing").sends(connect(Version::v5)).gets(connack());
    s.link("passing").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link("passing").sends(publish("t", "x", qos2, 1));
    s.link("passing").drops();
    CHECK(s.store().calls().empty());

    using Calls = std::vector<std::string>;
    auto& a = s.link("a");
    a.sends(connect(Version::v5).expiry(10)).gets(connack());
    a.sends(subscribe(1, "t", qos1)).gets(suback(1));
    a.sends(publish("t", "x", qos2, 7)).gets(publish("t", "x", qos1, 1)).gets(pubrec(7));
    a.sends(pubrel(7)).gets(pubcomp(7));
    a.sends(unsubscribe(2, {"t"})).gets(unsuback(2));
    CHECK(s.store().calls() == Calls{"put_session a", "put_subscription a t", "put_inbound a 7",
                                     "put_delivery a t", "put_progress a 1 puback",
                                     "remove_inbound a 7", "remove_subscription a t"});
    a.drops();
    s.pass(11s);
    CHECK(s.store().calls().back() == "remove_session a");
}
