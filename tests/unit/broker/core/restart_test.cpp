// What is there again after the broker started anew (architecture: what was acknowledged survives).
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "broker/storage/reference_store.hpp"
#include "tests/support/payloads.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// A broker that can be killed, with a store that outlives it.
class Mortal {
public:
    explicit Mortal(ScriptOptions options = {}) : options_(std::move(options)) {
        options_.store = &store_;
        script_ = std::make_unique<Script>(options_);
    }

    Script& operator*() noexcept { return *script_; }
    Script* operator->() noexcept { return script_.get(); }
    ScriptLink& link(std::string const& name) { return script_->link(name); }
    broker::ReferenceStore& store() noexcept { return store_; }

    /// Killed, and started `later`.
    void restarts(std::chrono::milliseconds later = 0ms) {
        options_.start = script_->now();
        options_.start.steady += later;
        options_.start.wall += later;
        script_.reset();
        store_.crash();
        script_ = std::make_unique<Script>(options_);
    }
    void restarts_with_shards(std::uint8_t shards) {
        options_.shards = shards;
        restarts();
    }

private:
    ScriptOptions options_;
    broker::ReferenceStore store_;
    std::unique_ptr<Script> script_;
};

/// The next packet, a PUBLISH, as its topic and payload: after a restart ids go on elsewhere.
std::string next(ScriptLink& link) {
    auto packet = link.takes<mqtt::Publish>();
    return packet.topic + " " + std::string{as_text(packet.payload)};
}

}  // namespace

TEST_CASE("restart: sessions are there with their subscriptions, others are not") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("kept").sends(connect(version).resume()).gets(connack());
    s.link("kept").sends(subscribe(1, "a/+", qos1).also("b", qos2)).gets(suback(1));
    s.link("kept").sends(unsubscribe(2, {"b"})).gets(unsuback(2));
    s.link("passing").sends(connect(version)).gets(connack());
    s.link("passing").sends(subscribe(1, "a/b", qos1)).gets(suback(1));
    s.restarts();
    CHECK(s->index().subscription_count() == 1);
    s.link("kept").sends(connect(version).resume()).gets(connack().session_present());
    s.link("passing").sends(connect(version).clean(false)).gets(connack());
    s.link("kept").sends(publish("a/b", "x", qos2, 7));
    CHECK(next(s.link("kept")) == "a/b x");
    s.link("kept").gets(pubrec(7)).sends(publish("b", "y")).gets_nothing();
}

TEST_CASE("restart: options of a subscription", "[v5.0]") {
    Mortal s;
    s.link("a").sends(connect(Version::v5).resume()).gets(connack());
    s.link("a")
        .sends(subscribe(1, "own", qos1).no_local().identifier(9))
        .gets(suback(1))
        .sends(subscribe(2, "r", qos1).retain_as_published().identifier(10))
        .gets(suback(2));
    s.restarts();
    s.link("a").sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.link("a").sends(publish("own", "x")).gets_nothing();
    s.link("b").sends(connect(Version::v5)).gets(connack());
    s.link("b").sends(publish("own", "1")).sends(publish("r", "2").retain());
    s.link("a").gets(publish("own", "1").ids({9}));
    s.link("a").gets(publish("r", "2").retain().ids({10}));
}

TEST_CASE("restart: what waits comes in order, however long the queue") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    auto window = GENERATE(2U, 8U, 128U);
    constexpr int kCount = 50;
    Mortal s{{.settings = {.queue_window = window}}};
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1)).drops();
    s.link("pub").sends(connect(version)).gets(connack());
    std::vector<std::string> sent;
    for (int i = 0; i < kCount; ++i) {
        sent.push_back(std::to_string(i));
        s.link("pub").sends(publish("t", sent.back(), qos, 1));
        qos == qos1 ? s.link("pub").gets(puback(1))
                    : s.link("pub").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
        if (i == kCount / 2) {
            s.restarts();
            s.link("pub").sends(connect(version)).gets(connack());
        }
    }
    CHECK(s.store().delivery_count() == kCount);
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    CHECK(payloads(answer_all(s.link("sub"))) == sent);
    CHECK(s.store().delivery_count() == 0);
    CHECK(s.store().message_count() == 0);
}

