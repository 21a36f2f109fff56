// What a client may publish and have, and that a right which is taken away holds at once.
#include <catch2/catch.hpp>

#include "tests/support/fake_auth.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

struct Ruled {
    FakeAuthorizer rules{};
    Script s;
    explicit Ruled(std::uint8_t shards = 1)
        : s{{.link = {.authorizer = &rules}, .shards = shards}} {}

    ScriptLink& connected(Version version, std::string const& id) {
        s.link(id).sends(connect(version).resume()).gets(connack());
        return s.link(id);
    }
};

}  // namespace

TEST_CASE("rights: a publish that is not allowed goes nowhere and is acknowledged whole",
          "[v3.1.1][MQTT-3.3.5-2][v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-4.3.3-9][gotcha-45]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool v5 = version == Version::v5;
    auto code = v5 ? ReasonCode::not_authorized : ReasonCode::success;
    Ruled r;
    r.rules.forbid("a/", {.publish = {"no"}});
    auto& b = r.connected(version, "b");
    b.sends(subscribe(1, "#", qos2)).gets(suback(1));
    auto& a = r.connected(version, "a");
    a.sends(publish("no", "0").retain()).gets_nothing();
    a.sends(publish("no", "1", qos1, 1).retain()).gets(puback(1, code));
    a.sends(publish("no", "2", qos2, 2).retain()).gets(pubrec(2, code));
    if (!v5) a.sends(pubrel(2)).gets(pubcomp(2));
    // After a PUBREC that refuses, the id is new again.
    a.sends(publish("yes", "3", qos2, 2)).gets(pubrec(2)).sends(pubrel(2)).gets(pubcomp(2));
    b.gets(publish("yes", "3", qos2, 1)).gets_nothing();
    r.connected(version, "late").sends(subscribe(1, "no")).gets(suback(1)).gets_nothing();
    CHECK(r.s.count([](auto const& c) { return c.publishes_denied.read(); }) == 3);
}

TEST_CASE("rights: an alias that comes with a refused publish is set all the same") {
    Ruled r;
    r.rules.forbid("a/", {.publish = {"no"}});
    auto& a = r.connected(Version::v5, "a");
    a.sends(publish("no", "x", qos1, 1).alias(3)).gets(puback(1, ReasonCode::not_authorized));
    a.sends(publish("", "y", qos1, 1).alias(3)).gets(puback(1, ReasonCode::not_authorized));
}

TEST_CASE("rights: SUBSCRIBE judges each filter by itself",
          "[v3.1.1][MQTT-3.9.3-2][v5.0][MQTT-3.9.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Ruled r;
    r.rules.forbid("a/", {.subscribe = {"no", "deep/#"}});
    auto& a = r.connected(version, "a");
    auto refused =
        version == Version::v5 ? ReasonCode::not_authorized : ReasonCode::unspecified_error;
    a.sends(subscribe(1, "no").also("yes", qos1).also("$share/g/deep/#"));
    a.gets(suback(1, {refused, ReasonCode::granted_qos_1, refused}));
    auto& p = r.connected(version, "p");
    for (auto const* topic : {"no", "deep/x", "yes"}) p.sends(publish(topic, "x"));
    a.gets(publish("yes", "x")).gets_nothing();
}

TEST_CASE("rights: read is asked for with each message: live, queued, retained") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::uint8_t shards = GENERATE(std::uint8_t{1}, std::uint8_t{2});
    Ruled r{shards};
    auto id = r.s.id_on_shard(0, "a");
    auto& a = r.connected(version, id);
    auto& p = r.connected(version, r.s.id_on_shard(static_cast<std::uint8_t>(shards - 1), "p"));
    a.sends(subscribe(1, "+", qos1)).gets(suback(1));
    SECTION("live") {
        r.rules.forbid(id + "/", {.receive = {"no"}});
        p.sends(publish("no", "1", qos1, 1)).gets(puback(1));
        p.sends(publish("no", "2"));
        p.sends(publish("yes", "3"));
        a.gets(publish("yes", "3")).gets_nothing();
    }
    SECTION("queued while the session had no connection") {
        a.drops();
        p.sends(publish("no", "1", qos1, 1)).gets(puback(1));
        p.sends(publish("yes", "2", qos1, 2)).gets(puback(2));
        r.rules.forbid(id + "/", {.receive = {"no"}});
        a.sends(connect(version).resume()).gets(connack().session_present());
        a.gets(publish("yes", "2", qos1, 1)).gets_nothing();
    }
    SECTION("retained") {
        p.sends(publish("no", "1", qos1, 1).retain()).gets(puback(1));
        p.sends(publish("yes", "2", qos1, 2).retain()).gets(puback(2));
        answer_all(a);
        r.rules.forbid(id + "/", {.receive = {"no"}});
        a.sends(subscribe(2, "+", qos0)).gets(suback(2));
        a.gets(publish("yes", "2").retain()).gets_nothing();
    }
}

TEST_CASE("rights: a will is judged when it is published",
          "[v3.1.1][MQTT-3.1.2-8][v5.0][MQTT-3.1.2-8][gotcha-8]") {
    bool allowed = GENERATE(false, true);
    Ruled r;
    auto& b = r.connected(Version::v5, "b");
    b.sends(subscribe(1, "#")).gets(suback(1));
    r.rules.forbid("a/", {.publish = {allowed ? "" : "last"}});
    r.s.link("a").sends(connect(Version::v5).will(will("last", "word"))).gets(connack());
    r.rules.forbid("a/", {.publish = {allowed ? "other" : "last"}});
    r.s.link("a").drops();
    if (allowed) b.gets(publish("last", "word"));
    b.gets_nothing();
}

TEST_CASE("rights: they are those of client id and user name together") {
    Ruled r;
    r.rules.forbid("a/anna", {.publish = {"t"}});
    auto as = [](std::string user) {
        return connect(Version::v5).id("a").with([user](mqtt::Connect& packet) {
            packet.user_name = user;
        });
    };
    auto& a = r.s.link("a");
    a.sends(as("anna")).gets(connack());
    a.sends(publish("t", "x", qos1, 1)).gets(puback(1, ReasonCode::not_authorized));
    a.drops();
    a.sends(as("bert")).gets(connack());
    a.sends(publish("t", "x", qos1, 1)).gets(puback(1, ReasonCode::no_matching_subscribers));
}
