// MQTT over WebSocket on real sockets.
#include <catch2/catch.hpp>
#include <future>
#include <stdexcept>

#include "protocol/codec/encode.hpp"
#include "tests/support/packet_table.hpp"
#include "tests/unit/broker/net/running_broker.hpp"
#include "tests/unit/broker/net/test_authority.hpp"
#include "tests/unit/broker/net/tls_client.hpp"
#include "tests/unit/broker/net/websocket_client.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

BrokerOptions over_websocket(std::uint8_t shards = 2) {
    auto options = with_shards(shards);
    options.net.listeners[0].websocket.emplace();
    return options;
}

WebSocketClient connected(RunningBroker const& broker, ConnectBuilder const& connect) {
    WebSocketClient client{broker.port()};
    client.sends(connect).gets(connack());
    return client;
}

void append(Buffer& bytes, Buffer const& more) {
    bytes.insert(bytes.end(), more.begin(), more.end());
}

}  // namespace

TEST_CASE("WebSocket: a session on every shard, both ways", "[v3.1.1][v5.0]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    RunningBroker broker{over_websocket(3)};
    for (int shard = 0; shard < 3; ++shard) {
        auto id = broker.id_on_shard(shard, "web");
        auto client = connected(broker, connect(version).id(id));
        client.sends(subscribe(1, id, qos2)).gets(suback(1));
        client.sends(publish(id, "hello", qos1, 7)).gets(publish(id, "hello", qos1, 1));
        client.gets(puback(7)).sends(puback(1));
        client.sends(disconnect());
        client.gets_frame(kClose, bytes_of("03E8")).stream_ends();
    }
}

TEST_CASE("WebSocket: packets need not line up with frames",
          "[v3.1.1][MQTT-6.0.0-2][v5.0][MQTT-6.0.0-2][gotcha-60]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    RunningBroker broker{over_websocket()};
    auto client = connected(broker, connect(version).id("a"));
    client.sends(subscribe(1, "t", qos0)).gets(suback(1));

    SECTION("one byte per frame") {
        for (auto byte : client.encoded_as(publish("t", "drip")))
            client.sends_frame(kBinary, Bytes{&byte, 1});
        client.gets(publish("t", "drip"));
    }
    SECTION("ten packets per frame") {
        Buffer bytes;
        for (int i = 0; i < 10; ++i)
            append(bytes, client.encoded_as(publish("t", std::to_string(i))));
        client.sends_frame(kBinary, bytes);
        for (int i = 0; i < 10; ++i) client.gets(publish("t", std::to_string(i)));
    }
    SECTION("a packet over fragments with pings between them") {
        auto bytes = client.encoded_as(publish("t", "in parts"));
        client.sends_frame(kFirstFragment, Bytes{bytes}.first(1));
        client.sends_frame(kPing, "are you there");
        client.sends_frame(kFragment, Bytes{bytes}.subspan(1, 3));
        client.sends_frame(kPong, "never asked for");
        client.sends_frame(kLastFragment, Bytes{bytes}.subspan(4));
        client.gets_frame(kPong, as_bytes("are you there"));
        client.gets(publish("t", "in parts"));
    }
    SECTION("the end of one packet and the start of the next in a frame") {
        auto bytes = client.encoded_as(publish("t", "one"));
        append(bytes, client.encoded_as(publish("t", "two")));
        client.sends_frame(kBinary, Bytes{bytes}.first(3));
        client.sends_frame(kBinary, Bytes{bytes}.subspan(3, 8));
        client.sends_frame(kBinary, Bytes{bytes}.subspan(11));
        client.gets(publish("t", "one")).gets(publish("t", "two"));
    }
    client.sends(pingreq()).gets(pingresp());
}

TEST_CASE("WebSocket: the whole session in one write, request included") {
    RunningBroker broker{over_websocket(3)};
    for (int shard = 0; shard < 3; ++shard) {
        SocketClient raw{broker.port()};
        auto bytes = to_buffer(upgrade_request());
        Buffer packets;
        mqtt::encode(connect(Version::v5).id(broker.id_on_shard(shard, "c")).packet(), packets);
        append(packets, raw.encoded_as(pingreq()));
        append(bytes, client_frame(kBinary, packets));
        // And the end, so that all there is to read is what these bring.
        append(bytes, client_frame(kClose, bytes_of("03E8")));
        raw.sends_bytes(bytes);
        auto text = raw.takes_text();
        CHECK(text.starts_with("HTTP/1.1 101 "));
        auto frames = text.substr(text.find("\r\n\r\n") + 4);
        CHECK(frames.ends_with(as_text(bytes_of("D000 88 02 03E8"))));
        CHECK(frames.starts_with("\x82"));
    }
}

