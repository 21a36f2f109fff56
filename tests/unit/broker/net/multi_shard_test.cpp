// Several shards under load: order, takeover, slow receivers, limits of memory.
#include <array>
#include <atomic>
#include <catch2/catch.hpp>
#include <future>
#include <map>
#include <set>
#include <stdexcept>
#include <vector>

#include "tests/unit/broker/net/running_broker.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

using Work = std::vector<std::future<void>>;

template <class Act>
void start(Work& work, Act act) {
    work.push_back(std::async(std::launch::async, std::move(act)));
}

/// Waits for all; the first exception of them ends the test.
void finish(Work& work) {
    for (auto& one : work) one.wait();
    for (auto& one : work) one.get();
}

void require(bool holds, std::string const& what) {
    if (!holds) throw std::runtime_error(what);
}

/// Answers what a subscriber has to, whatever its QoS; gives the publish if it was one.
std::optional<mqtt::Publish> answer(SocketClient& client, mqtt::Packet packet) {
    if (auto* got = std::get_if<mqtt::Publish>(&packet)) {
        if (got->qos == qos1) client.sends(puback(got->id.value));
        if (got->qos == qos2) client.sends(pubrec(got->id.value));
        return std::move(*got);
    }
    if (auto* got = std::get_if<mqtt::PubRel>(&packet)) client.sends(pubcomp(got->id.value));
    return std::nullopt;
}

/// Publishes "<number>" to `topic` at all three QoS, a window of exchanges at a time.
void publish_stream(SocketClient& client, std::string const& topic, int count) {
    constexpr int kWindow = 20;
    for (int first = 0; first < count; first += kWindow) {
        int last = std::min(first + kWindow, count);
        for (int i = first; i < last; ++i) {
            for (auto qos : {qos0, qos1, qos2}) {
                auto id = static_cast<std::uint16_t>(2 * (i - first) + (qos == qos2 ? 2 : 1));
                client.sends(publish(topic, std::to_string(i), qos, id));
            }
        }
        for (int open = 2 * (last - first); open > 0;) {
            auto packet = client.takes_any();
            if (std::holds_alternative<mqtt::PubAck>(packet)) --open;
            if (std::holds_alternative<mqtt::PubComp>(packet)) --open;
            if (auto* got = std::get_if<mqtt::PubRec>(&packet)) client.sends(pubrel(got->id.value));
        }
    }
}

}  // namespace

TEST_CASE("shards: each publisher's messages stay in order for every subscriber",
          "[v3.1.1][MQTT-4.6.0-6][v5.0][MQTT-4.6.0-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    constexpr int kShards = 4;
    constexpr int kCount = 300;
    RunningBroker broker{with_shards(kShards)};
    Work work;
    for (int s = 0; s < kShards; ++s) {
        auto sub = broker.connected(connect(version).id(broker.id_on_shard(s, "sub")));
        sub.speaks(version).sends(subscribe(1, "t/+", qos2)).gets(suback(1));
        start(work, [sub = std::move(sub)]() mutable {
            std::map<std::pair<std::string, mqtt::Qos>, int> next;
            int finished = 0;
            while (finished < kShards * 3) {
                auto got = answer(sub, sub.takes_any());
                if (!got) continue;
                int& expected = next[{got->topic, got->qos}];
                require(as_text(got->payload) == std::to_string(expected),
                        "out of order: " + describe(mqtt::Packet{*got}));
                if (++expected == kCount) ++finished;
            }
        });
    }
    for (int p = 0; p < kShards; ++p) {
        auto pub = broker.connected(connect(version).id(broker.id_on_shard(p, "pub")));
        pub.speaks(version);
        start(work, [pub = std::move(pub), p]() mutable {
            publish_stream(pub, "t/" + std::to_string(p), kCount);
        });
    }
    finish(work);
}

