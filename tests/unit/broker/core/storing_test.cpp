// What waits for the disk and what does not, what of a long queue is in memory, and what is said
// while the store takes no changes.
#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/payloads.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using broker::QueueFull;
using broker::StoreHealth;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// A kept session "sub" that is away and subscribed to "t", and a passing "pub".
struct Away : Script {
    explicit Away(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        sub().sends(connect(v).resume()).gets(connack());
        sub().sends(subscribe(1, "t", qos2)).gets(suback(1)).drops();
        pub().sends(connect(v)).gets(connack());
    }
    ScriptLink& sub() { return link("sub"); }
    ScriptLink& pub() { return link("pub"); }
    ScriptLink& sub_returns() {
        return sub().sends(connect(version).resume()).gets(connack().session_present());
    }
    void publishes(int from, int to) {
        for (int i = from; i < to; ++i)
            pub().sends(publish("t", std::to_string(i), qos1, 1)).gets(puback(1));
    }
    std::uint64_t bytes_in_memory() {
        return count([](auto const& counters) { return counters.queued_bytes.read(); });
    }
    Version version;
};

std::vector<std::string> numbers(int from, int to) {
    std::vector<std::string> all;
    for (int i = from; i < to; ++i) all.push_back(std::to_string(i));
    return all;
}

}  // namespace

TEST_CASE("storing: CONNACK of a new session waits, and what came behind CONNECT too",
          "[v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.store().hold();
    auto& a = s.link("a");
    a.sends_together(connect(version).resume(), subscribe(1, "t", qos1),
                     publish("t", "x", qos1, 2));
    a.gets_nothing();
    s.link("other").sends(connect(version)).gets(connack());
    s.link("other").sends(publish("t", "early")).gets_nothing();
    a.sends(subscribe(3, "u")).gets_nothing();
    s.becomes_durable();
    a.gets(connack());
    s.becomes_durable();
    a.gets(publish("t", "x", qos1));
    a.gets(suback(1)).gets(puback(2)).gets(suback(3)).gets_nothing();
}

TEST_CASE("storing: CONNACK waits until the stored session that it ends is gone",
          "[v5.0][MQTT-3.1.2-4]") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.store().hold();
    s.sub().sends(connect(version)).gets_nothing();
    s.becomes_durable();
    s.sub().gets(connack());
    s.link("never stored").sends(connect(version)).gets(connack()).drops();
    s.link("never stored").sends(connect(version)).gets(connack());
}

TEST_CASE("storing: who is taken over before CONNACK hears nothing of it",
          "[v5.0][MQTT-3.14.0-1]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.store().hold();
    s.link("first").sends(connect(version).id("a").resume()).gets_nothing();
    s.link("second").sends(connect(version).id("a").resume()).gets_nothing();
    s.link("first").closes();
    s.becomes_durable();
    s.link("second").gets(connack()).gets_nothing();
}

TEST_CASE("storing: nobody is told of a session that a crash could still take",
          "[v5.0][MQTT-3.2.2-3]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.store().hold();
    s.link("a").sends(connect(version).resume()).gets_nothing().drops();
    s.link("a").sends(connect(version).resume()).gets_nothing();
    s.becomes_durable();
    s.link("a").gets(connack()).drops();
    s.link("a").sends(connect(version).resume()).gets(connack().session_present());
}

TEST_CASE("storing: while the store is out of order no session begins by a takeover", "[v5.0]") {
    auto version = GENERATE(values(kBoth));
    Script s;
    s.store().hold();
    s.link("first").sends(connect(version).id("a").resume()).gets_nothing();
    s.store().set_health(StoreHealth::failed);
    s.link("second").sends(connect(version).id("a").resume());
    s.link("second").gets(connack(ReasonCode::server_unavailable)).closes();
}

