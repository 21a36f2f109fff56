// Queues and their limits: sessions that are away, receivers that are slow.
#include <catch2/catch.hpp>
#include <string>

#include "tests/support/payloads.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

struct Pair : Script {
    explicit Pair(Version v, ScriptOptions options = {}) : Script(options), version(v) {
        sub().sends(connect(v).resume()).gets(connack());
        sub().sends(subscribe(1, "t", qos2)).gets(suback(1));
        pub().sends(connect(v)).gets(connack());
    }
    ScriptLink& sub() { return link("sub"); }
    ScriptLink& pub() { return link("pub"); }
    void publishes(std::string_view payload) {
        pub().sends(publish("t", payload, qos1, 1)).gets(puback(1));
    }
    ScriptLink& sub_returns() {
        return sub().sends(connect(version).resume()).gets(connack().session_present());
    }
    std::uint64_t queued_bytes() {
        return count([](auto const& counters) { return counters.queued_bytes.read(); });
    }
    Version version;
};

}  // namespace

TEST_CASE(
    "offline queue: so many messages wait, further ones are dropped, counted and logged once") {
    auto version = GENERATE(values(kBoth));
    Pair s{version,
           {.settings = {.queue_messages_max = 5, .queue_full = broker::QueueFull::drop_new}}};
    s.sub().drops();
    for (int i = 0; i < 5; ++i) s.publishes(std::to_string(i));
    CHECK(s.dropped().queue_full.read() == 0);
    auto logged = s.log().size();
    for (int i = 5; i < 8; ++i) s.publishes(std::to_string(i));
    CHECK(s.dropped().queue_full.read() == 3);
    CHECK(s.log().size() == logged + 1);
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == std::vector<std::string>{"0", "1", "2", "3", "4"});
    CHECK(s.queued_bytes() == 0);
    s.sub().drops();
    for (int i = 0; i < 6; ++i) s.publishes("again");
    CHECK(s.dropped().queue_full.read() == 4);
}

TEST_CASE("offline queue: the limit in bytes") {
    auto version = GENERATE(values(kBoth));
    auto message = [] {
        return broker::Message::make(mqtt::Publish{.topic = "t", .payload = Buffer(100)},
                                     broker::kNever);
    };
    auto footprint = message()->footprint();
    // Full with three, or not quite.
    auto more = GENERATE(0U, 1U);
    Pair s{version,
           {.settings = {.queue_bytes_max = 3 * footprint + more,
                         .queue_full = broker::QueueFull::drop_new}}};
    s.sub().drops();
    for (int i = 0; i < 5; ++i) s.publishes(std::string(100, 'x'));
    CHECK(s.dropped().queue_full.read() == 2 - more);
    CHECK(s.queued_bytes() == (3 + more) * footprint);
    s.sub_returns();
    CHECK(answer_all(s.sub()).size() == 3U + more);
    CHECK(s.queued_bytes() == 0);
}

TEST_CASE("offline queue: QoS 0 does not wait") {
    auto version = GENERATE(values(kBoth));
    Pair s{version};
    s.sub().drops();
    s.pub().sends(publish("t", "x"));
    s.sub_returns().gets_nothing();
    CHECK(s.dropped().offline_qos0.read() == 1);
}

TEST_CASE("offline queue: what waits when the session ends is counted and its memory given back") {
    Script s;
    s.link("sub").sends(connect(Version::v5).expiry(5)).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int i = 0; i < 3; ++i) s.link("pub").sends(publish("t", "x", qos1, 1)).gets(puback(1));
    s.pass(6s);
    CHECK(s.dropped().session_ended.read() == 3);
    CHECK(s.count([](auto const& counters) { return counters.queued_bytes.read(); }) == 0);
}

TEST_CASE("queue: messages beyond the window wait for it in order",
          "[v5.0][MQTT-4.6.0-5][MQTT-4.9.0-2]") {
    Script s;
    s.link("sub").sends(connect(Version::v5).receive_maximum(2)).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    std::vector<std::string> sent;
    for (int i = 0; i < 20; ++i) {
        sent.push_back(std::to_string(i));
        auto qos = i % 3 == 0 ? qos2 : qos1;
        s.link("pub").sends(publish("t", sent.back(), qos, 1));
        if (qos == qos2) s.link("pub").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
        if (qos == qos1) s.link("pub").gets(puback(1));
    }
    CHECK(s.link("sub").waiting() == 2);
    CHECK(payloads(answer_all(s.link("sub"))) == sent);
}