TEST_CASE("shards: takeovers under load lose no QoS 1",
          "[v3.1.1][MQTT-3.1.4-2][MQTT-4.4.0-1][v5.0][MQTT-3.1.4-3][MQTT-4.4.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    constexpr int kCount = 3000;
    constexpr int kTakeovers = 100;
    RunningBroker broker{with_shards(4)};
    auto id = broker.id_on_shard(2, "taken");
    auto current = broker.connected(connect(version).id(id).resume());
    current.speaks(version).sends(subscribe(1, "t", qos1)).gets(suback(1));
    Work work;
    auto pub = broker.connected(connect(version).id(broker.id_on_shard(1, "pub")));
    pub.speaks(version);
    start(work, [pub = std::move(pub)]() mutable {
        constexpr int kWindow = 10;
        for (int i = 0; i < kCount; i += kWindow) {
            for (int k = 0; k < kWindow; ++k) {
                pub.sends(
                    publish("t", std::to_string(i + k), qos1, static_cast<std::uint16_t>(k + 1)));
            }
            for (int k = 0; k < kWindow; ++k) (void)pub.takes<mqtt::PubAck>();
        }
    });
    std::set<std::string> seen;
    int takeovers = 0;
    int reads = 0;
    while (seen.size() < kCount) {
        if (takeovers < kTakeovers && ++reads % 23 == 0) {
            ++takeovers;
            auto next = broker.client();
            next.sends(connect(version).id(id).resume());
            next.gets(connack().session_present());
            // What the old one still got counts; it was not acknowledged, so it comes again too.
            current = std::move(next);
            continue;
        }
        auto got = answer(current, current.takes_any());
        if (got) seen.emplace(as_text(got->payload));
    }
    finish(work);
    CHECK(takeovers > 50);
}

TEST_CASE("shards: a takeover of a connection that is still open ends it with a reason",
          "[v5.0][MQTT-3.1.4-3]") {
    RunningBroker broker{with_shards(4)};
    for (int i = 0; i < 20; ++i) {
        auto id = broker.id_on_shard(i % 4, "x" + std::to_string(i));
        auto old = broker.connected(connect(Version::v5).id(id));
        auto fresh = broker.connected(connect(Version::v5).id(id));
        old.gets(disconnect(ReasonCode::session_taken_over)).ends();
        fresh.sends(pingreq()).gets(pingresp());
    }
}

TEST_CASE("shards: many connect under one id at a time, one stays") {
    RunningBroker broker{with_shards(4)};
    constexpr int kClients = 30;
    Work work;
    std::atomic<int> accepted{0};
    std::vector<std::optional<SocketClient>> clients(kClients);
    for (int i = 0; i < kClients; ++i) {
        start(work, [&, i] {
            auto client = broker.client();
            client.sends(connect(Version::v5).id("same").resume());
            auto connack = client.takes<mqtt::ConnAck>();
            require(connack.reason == ReasonCode::success, "refused");
            ++accepted;
            clients[static_cast<std::size_t>(i)].emplace(std::move(client));
        });
    }
    finish(work);
    CHECK(accepted == kClients);
    int alive = 0;
    for (auto& client : clients) {
        client->sends(pingreq());
        auto packet = client->takes_any();
        if (std::holds_alternative<mqtt::PingResp>(packet)) ++alive;
    }
    CHECK(alive == 1);
}