TEST_CASE("storing: UNSUBACK on the next connection waits for UNSUBSCRIBE of the last one") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.sub_returns();
    s.store().hold();
    s.sub().sends(unsubscribe(2, {"t"})).gets_nothing().drops();
    s.sub_returns().sends(unsubscribe(3, {"t"})).gets_nothing();
    s.becomes_durable();
    std::vector<ReasonCode> reasons;
    if (version == Version::v5) reasons = {ReasonCode::no_subscription_existed};
    s.sub().gets(unsuback(3, reasons));
}

TEST_CASE("storing: who is told that no session is there does not find it after a crash",
          "[v5.0]") {
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.store().hold();
    s.link("a").sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
    s.link("other").sends(connect(Version::v5)).gets(connack());
    s.link("a").sends(connect(Version::v5)).gets_nothing();
    s.becomes_durable();
    s.link("a").gets(connack()).drops();
    s.link("a").sends(connect(Version::v5)).gets(connack());
}

TEST_CASE("storing: connections that need no disk are not held up by others") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.link("now").sends(connect(version)).gets(connack());
    s.link("now").sends(subscribe(1, "n", qos2)).gets(suback(1));
    s.store().hold();
    s.pub().sends(publish("t", "x", qos1, 1)).gets_nothing();
    auto& other = s.link("other");
    other.sends(connect(version)).gets(connack()).sends(publish("n", "y", qos2, 1)).gets(pubrec(1));
    s.link("now").gets(publish("n", "y", qos2, 1)).sends(pubrec(1)).gets(pubrel(1));
    other.sends(pubrel(1)).gets(pubcomp(1));
    s.pub().sends(pingreq()).gets(pingresp()).gets_nothing();
    s.becomes_durable();
    s.pub().gets(puback(1));
}

TEST_CASE("storing: SUBACK comes in front of retained messages") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.pub().sends(publish("r", "x", qos1, 1).retain()).gets(puback(1));
    s.sub_returns();
    s.store().hold();
    s.sub().sends(subscribe(2, "r", qos1)).gets_nothing();
    s.becomes_durable();
    s.sub().gets(suback(2)).gets(publish("r", "x", qos1).retain());
}

TEST_CASE("storing: a QoS 2 publish that is sent again waits as the first one did") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.link("kept").sends(connect(version).resume()).gets(connack());
    s.store().hold();
    s.link("kept").sends(publish("t", "x", qos2, 1)).gets_nothing().drops();
    s.link("kept").sends(connect(version).resume()).gets(connack().session_present());
    s.link("kept").sends(publish("t", "x", qos2, 1).dup()).gets_nothing();
    s.becomes_durable();
    s.link("kept").gets(pubrec(1));
}

TEST_CASE("storing: PUBREL on the next connection waits for PUBREC of the last one",
          "[v5.0][MQTT-4.3.3-4]") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.sub_returns();
    s.pub().sends(publish("t", "x", qos2, 1)).gets(pubrec(1));
    s.sub().gets(publish("t", "x", qos2, 1));
    s.store().hold();
    s.sub().sends(pubrec(1)).gets_nothing().drops();
    s.sub_returns().gets_nothing();
    s.becomes_durable();
    s.sub().gets(pubrel(1)).sends(pubcomp(1)).drops();
    s.becomes_durable();
    s.sub_returns().gets_nothing();
}

TEST_CASE("storing: PUBCOMP on the next connection waits for the release on the last one",
          "[v5.0][MQTT-4.3.3-11]") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.link("kept").sends(connect(version).resume()).gets(connack());
    s.link("kept").sends(publish("u", "x", qos2, 1));
    s.link("kept").gets(pubrec(1));
    s.store().hold();
    s.link("kept").sends(pubrel(1)).gets_nothing().drops();
    s.link("kept").sends(connect(version).resume()).gets(connack().session_present());
    s.link("kept").sends(pubrel(1)).gets_nothing();
    s.becomes_durable();
    auto answer = pubcomp(1);
    if (version == Version::v5) answer = pubcomp(1, ReasonCode::packet_identifier_not_found);
    s.link("kept").gets(answer);
}