TEST_CASE("slow receiver: its out-queue is bounded, QoS 0 is dropped and counted, QoS 1 waits") {
    auto version = GENERATE(values(kBoth));
    Pair s{version, {.link = {.out_queue_bytes_max = 10'000}}};
    s.sub().socket_takes(0);
    std::string const payload(1000, 'x');
    for (int i = 0; i < 30; ++i) s.pub().sends(publish("t", payload));
    CHECK(s.sub().link().out.bytes() >= 10'000);
    CHECK(s.sub().link().out.bytes() < 12'000);
    auto passed = 30 - s.dropped().slow_receiver.read();
    CHECK(passed >= 9);
    CHECK(passed <= 11);
    for (int i = 0; i < 10; ++i) s.publishes(std::to_string(i));
    CHECK(s.sub().link().out.bytes() < 12'000);
    CHECK(s.session("sub")->queue.size() == 10);
    // An answer is not held back.
    s.sub().sends(pingreq());
    s.sub().socket_takes_all();
    for (std::uint64_t i = 0; i < passed; ++i) s.sub().gets(publish("t", payload));
    s.sub().gets(pingresp());
    CHECK(answer_all(s.sub()).size() == 10);
    CHECK(s.dropped().queue_full.read() == 0);
}

TEST_CASE("slow receiver: does not slow down or bound others") {
    auto version = GENERATE(values(kBoth));
    Pair s{version, {.link = {.out_queue_bytes_max = 10'000}}};
    s.link("quick").sends(connect(version)).gets(connack());
    s.link("quick").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.sub().socket_takes(0);
    for (int i = 0; i < 50; ++i) s.pub().sends(publish("t", std::string(1000, 'x')));
    CHECK(s.link("quick").takes_all<mqtt::Publish>().size() == 50);
}

TEST_CASE("slow receiver: a socket that takes a few bytes at a time gets every packet whole") {
    auto version = GENERATE(values(kBoth));
    auto bytes = GENERATE(1U, 3U, 7U, 100U, 1000U);
    Pair s{version, {.link = {.out_queue_bytes_max = 20'000}}};
    s.sub().socket_takes(0);
    std::vector<std::string> sent;
    for (int i = 0; i < 6; ++i) {
        // Copied, shared and expiring ones.
        std::string payload(i % 3 == 2 ? 9'000U : 50U, static_cast<char>('a' + i));
        sent.push_back(payload);
        auto packet = publish("t", payload, qos1, 1);
        if (version == Version::v5 && i % 2 == 0) packet.expiry(1000);
        s.pub().sends(packet).gets(puback(1));
    }
    for (int i = 0; i < 40'000 && s.sub().waiting() < 6; ++i) s.sub().socket_takes(bytes);
    s.sub().socket_takes_all();
    CHECK(payloads(s.sub().takes_all<mqtt::Publish>()) == sent);
}

TEST_CASE("slow receiver: a backlog larger than the out-queue goes out in order, and once") {
    // Every time the out-queue is full it is flushed, and what that empties is filled up again.
    auto version = GENERATE(values(kBoth));
    auto out_queue = GENERATE(1U, 3'000U, 50'000U, 10'000'000U);
    // The larger ones do not fit the shard's arena together.
    auto payload_size = GENERATE(1'000U, 5'000U);
    bool in_flight = GENERATE(false, true);
    Pair s{version, {.link = {.out_queue_bytes_max = out_queue}}};
    if (!in_flight) s.sub().drops();
    std::vector<std::string> sent;
    for (int i = 0; i < 100; ++i) {
        sent.push_back(std::to_string(i) + std::string(payload_size, 'x'));
        s.publishes(sent.back());
    }
    if (in_flight) {
        CHECK(payloads(s.sub().takes_all<mqtt::Publish>()) == sent);
        s.sub().drops();
    }
    s.sub_returns();
    CHECK(payloads(answer_all(s.sub())) == sent);
    CHECK(s.session("sub")->window.empty());
    CHECK(s.session("sub")->queue.empty());
}

TEST_CASE("slow receiver: the window holds while a backlog is flushed",
          "[v5.0][MQTT-3.3.4-9][MQTT-4.9.0-2]") {
    auto receive_maximum = GENERATE(std::uint16_t{1}, std::uint16_t{7});
    Script s{{.link = {.out_queue_bytes_max = 1'500}}};
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1)).drops();
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    for (int i = 0; i < 30; ++i) {
        s.link("pub").sends(publish("t", std::string(1000, 'x'), qos1, 1)).gets(puback(1));
    }
    s.link("sub").sends(connect(Version::v5).resume().receive_maximum(receive_maximum));
    s.link("sub").gets(connack().session_present());
    CHECK(s.link("sub").waiting() == receive_maximum);
    CHECK(answer_all(s.link("sub")).size() == 30);
}

TEST_CASE("slow receiver: one that is closed gives back what its queue counted") {
    Pair s{Version::v5};
    s.sub().socket_takes(0);
    s.publishes(std::string(10'000, 'x'));
    s.sub().drops();
    s.sub_returns();
    s.sub().takes<mqtt::Publish>();
    CHECK(s.queued_bytes() == 0);
}

TEST_CASE("flood: one turn's output larger than any arena reaches everybody whole") {
    auto version = GENERATE(values(kBoth));
    Script s;
    for (int i = 0; i < 20; ++i) {
        auto name = "sub" + std::to_string(i);
        s.link(name).sends(connect(version)).gets(connack());
        s.link(name).sends(subscribe(1, "t", i % 2 == 0 ? qos0 : qos1)).gets(suback(1));
        if (i % 5 == 4) s.link(name).socket_takes(1000);
    }
    s.link("pub").sends(connect(version)).gets(connack());
    // Some 2 MB in one write, answered within one turn.
    Buffer bytes;
    for (int i = 0; i < 100; ++i) {
        auto packet = publish("t", std::string(1000, static_cast<char>('a' + i % 26)), qos1, 1);
        mqtt::encode(packet.packet(), version, bytes);
    }
    s.link("pub").sends_bytes(bytes);
    CHECK(s.link("pub").takes_all<mqtt::PubAck>().size() == 100);
    for (int i = 0; i < 20; ++i) {
        auto& sub = s.link("sub" + std::to_string(i));
        sub.socket_takes_all();
        auto packets = sub.takes_all<mqtt::Publish>();
        REQUIRE(packets.size() == 100);
        for (std::size_t n = 0; n < packets.size(); ++n) {
            std::string expected(1000, static_cast<char>('a' + n % 26));
            if (as_text(packets[n].payload) != expected) FAIL(sub.name() << ", message " << n);
        }
    }
}