TEST_CASE("shards: a shared subscription gives each message to one member, over all shards") {
    constexpr int kCount = 2000;
    auto qos = GENERATE(qos1, qos2);
    RunningBroker broker{with_shards(3)};
    std::vector<std::atomic<int>> times(kCount);
    std::atomic<int> got{0};
    Work work;
    std::vector<SocketClient> ends;
    for (int m = 0; m < 5; ++m) {
        auto member = broker.connected(
            connect(Version::v5).id(broker.id_on_shard(m % 3, "m" + std::to_string(m))));
        member.sends(subscribe(1, "$share/g/t/#", qos2)).gets(suback(1));
        member.sends(subscribe(2, "end")).gets(suback(2));
        start(work, [&, member = std::move(member)]() mutable {
            for (bool ended = false; !ended;) {
                auto packet = answer(member, member.takes_any());
                if (!packet) continue;
                if (packet->topic == "end") {
                    ended = true;
                } else {
                    ++times.at(std::stoul(std::string{as_text(packet->payload)}));
                    ++got;
                }
            }
            member.sends(pingreq());
        });
    }
    auto pub = broker.connected(connect(Version::v5).id("pub"));
    for (int i = 0; i < kCount; ++i) {
        pub.sends(publish("t/" + std::to_string(i), std::to_string(i), qos, 1));
        if (qos == qos1) pub.gets(puback(1, ReasonCode::success));
        if (qos == qos2) pub.gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
    while (got < kCount) pub.sends(pingreq()).gets(pingresp());
    pub.sends(publish("end", ""));
    finish(work);
    for (auto& n : times) REQUIRE(n == 1);
}

TEST_CASE("shards: a receiver that does not read is bounded and disturbs nobody") {
    auto options = with_shards(2);
    options.net.listeners[0].link.out_queue_bytes_max = 100'000;
    RunningBroker broker{options};
    auto slow = broker.client({.receive_buffer = 4096});
    slow.sends(connect(Version::v5).id(broker.id_on_shard(0, "slow"))).gets(connack());
    slow.sends(subscribe(1, "t", qos0)).gets(suback(1));
    auto quick = broker.connected(connect(Version::v5).id(broker.id_on_shard(0, "quick")));
    quick.sends(subscribe(1, "t", qos0)).gets(suback(1));
    auto pub = broker.connected(connect(Version::v5).id(broker.id_on_shard(1, "pub")));
    // Far more than kernel buffers and the out-queue hold together.
    constexpr int kCount = 3000;
    std::string const filler(10'000, 'x');
    for (int i = 0; i < kCount; ++i) {
        pub.sends(publish("t", std::to_string(i) + " " + filler));
        if (i % 5 == 4) {
            for (int k = i - 4; k <= i; ++k) {
                auto packet = quick.takes<mqtt::Publish>();
                REQUIRE(as_text(packet.payload).starts_with(std::to_string(k) + " "));
            }
        }
    }
    pub.sends(publish("t", "last"));
    quick.gets(publish("t", "last"));
    // The slow one gets what was kept, whole and in order, and whatever comes once it reads again.
    int got = 0;
    int before = -1;
    slow.sends(pingreq());
    for (;;) {
        auto packet = slow.takes_any();
        if (std::holds_alternative<mqtt::PingResp>(packet)) break;
        auto const& publish = std::get<mqtt::Publish>(packet);
        if (as_text(publish.payload) == "last") continue;
        int number = std::stoi(std::string{as_text(publish.payload)});
        REQUIRE(number > before);
        REQUIRE(publish.payload.size() == std::to_string(number).size() + 1 + filler.size());
        before = number;
        ++got;
    }
    CHECK(got > 0);
    CHECK(got < kCount);
    pub.sends(publish("t", "again"));
    slow.gets(publish("t", "again"));
}

TEST_CASE("shards: a slow receiver of QoS 1 gets all of it in the end, in order") {
    auto options = with_shards(2);
    options.net.listeners[0].link.out_queue_bytes_max = 50'000;
    RunningBroker broker{options};
    auto slow = broker.client({.receive_buffer = 4096});
    slow.sends(connect(Version::v5).id(broker.id_on_shard(0, "slow"))).gets(connack());
    slow.sends(subscribe(1, "t", qos1)).gets(suback(1));
    auto pub = broker.connected(connect(Version::v5).id(broker.id_on_shard(1, "pub")));
    constexpr int kCount = 1500;
    std::string const filler(5'000, 'x');
    for (int i = 0; i < kCount; ++i) {
        pub.sends(publish("t", std::to_string(i) + " " + filler, qos1, 1)).gets(puback(1));
    }
    for (int i = 0; i < kCount; ++i) {
        auto packet = slow.takes<mqtt::Publish>();
        REQUIRE(as_text(packet.payload).starts_with(std::to_string(i) + " "));
        slow.sends(puback(packet.id.value));
    }
}

TEST_CASE("shards: above the memory watermark publishers are not read, and go on afterwards") {
    auto options = with_shards(2);
    options.core.memory_watermark_bytes = 1'000'000;
    RunningBroker broker{options};
    auto slow = broker.client({.receive_buffer = 4096});
    slow.sends(connect(Version::v5).id(broker.id_on_shard(0, "slow"))).gets(connack());
    slow.sends(subscribe(1, "t", qos1)).gets(suback(1));
    constexpr int kCount = 1600;
    std::string const filler(20'000, 'x');
    std::atomic<int> acknowledged{0};
    Work work;
    for (int p = 0; p < 2; ++p) {
        auto pub =
            broker.connected(connect(Version::v5).id(broker.id_on_shard(p, "pub")).keep_alive(1));
        start(work, [&, pub = std::move(pub)]() mutable {
            for (int i = 0; i < kCount / 2; ++i) {
                pub.sends(publish("t", filler, qos1, 1)).gets(puback(1));
                ++acknowledged;
            }
        });
    }
    for (int i = 0; i < kCount; ++i) {
        auto packet = slow.takes<mqtt::Publish>();
        slow.sends(puback(packet.id.value));
        // Of 32 MB the broker and the kernel never hold half.
        REQUIRE(acknowledged - i < kCount / 2);
    }
    finish(work);
    CHECK(acknowledged == kCount);
}

TEST_CASE("shards: connections come and go while others talk") {
    RunningBroker broker{with_shards(4)};
    Work work;
    std::atomic<bool> done{false};
    auto pub = broker.connected(connect(Version::v5).id("pub"));
    auto sub = broker.connected(connect(Version::v5).id("sub"));
    sub.sends(subscribe(1, "t/#", qos1)).gets(suback(1));
    for (int c = 0; c < 2; ++c) {
        start(work, [&, c] {
            for (int i = 0; !done; ++i) {
                auto name = "churn-" + std::to_string(c) + "-" + std::to_string(i % 50);
                auto version = i % 3 == 0 ? Version::v3_1_1 : Version::v5;
                auto first = connect(version).id(name);
                if (i % 2 == 0) first.resume();
                auto client = broker.connected(first);
                client.speaks(version);
                client.sends(subscribe(1, i % 5 == 0 ? "$share/g/t/#" : "t/" + name, qos1));
                if (i % 4 == 0) client.sends(publish("r/" + name, "x").retain());
                if (i % 7 == 0) client.sends(disconnect());
                if (i % 11 != 0) client.close();
            }
        });
    }
    for (int i = 0; i < 1500; ++i) {
        pub.sends(publish("t/x", std::to_string(i), qos1, 1)).gets(puback(1));
        auto packet = sub.takes<mqtt::Publish>();
        REQUIRE(as_text(packet.payload) == std::to_string(i));
        sub.sends(puback(packet.id.value));
    }
    done = true;
    finish(work);
}

TEST_CASE("shards: retained messages set on all shards, read on all, while they change") {
    RunningBroker broker{with_shards(3)};
    Work work;
    for (int p = 0; p < 3; ++p) {
        auto pub = broker.connected(connect(Version::v5).id(broker.id_on_shard(p, "pub")));
        start(work, [pub = std::move(pub), p]() mutable {
            for (int i = 0; i < 600; ++i) {
                auto topic = "r/" + std::to_string(p) + "/" + std::to_string(i % 60);
                auto payload = i >= 540 || i % 3 != 0 ? std::to_string(i) : std::string{};
                pub.sends(publish(topic, payload, qos1, 1).retain()).gets(puback(1));
            }
        });
    }
    for (int r = 0; r < 3; ++r) {
        auto reader = broker.connected(connect(Version::v5).id(broker.id_on_shard(r, "reader")));
        start(work, [reader = std::move(reader)]() mutable {
            for (std::uint16_t i = 1; i <= 60; ++i) {
                reader.sends(subscribe(i, "r/#", qos0));
                reader.sends(unsubscribe(i, {"r/#"}));
                for (bool unsubscribed = false; !unsubscribed;) {
                    auto packet = reader.takes_any();
                    unsubscribed = std::holds_alternative<mqtt::UnsubAck>(packet);
                }
            }
        });
    }
    finish(work);
    auto last = broker.connected(connect(Version::v5).id("last"));
    last.sends(subscribe(1, "r/#", qos0)).gets(suback(1));
    std::set<std::string> topics;
    for (int i = 0; i < 180; ++i) {
        auto packet = last.takes<mqtt::Publish>();
        CHECK(packet.retain);
        CHECK(std::stoi(std::string{as_text(packet.payload)}) >= 540);
        topics.insert(packet.topic);
    }
    CHECK(topics.size() == 180);
    last.sends(pingreq()).gets(pingresp());
}