TEST_CASE("WebSocket: messages larger than any buffer, both ways") {
    auto options = over_websocket();
    options.net.listeners[0].link.packet_size_max = 4'000'000;
    RunningBroker broker{options};
    auto client = connected(broker, connect(Version::v5).id("big"));
    client.sends(subscribe(1, "t", qos0)).gets(suback(1));
    for (std::size_t size : {100U, 65'000U, 65'536U, 3'000'000U}) {
        std::string const payload(size, 'x');
        auto writer = std::async(std::launch::async, [&] { client.sends(publish("t", payload)); });
        client.gets(publish("t", payload));
        writer.get();
    }
}

TEST_CASE("WebSocket: a slow reader gets all of it, and an answer to its ping") {
    RunningBroker broker{over_websocket()};
    WebSocketClient slow{broker.port(), {.receive_buffer = 4096}};
    slow.sends(connect(Version::v5).id("slow")).gets(connack());
    slow.sends(subscribe(1, "t", qos1)).gets(suback(1));
    auto pub = connected(broker, connect(Version::v5).id("pub"));
    constexpr int kCount = 100;
    std::string const filler(20'000, 'x');
    for (int i = 0; i < kCount; ++i)
        pub.sends(publish("t", std::to_string(i) + " " + filler, qos1, 1)).gets(puback(1));
    slow.sends_frame(kPing, "slow");
    slow.gets_frame(kPong, as_bytes("slow"));
    for (int i = 0; i < kCount; ++i) {
        auto packet = slow.takes<mqtt::Publish>();
        REQUIRE(as_text(packet.payload).starts_with(std::to_string(i) + " "));
        slow.sends(puback(packet.id.value));
    }
}

TEST_CASE("WebSocket: what is no binary frame of a client ends the connection, and leaves the will",
          "[v3.1.1][MQTT-6.0.0-1][MQTT-3.1.2-8][v5.0][MQTT-6.0.0-1][MQTT-3.1.2-8][gotcha-60]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto [sent, code] = GENERATE(table<Buffer, std::string>({
        {client_frame(kText, "text"), "03EB"},
        {client_frame(kText, ""), "03EB"},
        {bytes_of("82 02 C000"), "03EA"},  // no mask
        {bytes_of("C2 82 00000000 C000"), "03EA"},
        {client_frame(kFragment, bytes_of("C000")), "03EA"},
        {client_frame(kClose, bytes_of("03E9")), "03E9"},
    }));
    RunningBroker broker{over_websocket()};
    auto watch = connected(broker, connect(version).id("watch"));
    watch.sends(subscribe(1, "w", qos0)).gets(suback(1));
    auto client = connected(broker, connect(version).id("bad").will(will("w", "gone", qos0)));
    client.sends_raw(sent);
    client.gets_frame(kClose, bytes_of(code)).stream_ends();
    watch.gets(publish("w", "gone"));
}

TEST_CASE("WebSocket: the reason can be read though much more was sent behind the error") {
    RunningBroker broker{over_websocket()};
    auto client = connected(broker, connect(Version::v5).id("bad"));
    auto bytes = client_frame(kText, "text");
    bytes.resize(1'000'000, std::byte{0x30});
    auto writer = std::async(std::launch::async, [&] {
        try {
            client.sends_raw(bytes);
        } catch (std::runtime_error const&) {
            // The broker may close while this is being written.
        }
    });
    client.gets_frame(kClose, bytes_of("03EB")).stream_ends();
    writer.get();
}

TEST_CASE("WebSocket: a packet that tells why comes before the close frame") {
    RunningBroker broker{over_websocket()};
    auto client = connected(broker, connect(Version::v5).id("bad"));
    client.sends_frame(kBinary, bytes_of("C1 00"));
    client.gets(disconnect(ReasonCode::malformed_packet)).ends();
    client.stream_ends();

    auto old = connected(broker, connect(Version::v5).id("same"));
    auto next = connected(broker, connect(Version::v5).id("same"));
    old.gets(disconnect(ReasonCode::session_taken_over)).ends();
    old.stream_ends();
    next.sends(pingreq()).gets(pingresp());
}

TEST_CASE("WebSocket: a stream that just ends leaves the will", "[v5.0][MQTT-3.1.2-8]") {
    RunningBroker broker{over_websocket()};
    auto watch = connected(broker, connect(Version::v5).id("watch"));
    watch.sends(subscribe(1, "w", qos0)).gets(suback(1));
    auto client = connected(broker, connect(Version::v5).id("c").will(will("w", "gone", qos0)));
    client.close();
    watch.gets(publish("w", "gone"));
}

