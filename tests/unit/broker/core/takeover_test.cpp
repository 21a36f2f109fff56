// A second connection with the same client id (3.1.4).
#include <catch2/catch.hpp>

#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

void expect_taken_over(ScriptLink& old) {
    if (old.version() == Version::v5) old.gets(disconnect(ReasonCode::session_taken_over));
    old.closes();
}

}  // namespace

TEST_CASE("takeover: the old connection is told and closed, the new one goes on",
          "[v3.1.1][MQTT-3.1.4-2][v5.0][MQTT-3.1.4-3][gotcha-3]") {
    auto before = GENERATE(Version::v3_1_1, Version::v5);
    auto after = GENERATE(Version::v3_1_1, Version::v5);
    Script s;
    auto& old = s.link("old");
    auto& fresh = s.link("new");
    old.sends(connect(before).id("x").resume()).gets(connack());
    old.sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link("p").sends(connect(after)).gets(connack());
    s.link("p").sends(publish("t", "in flight", qos1, 1)).gets(puback(1));
    old.gets(publish("t", "in flight", qos1, 1));

    fresh.sends(connect(after).id("x").resume()).gets(connack().session_present());
    expect_taken_over(old);
    fresh.gets(publish("t", "in flight", qos1, 1).dup());
    s.link("p").sends(publish("t", "live", qos1, 2)).gets(puback(2));
    fresh.gets(publish("t", "live", qos1, 2)).gets_nothing();
    CHECK(s.count([](auto const& counters) { return counters.takeovers.read(); }) == 1);
    CHECK(s.count([](auto const& counters) { return counters.connections.read(); }) == 2);
}

TEST_CASE("takeover: a session that ends with its connection is not taken over",
          "[v3.1.1][MQTT-3.1.2-6][v5.0][MQTT-3.2.2-3][MQTT-4.1.0-2][gotcha-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    // Whether the old connection is noticed to be gone before the new CONNECT or by it.
    bool noticed = GENERATE(false, true);
    Script s;
    s.link("old").sends(connect(version).id("x")).gets(connack());
    s.link("old").sends(subscribe(1, "t", qos1)).gets(suback(1));
    if (noticed) s.link("old").drops();
    s.link("new").sends(connect(version).id("x").resume()).gets(connack());
    if (!noticed) expect_taken_over(s.link("old"));
    s.link("p").sends(connect(version)).gets(connack());
    s.link("p").sends(publish("t", "x")).gets_nothing();
    s.link("new").gets_nothing();
}

TEST_CASE("takeover: clean start drops the session that was there",
          "[v3.1.1][MQTT-3.1.2-6][v5.0][MQTT-3.1.2-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool noticed = GENERATE(false, true);
    Script s;
    s.link("old").sends(connect(version).id("x").resume()).gets(connack());
    s.link("old").sends(subscribe(1, "t", qos1)).gets(suback(1));
    if (noticed) s.link("old").drops();
    s.link("new").sends(connect(version).id("x")).gets(connack());
    if (!noticed) expect_taken_over(s.link("old"));
    s.link("p").sends(connect(version)).gets(connack());
    s.link("p").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link("new").gets_nothing();
    CHECK(s.core().sessions().size() == 2);
}

TEST_CASE("takeover: the will of the old connection in MQTT 5, all combinations",
          "[v5.0][MQTT-3.1.4-3][MQTT-3.1.2-8][MQTT-3.1.3-9][gotcha-4]") {
    std::uint32_t delay = GENERATE(0U, 5U);
    std::uint32_t expiry = GENERATE(0U, 60U);
    bool clean = GENERATE(false, true);
    Script s;
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, "w")).gets(suback(1));
    auto gone = will("w", "gone");
    if (delay > 0) gone.will_delay_interval = delay;
    s.link("old").sends(connect(Version::v5).id("x").clean(false).expiry(expiry).will(gone));
    s.link("old").gets(connack());
    s.link("new").sends(connect(Version::v5).id("x").clean(clean).expiry(60));
    s.link("new").gets(connack().session_present(!clean && expiry > 0));
    expect_taken_over(s.link("old"));

    bool called_off = !clean && delay > 0 && expiry > 0;
    if (!called_off) s.link("watch").gets(publish("w", "gone"));
    s.pass(100s);
    s.link("watch").gets_nothing();
}

