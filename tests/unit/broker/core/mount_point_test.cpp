// A listener's mount point: its clients live in a part of the topic tree of their own.
#include <catch2/catch.hpp>

#include "tests/support/fake_auth.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// A broker with two listeners: links named "in..." come behind the mount point.
struct Mounted {
    broker::LinkSettings inside{};
    Script s{};
    explicit Mounted(broker::Authorizer const* rules = nullptr) {
        inside.mount_point = "site-7/";
        inside.authorizer = rules;
    }
    ScriptLink& connected(Version version, std::string const& name) {
        return sends(connect(version).resume(), name).gets(connack());
    }
    ScriptLink& sends(ConnectBuilder const& connect, std::string const& name) {
        auto& link = s.link(name);
        if (name.starts_with("in")) link.through(inside);
        return link.sends(connect);
    }
};

}  // namespace

TEST_CASE("mount point: topics come without it and are published below it") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto other = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1);
    std::string payload(GENERATE(10U, 20'000U), 'x');
    Mounted m;
    auto& in = m.connected(version, "in");
    auto& in2 = m.connected(other, "in2");
    auto& out = m.connected(other, "out");
    in.sends(subscribe(1, "#", qos)).gets(suback(1));
    in2.sends(subscribe(1, "a/+", qos)).gets(suback(1));
    out.sends(subscribe(1, "#", qos)).gets(suback(1));
    in2.sends(publish("a/b", payload, qos, 1));
    in2.gets(publish("a/b", payload, qos, 1));
    if (qos == qos1) in2.gets(puback(1));
    in.gets(publish("a/b", payload, qos, 1));
    out.gets(publish("site-7/a/b", payload, qos, 1));
    out.sends(publish("a/b", "elsewhere")).gets(publish("a/b", "elsewhere"));
    out.sends(publish("site-7/c", "down")).gets(publish("site-7/c", "down"));
    in.gets(publish("c", "down")).gets_nothing();
    in2.gets_nothing();
}

TEST_CASE("mount point: retained messages, shared groups, wills and UNSUBSCRIBE know it") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Mounted m;
    auto& in = m.connected(version, "in");
    in.sends(publish("r", "kept", qos1, 1).retain()).gets(puback(1));
    in.sends(subscribe(1, "r")).gets(suback(1)).gets(publish("r", "kept").retain());
    in.sends(subscribe(2, "$share/g/s")).gets(suback(2));
    auto& out = m.connected(version, "out");
    out.sends(subscribe(1, "site-7/#")).gets(suback(1)).gets(publish("site-7/r", "kept").retain());
    out.sends(publish("site-7/s", "one")).gets(publish("site-7/s", "one"));
    in.gets(publish("s", "one"));
    in.sends(unsubscribe(3, {"r", "$share/g/s"})).gets(unsuback(3));
    out.sends(publish("site-7/s", "two")).gets(publish("site-7/s", "two"));
    out.sends(publish("site-7/r", "three")).gets(publish("site-7/r", "three"));
    in.gets_nothing();
    m.sends(connect(version).will(will("last", "word")), "in-dies").gets(connack()).drops();
    out.gets(publish("site-7/last", "word"));
}

TEST_CASE("mount point: an alias stands for the topic that the client sees") {
    Mounted m;
    auto& in = m.sends(connect(Version::v5).topic_alias_maximum(2), "in").gets(connack());
    in.sends(subscribe(1, "#")).gets(suback(1));
    in.sends(publish("a", "1").alias(1)).gets(publish("a", "1").alias(1));
    in.sends(publish("", "2").alias(1)).gets(publish("", "2").alias(1));
}

TEST_CASE("mount point: there are no topics below $ behind it",
          "[v3.1.1][MQTT-4.7.2-1][v5.0][MQTT-4.7.2-1]") {
    Mounted m;
    auto& in = m.connected(Version::v5, "in");
    auto& out = m.connected(Version::v5, "out");
    in.sends(subscribe(1, "#").also("$x")).gets(suback(1));
    in.sends(publish("$x", "x", qos1, 1)).gets(puback(1, ReasonCode::not_authorized));
    out.sends(publish("site-7/$x", "x", qos1, 1)).gets(puback(1));
    in.gets_nothing();
    CHECK(m.s.dropped().not_authorized.read() == 1);
}

TEST_CASE("mount point: a session that comes back under another one begins anew") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool noticed = GENERATE(false, true);
    Mounted m;
    m.sends(connect(version).id("x").resume(), "in").gets(connack());
    m.s.link("in").sends(subscribe(1, "a")).gets(suback(1));
    if (noticed) m.s.link("in").drops();
    auto& out = m.sends(connect(version).id("x").resume(), "out").gets(connack());
    out.sends(publish("site-7/a", "x")).sends(publish("a", "x")).gets_nothing();
    out.drops();
    m.sends(connect(version).id("x").resume(), "out").gets(connack().session_present());
}

TEST_CASE("mount point: what becomes too long with it is refused", "[limits]") {
    Mounted m;
    auto& in = m.connected(Version::v5, "in");
    std::string fits(65'535 - 7, 'a');
    in.sends(subscribe(1, fits)).gets(suback(1));
    in.sends(publish(fits, "x", qos1, 1)).gets(publish(fits, "x")).gets(puback(1));
    in.sends(subscribe(2, fits + "a")).gets(suback(2, {ReasonCode::topic_filter_invalid}));
    in.sends(publish(fits + "a", "x", qos1, 1)).gets(puback(1, ReasonCode::topic_name_invalid));
    m.sends(connect(Version::v5).will(will(fits + "a", "x")), "in2");
    m.s.link("in2").gets(connack(ReasonCode::topic_name_invalid)).closes();
}

TEST_CASE("mount point: rights are about whole topics") {
    FakeAuthorizer rules;
    rules.forbid("in/", {.publish = {"site-7/a"}, .subscribe = {"site-7/b"}});
    Mounted m{&rules};
    auto& in = m.connected(Version::v5, "in");
    in.sends(publish("a", "x", qos1, 1)).gets(puback(1, ReasonCode::not_authorized));
    in.sends(subscribe(1, "b").also("$share/g/b").also("a"));
    in.gets(suback(
        1, {ReasonCode::not_authorized, ReasonCode::not_authorized, ReasonCode::granted_qos_0}));
}
