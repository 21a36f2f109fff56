// The broker on real sockets: how bytes come in and go out, and how connections begin and end.
#include "broker/net/server.hpp"

#include <catch2/catch.hpp>
#include <future>
#include <numeric>
#include <stdexcept>

#include "protocol/codec/encode.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/unit/broker/net/running_broker.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

void append(Buffer& bytes, Buffer const& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}

Buffer encoded(ConnectBuilder const& connect) {
    Buffer bytes;
    mqtt::encode(connect.packet(), bytes);
    return bytes;
}

}  // namespace

TEST_CASE("server: an address in use is told with its name") {
    RunningBroker first;
    BrokerOptions options;
    options.net.listeners[0].port = first.port();
    broker::VolatileStore store;
    broker::SingleNodeBus bus;
    auto name = "127.0.0.1:" + std::to_string(first.port());
    CHECK_THROWS_WITH(broker::Server(options.net, options.core, options.retained, store, bus),
                      Catch::Contains(name) && Catch::Contains("in use"));
}

TEST_CASE("server: several listeners, each with its port") {
    auto options = with_shards(2);
    options.net.listeners.resize(3);
    options.net.listeners[2].address = "::1";
    RunningBroker broker{options};
    auto ports = broker.server().ports();
    REQUIRE(ports.size() == 3);
    CHECK(broker.server().addresses()[1] == "127.0.0.1:" + std::to_string(ports[1]));
    CHECK(broker.server().addresses()[2] == "[::1]:" + std::to_string(ports[2]));
    for (auto port : {ports[0], ports[1]}) {
        SocketClient client{port};
        client.sends(connect(Version::v5)).gets(connack());
    }
}

TEST_CASE("server: may be made and stopped without a connection") {
    RunningBroker broker{with_shards(4)};
    broker.server().stop(1s);
}

TEST_CASE("server: a connection moves to its home shard with all that stands behind CONNECT",
          "[v3.1.1][MQTT-7.1.1-1][v5.0][MQTT-4.2.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    RunningBroker broker{with_shards(4)};
    for (int i = 0; i < 40; ++i) {
        auto id = broker.id_on_shard(i % 4, "bike" + std::to_string(i));
        auto client = broker.client();
        client.speaks(version);
        auto bytes = encoded(connect(version).id(id));
        append(bytes, client.encoded_as(subscribe(1, "t/" + id, qos1)));
        append(bytes, client.encoded_as(publish("t/" + id, "x", qos1, 2)));
        append(bytes, client.encoded_as(pingreq()));
        client.sends_bytes(bytes);
        client.gets(connack()).gets(suback(1)).gets(publish("t/" + id, "x", qos1, 1));
        client.gets(puback(2)).gets(pingresp());
    }
}

TEST_CASE("server: a CONNECT larger than any buffer moves as well") {
    RunningBroker broker{with_shards(4)};
    // Sizes at which the last read may or may not be a full one.
    auto size = GENERATE(70'000U, 131'072U, 200'000U, 262'144U, 500'000U);
    for (int shard = 0; shard < 4; ++shard) {
        auto client = broker.client();
        auto bytes = Buffer{};
        auto fill = size;
        // As many properties as make the packet just that large.
        do {
            mqtt::UserProperties properties;
            for (auto left = fill; left > 0;) {
                auto part = std::min<std::size_t>(left, 60'000U);
                properties.push_back({"n", std::string(part, 'v')});
                left -= static_cast<unsigned>(part);
            }
            bytes = encoded(
                connect(Version::v5)
                    .id(broker.id_on_shard(shard, "big"))
                    .with([&](mqtt::Connect& packet) { packet.user_properties = properties; }));
            fill -= static_cast<unsigned>(bytes.size() > size ? bytes.size() - size : 0);
        } while (bytes.size() > size);
        REQUIRE(bytes.size() == size);
        append(bytes, client.encoded_as(subscribe(1, "t", qos1)));
        append(bytes, client.encoded_as(pingreq()));
        client.sends_bytes(bytes);
        client.gets(connack()).gets(suback(1)).gets(pingresp());
    }
}

TEST_CASE("server: packets in single bytes") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    RunningBroker broker;
    auto client = broker.client();
    client.speaks(version);
    auto bytes = encoded(connect(version).id("drip"));
    append(bytes, client.encoded_as(subscribe(1, "t", qos2)));
    append(bytes, client.encoded_as(publish("t", std::string(300, 'x'), qos2, 2)));
    client.sends_one_by_one(bytes);
    client.gets(connack()).gets(suback(1));
    client.gets(publish("t", std::string(300, 'x'), qos2, 1)).gets(pubrec(2));
    client.sends_one_by_one(client.encoded_as(pubrec(1)));
    client.gets(pubrel(1));
    client.sends_one_by_one(client.encoded_as(pubrel(2))).gets(pubcomp(2));
}

TEST_CASE("server: thousands of packets in one write") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    RunningBroker broker;
    auto client = broker.connected(connect(version).id("burst"));
    client.speaks(version).sends(subscribe(1, "t", qos0)).gets(suback(1));
    constexpr int kCount = 5000;
    Buffer bytes;
    for (int i = 0; i < kCount; ++i) {
        append(bytes, client.encoded_as(publish("t", std::to_string(i), qos1, 7)));
        if (i % 100 == 0) append(bytes, client.encoded_as(pingreq()));
    }
    auto writer = std::async(std::launch::async, [&] { client.sends_bytes(bytes); });
    int publishes = 0;
    int pubacks = 0;
    int pings = 0;
    while (publishes < kCount || pubacks < kCount || pings < kCount / 100) {
        auto packet = client.takes_any();
        if (auto* got = std::get_if<mqtt::Publish>(&packet)) {
            REQUIRE(as_text(got->payload) == std::to_string(publishes));
            ++publishes;
        }
        if (std::holds_alternative<mqtt::PubAck>(packet)) ++pubacks;
        if (std::holds_alternative<mqtt::PingResp>(packet)) ++pings;
    }
    writer.get();
}