TEST_CASE("takeover: the will of a 3.1.1 connection always goes out",
          "[v3.1.1][MQTT-3.1.2-8][gotcha-4]") {
    bool old_clean = GENERATE(false, true);
    bool new_clean = GENERATE(false, true);
    Script s;
    s.link("watch").sends(connect(Version::v3_1_1)).gets(connack());
    s.link("watch").sends(subscribe(1, "w")).gets(suback(1));
    s.link("old").sends(connect(Version::v3_1_1).id("x").clean(old_clean).will(will("w", "gone")));
    s.link("old").gets(connack());
    s.link("new").sends(connect(Version::v3_1_1).id("x").clean(new_clean));
    s.link("new").gets(connack().session_present(!old_clean && !new_clean));
    expect_taken_over(s.link("old"));
    s.link("watch").gets(publish("w", "gone")).gets_nothing();
}

TEST_CASE("takeover: the wills of two connections do not mix", "[v5.0][MQTT-3.1.2-10][gotcha-6]") {
    Script s;
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, "w/#")).gets(suback(1));
    s.link("old").sends(connect(Version::v5).id("x").expiry(60).will(will("w/1", "one")));
    s.link("old").gets(connack());
    s.link("new").sends(
        connect(Version::v5).id("x").clean(false).expiry(60).will(will("w/2", "two")));
    s.link("new").gets(connack().session_present());
    s.link("watch").gets(publish("w/1", "one")).gets_nothing();
    s.link("new").drops();
    s.link("watch").gets(publish("w/2", "two")).gets_nothing();
    // The will is used up: a connection without one has none.
    s.link("new").sends(connect(Version::v5).id("x").clean(false).expiry(60));
    s.link("new").gets(connack().session_present()).drops();
    s.link("watch").gets_nothing();
}

TEST_CASE("takeover: a hundred of them under publish load lose no QoS 1",
          "[v3.1.1][MQTT-4.4.0-1][v5.0][MQTT-4.4.0-1][gotcha-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.shards = 3}};
    s.link("p").sends(connect(version)).gets(connack());
    s.link("0").sends(connect(version).id("x").resume()).gets(connack());
    s.link("0").sends(subscribe(1, "t", qos1)).gets(suback(1));
    std::vector<bool> seen(400);
    int sent = 0;
    for (int round = 1; round <= 100; ++round) {
        auto& old = s.link(std::to_string(round - 1));
        auto& fresh = s.link(std::to_string(round));
        for (int i = 0; i < 4; ++i, ++sent) {
            s.link("p").sends(publish("t", std::to_string(sent), qos1, 1)).gets(puback(1));
        }
        // The old one acknowledges some of what it got, and is gone in the middle of it.
        int acknowledged = 0;
        for (auto const& packet : old.takes_all<mqtt::Publish>()) {
            seen[std::stoul(std::string{as_text(packet.payload)})] = true;
            if (++acknowledged % 3 != 0) old.sends(puback(packet.id.value));
        }
        fresh.sends(connect(version).id("x").resume()).gets(connack().session_present());
        while (old.waiting() > 0) {
            if (old.version() == Version::v5 && old.waiting() == 1) break;
            seen[std::stoul(std::string{as_text(old.takes<mqtt::Publish>().payload)})] = true;
        }
        expect_taken_over(old);
    }
    for (auto const& packet : s.link("100").takes_all<mqtt::Publish>()) {
        seen[std::stoul(std::string{as_text(packet.payload)})] = true;
    }
    CHECK(std::ranges::count(seen, true) == 400);
}

TEST_CASE("takeover: by a connection that came in on another shard",
          "[v3.1.1][MQTT-3.1.4-2][v5.0][MQTT-3.1.4-3][gotcha-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.shards = 2}};
    s.link("old").on_shard(0).sends(connect(version).id("x").resume()).gets(connack());
    s.link("new").on_shard(1).sends(connect(version).id("x").resume());
    s.link("new").gets(connack().session_present()).gets_nothing();
    expect_taken_over(s.link("old"));
}