TEST_CASE("restart: a delivery that was sent comes again with its id, and DUP",
          "[v3.1.1][MQTT-4.4.0-1][MQTT-3.3.1-1][v5.0][MQTT-4.4.0-1][MQTT-3.3.1-1][gotcha-27]") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(version)).gets(connack());
    for (std::uint16_t i = 1; i <= 4; ++i) {
        auto qos = i % 2 == 0 ? qos2 : qos1;
        s.link("pub").sends(publish("t", std::to_string(i), qos, i));
        s.link("sub").gets(publish("t", std::to_string(i), qos, i));
    }
    s.link("sub").sends(puback(3)).sends(pubrec(4)).gets(pubrel(4));
    s.restarts();
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    s.link("sub").gets(publish("t", "1", qos1, 1).dup()).gets(publish("t", "2", qos2, 2).dup());
    s.link("sub").gets(pubrel(4)).gets_nothing();  // which waits for the disk
    s.link("sub").sends(pubcomp(4)).sends(puback(1)).sends(pubrec(2)).gets(pubrel(2));
    s.link("sub").sends(pubcomp(2));
    CHECK(s.store().delivery_count() == 0);
    // Ids go on elsewhere: those that were given last need not all have been stored.
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("pub").sends(publish("t", "next", qos1, 1)).gets(puback(1));
    auto next = s.link("sub").takes<mqtt::Publish>();
    CHECK(next.id.value > 16'000);
}

TEST_CASE("restart: PUBRELs come again in the order of their PUBRECs",
          "[v3.1.1][MQTT-4.6.0-4][MQTT-4.4.0-1][v5.0][MQTT-4.6.0-4][MQTT-4.4.0-1]") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    for (std::uint16_t i = 1; i <= 3; ++i) {
        s.link("sub").sends(publish("t", "x", qos2, i)).gets(pubrec(i));
        s.link("sub").gets(publish("t", "x", qos2, i));
    }
    s.link("sub").sends(pubrec(2)).gets(pubrel(2)).sends(pubrec(3)).gets(pubrel(3));
    s.link("sub").sends(pubrec(1)).gets(pubrel(1));
    s.restarts();
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    s.link("sub").gets(pubrel(2)).gets(pubrel(3)).gets(pubrel(1)).gets_nothing();
}

TEST_CASE("restart: a QoS 2 publish that is sent again is not delivered again",
          "[v5.0][MQTT-4.3.3-10][gotcha-6]") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    auto& pub = s.link("pub");
    pub.sends(connect(version).resume()).gets(connack());
    pub.sends(publish("t", "x", qos2, 7)).gets(pubrec(7)).sends(publish("t", "y", qos2, 8));
    pub.gets(pubrec(8)).sends(pubrel(8)).gets(pubcomp(8));
    s.restarts();
    auto& again = s.link("pub");
    again.sends(connect(version).resume()).gets(connack().session_present());
    again.sends(publish("t", "x", qos2, 7).dup()).gets(pubrec(7)).sends(pubrel(7)).gets(pubcomp(7));
    again.sends(publish("t", "z", qos2, 8)).gets(pubrec(8));
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    CHECK(payloads(answer_all(s.link("sub"))) == std::vector<std::string>{"x", "y", "z"});
}

TEST_CASE("restart: what was not acknowledged may be gone, but not in part") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    for (auto const* name : {"a", "b"}) {
        s.link(name).sends(connect(version).resume()).gets(connack());
        s.link(name).sends(subscribe(1, "t", qos2)).gets(suback(1)).drops();
    }
    s.link("pub").sends(connect(version).resume()).gets(connack());
    s.store().hold();
    s.link("pub").sends(publish("t", "x", qos2, 7)).gets_nothing();
    s.link("new").sends(connect(version).resume()).gets_nothing();
    SECTION("lost") {
        s.restarts();
        CHECK(s.store().delivery_count() == 0);
        CHECK(s.store().session_count() == 3);
    }
    SECTION("kept") {
        s.store().release_some(1);
        s.restarts();
        CHECK(s.store().delivery_count() == 2);
        CHECK(s.store().message_count() == 1);  // one for both
    }
    s.link("pub").sends(connect(version).resume()).gets(connack().session_present());
    s.link("pub").sends(publish("t", "x", qos2, 7).dup()).gets(pubrec(7));
    for (auto const* name : {"a", "b"}) {
        s.link(name).sends(connect(version).resume()).gets(connack().session_present());
        CHECK(answer_all(s.link(name)).size() == 1);
    }
}

