// Messages between shards: batches are handed over whole and in order (architecture, 2).
#include <catch2/catch.hpp>

#include "tests/support/payloads.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// A publisher on shard 0 and a subscriber on shard 1.
struct Pair : Script {
    explicit Pair(Version v)
        : Script({.shards = 2}),
          version(v),
          sub_id(id_on_shard(1, "sub")),
          pub_id(id_on_shard(0, "pub")) {
        sub().sends(connect(v).resume()).gets(connack());
        sub().sends(subscribe(1, "t", qos2)).gets(suback(1));
        pub().sends(connect(v)).gets(connack());
    }
    ScriptLink& sub() { return link(sub_id); }
    ScriptLink& pub() { return link(pub_id); }
    Version version;
    std::string sub_id;
    std::string pub_id;
};

}  // namespace

TEST_CASE("shards: the publisher is answered at once, the batch goes later, in order") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1, qos2);
    Pair s{version};
    s.hold_batches();
    std::vector<std::string> sent;
    for (int i = 0; i < 50; ++i) {
        sent.push_back(std::to_string(i));
        s.pub().sends(publish("t", sent.back(), qos, 1));
        if (qos == qos1) s.pub().gets(puback(1, ReasonCode::success));
        if (qos == qos2) s.pub().gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
    s.sub().gets_nothing();
    s.pass_batches();
    CHECK(payloads(answer_all(s.sub())) == sent);
}

TEST_CASE("shards: a reference to a session that ended finds no other one") {
    auto version = GENERATE(values(kBoth));
    Script s{{.shards = 2}};
    auto old = s.id_on_shard(1, "old");
    auto next = s.id_on_shard(1, "next");
    auto pub = s.id_on_shard(0, "pub");
    s.link(old).sends(connect(version)).gets(connack());
    s.link(old).sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.link(pub).sends(connect(version)).gets(connack());
    s.hold_batches();
    s.link(pub).sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.link(old).drops();
    s.link(next).sends(connect(version)).gets(connack());  // takes the free slot
    s.pass_batches();
    s.link(next).gets_nothing();
}

TEST_CASE("shards: what is on its way to a member of a share group that ends goes to another",
          "[v5.0][MQTT-4.8.2-4][gotcha-54]") {
    auto qos = GENERATE(qos1, qos2);
    auto expiry = GENERATE(0U, 100U);
    Script s{{.shards = 2}};
    auto ends = s.id_on_shard(1, "ends");
    auto stays = s.id_on_shard(0, "stays");
    auto pub = s.id_on_shard(0, "pub");
    auto member = [&](std::string const& id) -> ScriptLink& {
        auto& client = s.link(id).sends(connect(Version::v5).expiry(expiry)).gets(connack());
        return client.sends(subscribe(1, "$share/g/t", qos2)).gets(suback(1));
    };
    member(ends);
    s.link(pub).sends(connect(Version::v5)).gets(connack());
    s.hold_batches();
    s.link(pub).sends(publish("t", "x", qos, 1));
    if (qos == qos1) s.link(pub).gets(puback(1, ReasonCode::success));
    if (qos == qos2) s.link(pub).gets(pubrec(1));
    SECTION("there is one") {
        member(stays);
        s.link(ends).sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
        s.pass_batches();
        CHECK(payloads(answer_all(s.link(stays))) == std::vector<std::string>{"x"});
    }
    SECTION("there is none") {
        s.link(ends).sends(disconnect(ReasonCode::normal_disconnection, 0)).closes();
        s.pass_batches();
        CHECK(s.dropped(1).session_ended.read() == 1);
    }
    CHECK(s.store().message_count() == 0);
}

TEST_CASE("shards: one message for many receivers of another shard crosses once") {
    auto version = GENERATE(values(kBoth));
    Script s{{.shards = 2}};
    auto pub = s.id_on_shard(0, "pub");
    std::vector<std::string> subs;
    for (int i = 0; i < 20; ++i) {
        subs.push_back(s.id_on_shard(1, "sub" + std::to_string(i)));
        s.link(subs.back()).sends(connect(version)).gets(connack());
        s.link(subs.back()).sends(subscribe(1, "t", i % 2 == 0 ? qos0 : qos1)).gets(suback(1));
    }
    s.link(pub).sends(connect(version)).gets(connack());
    s.hold_batches();
    s.link(pub).sends(publish("t", "one", qos1, 1)).gets(puback(1));
    s.link(pub).sends(publish("t", "two", qos1, 1)).gets(puback(1));
    CHECK(s.core(0).batch_for(1).routed.size() == 2);
    CHECK(s.core(0).batch_for(1).receivers.size() == 40);
    s.pass_batches();
    for (auto const& sub : subs) {
        CHECK(payloads(answer_all(s.link(sub))) == std::vector<std::string>{"one", "two"});
    }
}

TEST_CASE("shards: retained messages of one shard are read by another") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    s.pub().sends(publish("r", "x", qos1, 1).retain()).gets(puback(1));
    s.sub()
        .sends(subscribe(2, "r", qos1))
        .gets(suback(2))
        .gets(publish("r", "x", qos1, 1).retain());
}

TEST_CASE("shards: a message expires also on its way") {
    Pair s{Version::v5};
    s.hold_batches();
    s.pub().sends(publish("t", "x", qos1, 1).expiry(1)).gets(puback(1));
    s.pub().sends(publish("t", "y", qos1, 1).expiry(10)).gets(puback(1));
    s.pass(2s);
    s.pass_batches();
    s.sub().gets(publish("t", "y", qos1, 1).expiry(8)).gets_nothing();
    CHECK(s.dropped(1).expired.read() == 1);
}