TEST_CASE("storing: of a long queue a window is in memory, the rest is read in time") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_window = 10}}};
    s.publishes(0, 10);
    auto window = s.bytes_in_memory();
    s.publishes(10, 100);
    CHECK(s.bytes_in_memory() < window + window / 5);  // payloads differ in length
    CHECK(s.store().message_count() == 100);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == numbers(0, 100));
    CHECK(s.bytes_in_memory() == 0);
    CHECK(s.store().message_count() == 0);
    CHECK(s.store().read_count() == 90);
    s.publishes(100, 130);
    CHECK(payloads(answer_all(s.sub())) == numbers(100, 130));
}

TEST_CASE("storing: what is not durable yet stays in memory") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_window = 2}}};
    s.store().hold();
    for (int i = 0; i < 20; ++i)
        s.pub().sends(publish("t", std::to_string(i), qos1, static_cast<std::uint16_t>(i + 1)));
    s.pub().gets_nothing();
    auto all = s.bytes_in_memory();
    s.becomes_durable(s.store().last_ticket() - 10);
    CHECK(s.bytes_in_memory() < all);
    CHECK(s.bytes_in_memory() > all / 3);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == numbers(0, 20));
}

TEST_CASE("storing: a queue is read while new messages come, in order") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_window = 4}, .link = {.inflight_max = 3}}};
    s.publishes(0, 30);
    s.sub_returns();
    std::vector<std::string> got;
    for (int sent = 30; got.size() < 60;) {
        for (auto& text : payloads(answer_all(s.sub(), 1))) got.push_back(text);
        if (sent < 60) {
            s.publishes(sent, sent + 1);
            ++sent;
        }
        if (got.size() % 7 == 3) {
            s.sub().drops();
            s.publishes(sent, std::min(sent + 1, 60));
            sent = std::min(sent + 1, 60);
            s.sub_returns();
        }
    }
    // What was in flight when the connection was cut comes again.
    std::vector<std::string> first;
    for (auto const& text : got) {
        if (std::ranges::find(first, text) == first.end()) first.push_back(text);
    }
    CHECK(first == numbers(0, static_cast<int>(first.size())));
}

TEST_CASE("storing: a message that the store has lost is left out and counted") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_window = 2}}};
    s.publishes(0, 6);
    s.store().lose_messages();
    s.publishes(6, 8);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == std::vector<std::string>{"0", "1", "6", "7"});
    CHECK(s.dropped().damaged.read() == 4);
}

TEST_CASE("queue full: reject tells the publisher, and others get the message") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_messages_max = 3}}};
    s.link("other").sends(connect(version)).gets(connack());
    s.link("other").sends(subscribe(1, "t", qos1)).gets(suback(1));
    auto logged = s.log().size();
    for (std::uint16_t i = 0; i < 3; ++i) {
        s.pub().sends(publish("t", std::to_string(i), qos1, 1)).gets(puback(1));
    }
    CHECK(s.log().size() == logged + 1);
    CHECK(s.log().back().find("'sub' is full") != std::string::npos);
    auto qos = GENERATE(qos1, qos2);
    s.pub().sends(publish("t", "3", qos, 2));
    if (version == Version::v5) {
        qos == qos1 ? s.pub().gets(puback(2, ReasonCode::quota_exceeded))
                    : s.pub().gets(pubrec(2, ReasonCode::quota_exceeded));
        s.pub().gets_nothing();
    } else {
        s.pub().closes();
        s.pub().sends(connect(version)).gets(connack());
    }
    CHECK(s.dropped().queue_full.read() == 1);
    CHECK(payloads(answer_all(s.link("other"))) == numbers(0, 4));
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub(), 1)) == numbers(0, 1));
    s.sub().drops();
    s.pub().sends(publish("t", "4", qos1, 1)).gets(puback(1));  // there is room again
}