TEST_CASE("restart: a QoS 2 delivery is not sent before its id is durable") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("sub").sends(connect(version).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(version)).gets(connack());
    s.store().hold();
    s.link("pub").sends(publish("t", "1", qos2, 1)).sends(publish("t", "2", qos1, 2));
    s.link("pub").sends(publish("t", "3", qos2, 3)).gets_nothing();
    s.link("sub")
        .gets(publish("t", "2", qos1, 2))
        .gets_nothing();  // delivery and commit side by side
    s.store().release();
    s->jump(0ms);
    s.link("pub").gets(pubrec(1)).gets(puback(2)).gets(pubrec(3));
    auto first = s.link("sub").takes<mqtt::Publish>();
    CHECK(as_text(first.payload) == "1");
    CHECK_FALSE(first.dup);
    CHECK(as_text(s.link("sub").takes<mqtt::Publish>().payload) == "3");
    // Neither is PUBREL before it is durable that the message is not to be sent again.
    s.store().hold();
    s.link("sub").sends(pubrec(first.id.value)).gets_nothing();
    s.store().release();
    s->jump(0ms);
    s.link("sub").gets(pubrel(first.id.value));
}

TEST_CASE("restart: a QoS 2 delivery that expired before it was written is not written",
          "[v5.0][MQTT-3.3.2-5]") {
    Mortal s;
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.store().hold();
    s.link("pub").sends(publish("t", "short", qos2, 1).expiry(10)).gets_nothing();
    s.link("pub").sends(publish("t", "long", qos2, 2).expiry(100)).gets_nothing();
    s.link("sub").gets_nothing().drops();  // their ids are not durable
    s.store().release();
    s.restarts(20s);
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack().session_present());
    CHECK(next(s.link("sub")) == "t long");
    s.link("sub").gets(pubrel(1)).sends(pubcomp(1, ReasonCode::packet_identifier_not_found));
    s.link("sub").gets_nothing().sends(pubrec(2)).gets(pubrel(2)).sends(pubcomp(2));
    // One that was sent is sent again, as it must be.
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "sent", qos2, 1).expiry(10)).gets(pubrec(1));
    CHECK(next(s.link("sub")) == "t sent");
    s.restarts(20s);
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto again = s.link("sub").takes<mqtt::Publish>();
    CHECK(again.dup);
    s.link("sub").sends(pubrec(again.id.value)).gets(pubrel(again.id.value));
    s.link("sub").sends(pubcomp(again.id.value));
    CHECK(s.store().delivery_count() == 0);
}

TEST_CASE("restart: a QoS 1 delivery that expired before its socket took it is not sent",
          "[v5.0][MQTT-3.3.2-5]") {
    Mortal s;
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1)).socket_takes(0);
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "short", qos1, 1).expiry(10)).gets(puback(1));
    s.link("pub").sends(publish("t", "long", qos1, 1).expiry(100)).gets(puback(1));
    s.link("sub").drops();
    s.restarts(20s);
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto packet = s.link("sub").takes<mqtt::Publish>();
    CHECK(as_text(packet.payload) == "long");
    CHECK_FALSE(packet.dup);  // no byte of it was written
    s.link("sub").gets_nothing().sends(puback(packet.id.value));
    CHECK(s->dropped().expired.read() == 1);
    CHECK(s.store().delivery_count() == 0);
}

TEST_CASE("restart: sessions end when they would have ended", "[v5.0][MQTT-3.1.2-23]") {
    Mortal s;
    s.link("away").sends(connect(Version::v5).expiry(100)).gets(connack()).drops();
    s.link("here").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("changed").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("changed").sends(disconnect(ReasonCode::normal_disconnection, 10)).closes();
    s->pass(5s);
    s.restarts(50s);
    s->pass(100ms);
    CHECK(s->session("changed") == nullptr);
    CHECK(s->session("away") != nullptr);
    s->pass(43s);
    CHECK(s->session("away") != nullptr);
    s->pass(2s);
    CHECK(s->session("away") == nullptr);
    // Its connection ended with the broker, as far as anybody can know.
    CHECK(s->session("here") != nullptr);
    s.restarts();  // which prolongs nothing
    s->pass(53s);
    CHECK(s->session("here") != nullptr);
    s->pass(2s);
    CHECK(s->session("here") == nullptr);
    CHECK(s.store().session_count() == 0);
}