TEST_CASE("WebSocket: keep alive counts packets, not pings of WebSocket",
          "[v5.0][MQTT-3.1.2-22][gotcha-60]") {
    RunningBroker broker{over_websocket()};
    auto watch = connected(broker, connect(Version::v5).id("watch"));
    watch.sends(subscribe(1, "w", qos0)).gets(suback(1));
    auto client =
        connected(broker, connect(Version::v5).id("c").keep_alive(1).will(will("w", "gone", qos0)));
    auto start = std::chrono::steady_clock::now();
    std::promise<void> ended;
    auto pings = std::async(std::launch::async, [&, over = ended.get_future()] {
        while (over.wait_for(100ms) == std::future_status::timeout) {
            try {
                client.sends_frame(kPing, "");
            } catch (std::runtime_error const&) {
                return;
            }
        }
    });
    watch.gets(publish("w", "gone"));
    CHECK(std::chrono::steady_clock::now() - start >= 1400ms);
    ended.set_value();
    pings.get();
}

TEST_CASE("WebSocket: who does not ask for it right is told by HTTP") {
    auto options = over_websocket();
    options.net.listeners[0].websocket->origins = {"https://app.example.com"};
    RunningBroker broker{options};
    auto status_of = [&](std::string const& request) {
        SocketClient raw{broker.port()};
        raw.sends_bytes(as_bytes(request));
        return raw.takes_text().substr(0, 12);
    };
    auto with_header = [](std::string const& header) {
        auto request = upgrade_request();
        return request.insert(request.size() - 2, header + "\r\n");
    };
    CHECK(status_of("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n") == "HTTP/1.1 400");
    CHECK(status_of(with_header("Origin: https://evil.org")) == "HTTP/1.1 403");
    CHECK(status_of(upgrade_request("/other")) == "HTTP/1.1 404");
    CHECK(status_of("GET /mqtt HTTP/1.1\r\n" + std::string(10'000, 'x')) == "HTTP/1.1 431");
    // MQTT without WebSocket
    CHECK(status_of("\x10\x0C") == "HTTP/1.1 400");
}

TEST_CASE("WebSocket: over TLS, both ways, to the close frame and close_notify") {
    TestFolder folder;
    TestAuthority authority{folder, "ca"};
    authority.issue("server", {.common_name = "server", .alternative_names = "IP:127.0.0.1"});
    auto options = over_websocket();
    options.net.listeners[0].tls.certificates = {
        {folder.file("server.pem"), folder.file("server.key")}};
    RunningBroker broker{options};
    auto opened = std::make_unique<TlsStream>(broker.port(), TlsClientOptions{});
    auto& stream = *opened;
    WebSocketClient client{std::move(opened)};
    client.sends(connect(Version::v5).id("tls")).gets(connack());
    client.sends(subscribe(1, "t", qos0)).gets(suback(1));
    for (std::size_t size : {1U, 200U, 16'384U, 200'000U}) {
        std::string const payload(size, 'x');
        client.sends(publish("t", payload)).gets(publish("t", payload));
    }
    client.sends_frame(kPing, "tls").gets_frame(kPong, as_bytes("tls"));
    client.sends_frame(kText, "text");
    client.gets_frame(kClose, bytes_of("03EB")).stream_ends();
    CHECK(stream.has_close_notify());
}

TEST_CASE("WebSocket: who does not finish the request in time is closed") {
    auto options = over_websocket();
    options.net.listeners[0].link.connect_timeout = 200ms;
    RunningBroker broker{options};
    auto good = connected(broker, connect(Version::v5).id("good"));
    SocketClient silent{broker.port()};
    SocketClient half{broker.port()};
    half.sends_bytes(as_bytes("GET /mqtt HTTP/1.1\r\n"));
    WebSocketClient no_connect{broker.port()};
    CHECK(silent.takes_text().empty());
    CHECK(half.takes_text().empty());
    no_connect.ends();
    good.sends(pingreq()).gets(pingresp());
}

TEST_CASE("WebSocket: many clients on several shards talk at a time") {
    RunningBroker broker{over_websocket(3)};
    constexpr int kCount = 300;
    std::vector<std::future<void>> work;
    for (int p = 0; p < 4; ++p) {
        work.push_back(std::async(std::launch::async, [&broker, p] {
            auto client = connected(
                broker,
                connect(Version::v5).id(broker.id_on_shard(p % 3, "c" + std::to_string(p))));
            auto topic = "t/" + std::to_string(p);
            client.sends(subscribe(1, topic, qos0)).gets(suback(1));
            for (int i = 0; i < kCount; ++i) {
                auto text = std::to_string(i);
                client.sends(publish(topic, text)).gets(publish(topic, text));
            }
        }));
    }
    for (auto& one : work) one.get();
}