TEST_CASE("queue full: reject may leave a 3.1.1 publisher without an answer") {
    Away s{Version::v3_1_1, {.settings = {.queue_messages_max = 1, .rejection_closes_v3 = false}}};
    s.publishes(0, 1);
    s.pub().sends(publish("t", "1", qos1, 2)).gets_nothing();
    s.pub().sends(publish("nobody", "1", qos1, 3)).gets(puback(3));
}

TEST_CASE("queue full: drop_oldest keeps what is new") {
    auto version = GENERATE(values(kBoth));
    Away s{version,
           {.settings = {
                .queue_messages_max = 3, .queue_full = QueueFull::drop_oldest, .queue_window = 2}}};
    s.publishes(0, 8);
    CHECK(s.dropped().queue_full.read() == 5);
    CHECK(s.store().message_count() == 3);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == numbers(5, 8));
}

TEST_CASE("queue full: drop_new keeps what was there") {
    auto version = GENERATE(values(kBoth));
    Away s{version, {.settings = {.queue_messages_max = 3, .queue_full = QueueFull::drop_new}}};
    s.publishes(0, 8);
    CHECK(s.dropped().queue_full.read() == 5);
    CHECK(s.store().message_count() == 3);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == numbers(0, 3));
}

TEST_CASE("queue full: the home shard tells the shards of publishers") {
    auto version = GENERATE(values(kBoth));
    Script s{{.settings = {.queue_messages_max = 2}, .shards = 2}};
    auto sub = s.id_on_shard(0, "sub");
    auto pub = s.id_on_shard(1, "pub");
    s.link(sub).sends(connect(version).resume()).gets(connack());
    s.link(sub).sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link(pub).sends(connect(version)).gets(connack());
    for (int i = 0; i < 2; ++i) s.link(pub).sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link(pub).sends(publish("t", "x", qos1, 1));
    version == Version::v5 ? (void)s.link(pub).gets(puback(1, ReasonCode::quota_exceeded))
                           : (void)s.link(pub).closes();
    CHECK(s.session(sub)->queue.size() == 2);
}

TEST_CASE("store out of order: what needs it is refused, the rest goes on") {
    auto version = GENERATE(values(kBoth));
    auto health = GENERATE(StoreHealth::over_limit, StoreHealth::full, StoreHealth::failed);
    bool v5 = version == Version::v5;
    auto reason = health == StoreHealth::failed ? ReasonCode::implementation_specific_error
                                                : ReasonCode::quota_exceeded;
    Away s{version};
    s.link("now").sends(connect(version)).gets(connack());
    s.link("now").sends(subscribe(1, "n", qos1)).gets(suback(1));
    s.sub_returns();
    s.store().set_health(health);
    s.jump(0ms);
    SECTION("publishes") {
        s.pub().sends(publish("n", "y", qos1, 1)).gets(puback(1));
        s.link("now").gets(publish("n", "y", qos1));
        auto what = GENERATE(0, 1, 2);
        auto packet = what == 0   ? publish("t", "x", qos1, 2)
                      : what == 1 ? publish("t", "x", qos2, 2)
                                  : publish("n", "x", qos1, 2).retain();
        s.pub().sends(packet);
        if (!v5) {
            s.pub().closes();
        } else if (what == 1) {
            s.pub().gets(pubrec(2, reason)).gets_nothing();
        } else {
            s.pub().gets(puback(2, reason)).gets_nothing();
        }
        s.sub().gets_nothing();
        CHECK(s.retained().count() == 0);
        s.store().set_health(StoreHealth::good);
        s.jump(0ms);
        if (!v5) s.pub().sends(connect(version)).gets(connack());
        s.pub().sends(publish("t", "x", qos1, 2)).gets(puback(2));
        s.sub().gets(publish("t", "x", qos1));
    }
    SECTION("subscriptions of sessions that are stored") {
        s.sub().sends(subscribe(5, "more", qos1));
        s.sub().gets(suback(5, {v5 ? reason : ReasonCode::unspecified_error}));
        s.sub().sends(unsubscribe(6, {"t"}));
        if (v5) {
            s.sub().gets(unsuback(6, {ReasonCode::implementation_specific_error}));
        } else {
            s.sub().closes();
        }
        s.link("now").sends(subscribe(2, "more", qos1)).gets(suback(2));
    }
    SECTION("new sessions") {
        s.link("new").sends(connect(version).resume());
        s.link("new").gets(connack(ReasonCode::server_unavailable)).closes();
        s.link("passing").sends(connect(version)).gets(connack());
        CHECK(s.session("new") == nullptr);
    }
}