TEST_CASE("restart: messages expire while the broker is away", "[v5.0][MQTT-3.3.2-5]") {
    Mortal s;
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "short", qos1, 1).expiry(10)).gets(puback(1));
    s.link("pub").sends(publish("t", "long", qos1, 1).expiry(100)).gets(puback(1));
    s.link("pub").sends(publish("r", "short", qos1, 1).retain().expiry(10));
    s.restarts(20s);
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto packet = s.link("sub").takes<mqtt::Publish>();
    CHECK(as_text(packet.payload) == "long");
    CHECK(packet.properties.message_expiry_interval == 80);
    s.link("sub").gets_nothing();
    CHECK(s->retained().count() == 0);
    CHECK(s.store().delivery_count() == 1);
}

TEST_CASE("restart: retained messages", "[v3.1.1][MQTT-3.3.1-5][v5.0][MQTT-3.3.1-5]") {
    auto version = GENERATE(values(kBoth));
    Mortal s;
    s.link("pub").sends(connect(version)).gets(connack());
    s.link("pub").sends(publish("a", "1", qos1, 1).retain()).gets(puback(1));
    s.link("pub").sends(publish("a", "2").retain()).sends(publish("b", "x").retain());
    s.link("pub").sends(publish("b", "").retain());
    s.restarts();
    CHECK(s->retained().count() == 1);
    s.link("sub").sends(connect(version)).gets(connack());
    s.link("sub").sends(subscribe(1, "#")).gets(suback(1)).gets(publish("a", "2").retain());
}

TEST_CASE("restart: wills", "[v5.0][MQTT-3.1.2-8][MQTT-3.1.3-9]") {
    Mortal s;
    s.link("watch").sends(connect(Version::v5).resume()).gets(connack());
    s.link("watch").sends(subscribe(1, "w/#", qos1)).gets(suback(1));
    auto with_will = [&](std::string const& name, std::uint32_t delay) -> ScriptLink& {
        auto value = will("w/" + name, "gone", qos1);
        value.will_delay_interval = delay;
        return s.link(name).sends(connect(Version::v5).expiry(600).will(value)).gets(connack());
    };
    with_will("here", 0);
    with_will("here-delayed", 30);
    with_will("left", 30).sends(disconnect());
    with_will("cut-before", 30).drops();
    s->pass(10s);
    s.restarts();
    s->pass(100ms);
    s.link("watch").sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto here = s.link("watch").takes<mqtt::Publish>();
    CHECK(here.topic == "w/here");
    s.link("watch").sends(puback(here.id.value)).gets_nothing();
    s->pass(19s);
    s.link("watch").gets_nothing();
    s->pass(2s);
    CHECK(s.link("watch").takes<mqtt::Publish>().topic == "w/cut-before");
    s.restarts();  // what was published is not published again
    s.link("watch").sends(connect(Version::v5).resume()).gets(connack().session_present());
    CHECK(s.link("watch").takes<mqtt::Publish>().dup);
    s->pass(8s);
    s.link("watch").gets_nothing();
    s.link("here-delayed").sends(connect(Version::v5).resume()).gets(connack().session_present());
    s->pass(60s);
    s.link("watch").gets_nothing();
}

TEST_CASE("restart: what a share group gave to one member goes to another when that ends",
          "[v5.0][gotcha-54]") {
    auto window = GENERATE(2U, 128U);
    Mortal s{{.settings = {.queue_window = window}}};
    s.link("a").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("a").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    std::vector<std::string> sent;
    for (int i = 0; i < 10; ++i) {
        sent.push_back(std::to_string(i));
        s.link("pub").sends(publish("t", sent.back(), qos1, 1)).gets(puback(1));
    }
    s.restarts();
    s.link("b").sends(connect(Version::v5).resume()).gets(connack());
    s.link("b").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1));
    s->pass(101s);
    CHECK(payloads(answer_all(s.link("b"))) == sent);
    CHECK(s.store().delivery_count() == 0);
}