TEST_CASE("server: packets around and above the size of a read, up to the largest",
          "[v5.0][MQTT-3.2.2-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto options = with_shards(2);
    options.net.listeners[0].link.packet_size_max = 300'000;
    RunningBroker broker{options};
    auto sub = broker.connected(connect(version).id("sub"));
    sub.speaks(version).sends(subscribe(1, "t", qos1)).gets(suback(1));
    auto pub = broker.connected(connect(version).id("pub"));
    pub.speaks(version);
    // Bytes in front of the payload: 4 of the fixed header, topic, packet id, property length.
    std::size_t overhead = 4 + 3 + 2 + (version == Version::v5 ? 1 : 0);
    std::uint16_t id = 0;
    for (std::size_t size : {65'535U, 65'536U, 65'537U, 131'072U, 299'999U, 300'000U}) {
        std::string const payload(size - overhead, static_cast<char>('a' + id));
        auto bytes = pub.encoded_as(publish("t", payload, qos1, 9));
        REQUIRE(bytes.size() == size);
        append(bytes, pub.encoded_as(pingreq()));
        pub.sends_bytes(bytes).gets(puback(9)).gets(pingresp());
        ++id;
        sub.gets(publish("t", payload, qos1, id));
        sub.sends(puback(id));
    }
    auto too_large = pub.encoded_as(publish("t", std::string(300'001 - overhead, 'x'), qos1, 9));
    REQUIRE(too_large.size() == 300'001);
    pub.sends_bytes(Bytes{too_large}.first(100'000));
    if (version == Version::v5) pub.gets(disconnect(ReasonCode::packet_too_large));
    pub.ends();
    sub.sends(pingreq()).gets(pingresp());
}

TEST_CASE("server: a large packet in pieces, and small ones behind it in the same write") {
    RunningBroker broker;
    auto sub = broker.connected(connect(Version::v5).id("sub"));
    sub.sends(subscribe(1, "t", qos0)).gets(suback(1));
    auto pub = broker.connected(connect(Version::v5).id("pub"));
    for (std::size_t piece : {1'000U, 65'536U, 100'000U, 250'000U}) {
        std::string const payload(200'000, 'x');
        Buffer bytes = pub.encoded_as(publish("t", "before"));
        append(bytes, pub.encoded_as(publish("t", payload)));
        append(bytes, pub.encoded_as(publish("t", "after")));
        for (Bytes rest{bytes}; !rest.empty();) {
            auto part = rest.first(std::min(piece, rest.size()));
            pub.sends_bytes(part);
            rest = rest.subspan(part.size());
        }
        sub.gets(publish("t", "before")).gets(publish("t", payload)).gets(publish("t", "after"));
    }
}

TEST_CASE("server: the reason can be read though much more was sent behind the error",
          "[v5.0][MQTT-4.13.1-1][MQTT-3.14.4-1][gotcha-59]") {
    RunningBroker broker;
    for (int i = 0; i < 10; ++i) {
        auto client = broker.connected(connect(Version::v5).id(broker.id_on_shard(i % 2, "bad")));
        Buffer bytes = bytes_of("C1 00");
        bytes.resize(1'000'000, std::byte{0x30});
        // The broker may close while this is being written.
        auto writer = std::async(std::launch::async, [&] {
            try {
                client.sends_bytes(bytes);
            } catch (std::runtime_error const&) {
            }
        });
        client.gets(disconnect(ReasonCode::malformed_packet));
        client.ends();
        writer.get();
    }
}

TEST_CASE("server: the reason of a refused CONNECT can be read",
          "[v5.0][MQTT-3.2.2-7][gotcha-59]") {
    auto options = with_shards(2);
    options.net.listeners[0].link.client_id_size_max = 10;
    RunningBroker broker{options};
    auto client = broker.client();
    auto bytes = encoded(connect(Version::v5).id("longer than ten"));
    bytes.resize(200'000, std::byte{0x30});
    auto writer = std::async(std::launch::async, [&] {
        try {
            client.sends_bytes(bytes);
        } catch (std::runtime_error const&) {
        }
    });
    client.gets(connack(ReasonCode::client_identifier_not_valid)).ends();
    writer.get();
}

TEST_CASE("server: a peer that does not close is closed after its time") {
    auto options = with_shards(2);
    options.net.linger = 100ms;
    RunningBroker broker{options};
    auto client = broker.connected(connect(Version::v5).id("a"));
    client.sends_bytes(bytes_of("C1 00"));
    client.gets(disconnect(ReasonCode::malformed_packet)).ends();
    // From here on the kernel answers with a reset, which a write learns of in the end.
    bool reset = false;
    while (!reset) {
        try {
            client.sends_bytes(Buffer(1000, std::byte{0}));
        } catch (std::runtime_error const&) {
            reset = true;
        }
    }
    CHECK(reset);
}

TEST_CASE("server: who does not connect in time is closed, who did is not") {
    auto options = with_shards(2);
    options.net.listeners[0].link.connect_timeout = 200ms;
    RunningBroker broker{options};
    auto good = broker.connected(connect(Version::v5).id("good"));
    auto silent = broker.client();
    auto half = broker.client();
    half.sends_bytes(bytes_of("10 20 0004 'MQT'"));
    silent.ends();
    half.ends();
    good.sends(pingreq()).gets(pingresp());
}

TEST_CASE("server: of those who have not connected the oldest gives way, at the limit") {
    auto options = with_shards(1);
    options.net.listeners[0].pending_max = 3;
    RunningBroker broker{options};
    auto connected = broker.connected(connect(Version::v5).id("does not count"));
    std::vector<SocketClient> silent;
    for (int i = 0; i < 3; ++i) silent.push_back(broker.client());
    // All three are there still: the second talks on, and has left them with that.
    silent[1].sends(connect(Version::v5).id("talks")).gets(connack());
    auto third = broker.client();  // takes the place of the second
    auto fourth = broker.client();
    CHECK(silent[0].takes_until_end().empty());
    silent[2].sends(connect(Version::v5).id("2")).gets(connack());
    third.sends(connect(Version::v5).id("3")).gets(connack());
    fourth.sends(connect(Version::v5).id("4")).gets(connack());
    connected.sends(pingreq()).gets(pingresp());
    silent[1].sends(pingreq()).gets(pingresp());
}

TEST_CASE("server: those who do not finish their handshakes give way as well") {
    auto options = with_shards(1);
    options.net.listeners[0].pending_max = 2;
    options.net.listeners[0].proxy.version = broker::ProxyProtocol::v1;
    RunningBroker broker{options};
    auto first = broker.client();
    auto second = broker.client();
    second.sends_bytes(as_bytes("PROXY UNKNOWN\r\n"));
    auto third = broker.client();
    CHECK(first.takes_until_end().empty());
    second.sends(connect(Version::v5).id("2")).gets(connack());
    third.sends_bytes(as_bytes("PROXY UNKNOWN\r\n"));
    third.sends(connect(Version::v5).id("3")).gets(connack());
}

TEST_CASE("server: no more connections than a listener may have") {
    auto options = with_shards(2);
    options.net.listeners[0].connections_max = 3;
    RunningBroker broker{options};
    std::vector<SocketClient> clients;
    for (int i = 0; i < 3; ++i) {
        clients.push_back(broker.connected(connect(Version::v5).id("c" + std::to_string(i))));
    }
    CHECK(broker.client().takes_until_end().empty());
    clients[0].sends(disconnect()).ends();
    clients[0].close();
    // Its place becomes free when the broker has noticed.
    for (;;) {
        auto client = broker.client();
        try {
            client.sends(connect(Version::v5).id("next")).sends(disconnect());
            client.gets(connack());
        } catch (std::runtime_error const&) {
            continue;
        }
        break;
    }
    clients[1].sends(pingreq()).gets(pingresp());
}

TEST_CASE("server: a peer that closes without DISCONNECT leaves its will",
          "[v3.1.1][MQTT-3.1.2-8][v5.0][MQTT-3.1.2-8]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool half = GENERATE(false, true);
    RunningBroker broker{with_shards(3)};
    auto watch = broker.connected(connect(version).id("watch"));
    watch.speaks(version).sends(subscribe(1, "w/#", qos1)).gets(suback(1));
    for (int i = 0; i < 6; ++i) {
        auto topic = "w/" + std::to_string(i);
        auto client = broker.connected(
            connect(version).id(broker.id_on_shard(i % 3, "c")).will(will(topic, "gone", qos1)));
        if (half) {
            client.shuts_down_write().ends();
        } else {
            client.close();
        }
        auto id = static_cast<std::uint16_t>(i + 1);
        watch.gets(publish(topic, "gone", qos1, id)).sends(puback(id));
    }
}

TEST_CASE("server: stopping tells MQTT 5 clients and closes all") {
    RunningBroker broker{with_shards(4)};
    std::vector<SocketClient> clients;
    for (int i = 0; i < 20; ++i) {
        auto version = i % 2 == 0 ? Version::v5 : Version::v3_1_1;
        clients.push_back(broker.connected(connect(version).id("c" + std::to_string(i))));
    }
    auto silent = broker.client();
    auto stopped = std::async(std::launch::async, [&] { broker.server().stop(20s); });
    for (std::size_t i = 0; i < clients.size(); ++i) {
        if (i % 2 == 0) clients[i].gets(disconnect(ReasonCode::server_shutting_down));
        clients[i].ends();
        clients[i].close();
    }
    (void)silent.takes_until_end();
    silent.close();
    // All peers are gone, so it does not wait for its time to be over.
    CHECK(stopped.wait_for(15s) == std::future_status::ready);
}

TEST_CASE("server: stopping does not wait for peers that do not read") {
    RunningBroker broker{with_shards(2)};
    auto stuck = broker.client({.receive_buffer = 4096});
    stuck.sends(connect(Version::v5).id("stuck")).gets(connack());
    stuck.sends(subscribe(1, "t")).gets(suback(1));
    auto pub = broker.connected(connect(Version::v5).id("pub"));
    for (int i = 0; i < 100; ++i) pub.sends(publish("t", std::string(100'000, 'x')));
    pub.sends(pingreq()).gets(pingresp());
    broker.server().stop(200ms);
}

TEST_CASE("server: may be stopped under load") {
    for (int round = 0; round < 3; ++round) {
        RunningBroker broker{with_shards(3)};
        std::vector<std::future<void>> loads;
        for (int i = 0; i < 4; ++i) {
            auto client = broker.connected(connect(Version::v5).id(broker.id_on_shard(i % 3, "c")));
            client.sends(subscribe(1, "t/#", qos1)).gets(suback(1));
            loads.push_back(std::async(std::launch::async, [client = std::move(client)]() mutable {
                try {
                    for (;;) {
                        client.sends(publish("t/x", "y", qos1, 1));
                        for (bool answered = false; !answered;) {
                            auto packet = client.takes_any();
                            answered = std::holds_alternative<mqtt::PubAck>(packet);
                            if (auto* got = std::get_if<mqtt::Publish>(&packet)) {
                                client.sends(puback(got->id.value));
                            }
                        }
                    }
                } catch (std::runtime_error const&) {
                    // the end, as expected
                }
            }));
        }
        auto busy = broker.connected(connect(Version::v5).id("busy"));
        for (int i = 0; i < 50; ++i) busy.sends(pingreq()).gets(pingresp());
        broker.server().stop(100ms);
        for (auto& load : loads) load.get();
    }
}

TEST_CASE("server: busy polling serves as well") {
    auto options = with_shards(2);
    options.net.busy_poll = 500us;
    RunningBroker broker{options};
    auto one = broker.connected(connect(Version::v5).id(broker.id_on_shard(0, "a")));
    auto two = broker.connected(connect(Version::v5).id(broker.id_on_shard(1, "b")));
    one.sends(subscribe(1, "t", qos1)).gets(suback(1));
    for (int i = 0; i < 200; ++i) {
        two.sends(publish("t", "x", qos1, 1)).gets(puback(1));
        one.gets(publish("t", "x", qos1, static_cast<std::uint16_t>(i + 1)));
        one.sends(puback(static_cast<std::uint16_t>(i + 1)));
    }
}