TEST_CASE("store out of order: what a share group was promised is passed on all the same",
          "[v5.0][gotcha-54]") {
    auto window = GENERATE(2U, 128U);
    Script s{{.settings = {.queue_window = window}}};
    s.link("a").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("a").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int i = 0; i < 6; ++i)
        s.link("pub").sends(publish("t", std::to_string(i), qos1, 1)).gets(puback(1));
    s.link("b").sends(connect(Version::v5).resume()).gets(connack());
    s.link("b").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    s.store().set_health(StoreHealth::failed);
    s.pass(101s);  // a's time is over
    s.store().set_health(StoreHealth::good);
    s.link("b").sends(connect(Version::v5).resume()).gets(connack().session_present());
    CHECK(payloads(answer_all(s.link("b"))) == numbers(0, 6));
}

TEST_CASE("store out of order: a will goes out all the same") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.link("dies").sends(connect(version).will(will("t", "gone", qos1))).gets(connack());
    s.store().set_health(StoreHealth::failed);
    s.jump(0ms);
    s.link("dies").drops();
    s.store().set_health(StoreHealth::good);
    CHECK(payloads(answer_all(s.sub_returns())) == std::vector<std::string>{"gone"});
}

TEST_CASE("store out of order: whose session has expired cannot begin a new one", "[v5.0]") {
    Script s;
    s.link("a").sends(connect(Version::v5).expiry(10)).gets(connack()).drops();
    s.store().set_health(StoreHealth::failed);
    s.jump(11s);
    s.link("a").sends(connect(Version::v5).clean(false).expiry(10));
    s.link("a").gets(connack(ReasonCode::server_unavailable)).closes();
}

TEST_CASE("store over its limit: what was handed over is still acknowledged") {
    auto version = GENERATE(values(kBoth));
    Away s{version};
    s.store().hold();
    s.pub().sends(publish("t", "x", qos1, 1)).gets_nothing();
    s.store().set_health(StoreHealth::over_limit);
    s.jump(0ms);
    s.pub().gets_nothing();
    s.becomes_durable();
    s.pub().gets(puback(1));
}

TEST_CASE("store out of order: who waits for it is told that it was not taken") {
    auto version = GENERATE(values(kBoth));
    bool v5 = version == Version::v5;
    Away s{version};
    s.link("other").sends(connect(version).resume()).gets(connack());
    s.store().hold();
    s.pub().sends(publish("t", "x", qos1, 1)).gets_nothing();
    s.link("other").sends(subscribe(1, "u")).gets_nothing();
    s.link("new").sends(connect(version).resume()).gets_nothing();
    s.link("idle").sends(connect(version)).gets(connack());
    s.store().set_health(StoreHealth::full);
    s.jump(0ms);
    for (auto const* name : {"pub", "other"}) {
        if (v5) s.link(name).gets(disconnect(ReasonCode::quota_exceeded));
        s.link(name).closes();
    }
    s.link("new").gets(connack(ReasonCode::server_unavailable)).closes();
    s.link("idle").gets_nothing();
    CHECK(s.session("new") == nullptr);
    // What was taken before is still there: it is written when that is possible again.
    s.store().set_health(StoreHealth::good);
    s.becomes_durable();
    CHECK(answer_all(s.sub_returns()).size() == 1);
}