TEST_CASE("restart: in the middle of passing on what a share group gave", "[v5.0][gotcha-54]") {
    Mortal s{{.settings = {.queue_window = 2}}};
    s.link("a").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("a").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    s.link("b").sends(connect(Version::v5).resume()).gets(connack());
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int i = 0; i < 6; ++i)
        s.link("pub").sends(publish("t", std::to_string(i), qos1, 1)).gets(puback(1));
    s.link("b").sends(subscribe(1, "$share/g/t", qos1)).gets(suback(1)).drops();
    auto submits = GENERATE(range<std::size_t>(0, 6));
    s.store().hold();
    s->pass(101s);  // a's time is over
    s.store().release_some(submits);
    s.restarts();
    s->pass(1s);
    CHECK(s->session("a") == nullptr);
    s.link("b").sends(connect(Version::v5).resume()).gets(connack().session_present());
    CHECK(payloads(answer_all(s.link("b"))) ==
          std::vector<std::string>{"0", "1", "2", "3", "4", "5"});
    CHECK(s.store().delivery_count() == 0);
    CHECK(s.store().session_count() == 1);  // b's
    CHECK(s->core().sessions().size() == 1);
}

TEST_CASE("restart: what another shard still has to write is not lost to a short window") {
    auto version = GENERATE(values(kBoth));
    Mortal s{{.settings = {.queue_window = 2}, .shards = 2}};
    auto sub = s->id_on_shard(0, "sub");
    auto pub = s->id_on_shard(1, "pub");
    s.link(sub).sends(connect(version).resume()).gets(connack());
    s.link(sub).sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link(pub).sends(connect(version)).gets(connack());
    s.store().hold();
    for (std::uint16_t i = 1; i <= 6; ++i)
        s.link(pub).sends(publish("t", std::to_string(i), qos1, i)).gets_nothing();
    s.link(sub).sends(connect(version).resume()).gets(connack().session_present());
    auto got = payloads(answer_all(s.link(sub)));
    s.store().release();
    s->jump(0ms);
    for (auto& text : payloads(answer_all(s.link(sub)))) got.push_back(text);
    CHECK(got == std::vector<std::string>{"1", "2", "3", "4", "5", "6"});
    CHECK(s->dropped(0).damaged.read() == 0);
}

TEST_CASE("restart: with another number of shards each session finds its home") {
    auto version = GENERATE(values(kBoth));
    Mortal s{{.shards = 3}};
    for (int i = 0; i < 20; ++i) {
        auto name = "c" + std::to_string(i);
        s.link(name).sends(connect(version).resume()).gets(connack());
        s.link(name).sends(subscribe(1, "t/" + name, qos1)).gets(suback(1)).drops();
    }
    s.link("pub").sends(connect(version)).gets(connack());
    for (int i = 0; i < 20; ++i) {
        s.link("pub").sends(publish("t/c" + std::to_string(i), "x", qos1, 1)).gets(puback(1));
    }
    s.restarts_with_shards(2);
    for (int i = 0; i < 20; ++i) {
        auto name = "c" + std::to_string(i);
        s.link(name).sends(connect(version).resume()).gets(connack().session_present());
        CHECK(answer_all(s.link(name)).size() == 1);
    }
}

TEST_CASE("restart: a session belongs to the mount point it had", "[v5.0]") {
    broker::LinkSettings other;
    other.name = "other";
    other.mount_point = "m/";
    Mortal s;
    s.link("a").through(other).sends(connect(Version::v5).resume()).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.restarts();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("m/t", "x", qos1, 1)).gets(puback(1, ReasonCode::success));
    s.link("a").through(other).sends(connect(Version::v5).resume());
    s.link("a").gets(connack().session_present());
    CHECK(next(s.link("a")) == "t x");
}

TEST_CASE("restart: a session that was resumed for its connection alone ends with it", "[v5.0]") {
    Mortal s;
    s.link("a").sends(connect(Version::v5).expiry(100)).gets(connack());
    s.link("a").sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link("a").sends(connect(Version::v5).clean(false)).gets(connack().session_present());
    SECTION("while the broker runs") {
        s.link("a").drops();
    }
    SECTION("together with the broker") {
        s.restarts();
        s->pass(100ms);
    }
    CHECK(s->session("a") == nullptr);
    CHECK(s->index().subscription_count() == 0);
    CHECK(s.store().session_count() == 0);
}

TEST_CASE("restart: the loop does not rest while the store has made something durable") {
    Mortal s;
    s.store().hold();
    s.link("a").sends(connect(Version::v5).resume()).gets_nothing();
    CHECK_FALSE(s->core().has_work());
    s.store().release();
    CHECK(s->core().has_work());
    s->jump(0ms);
    s.link("a").gets(connack());
    CHECK_FALSE(s->core().has_work());
}
