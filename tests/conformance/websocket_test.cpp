// MQTT over WebSocket (chapter 6 of both versions).
#include <fmt/format.h>

#include <array>
#include <initializer_list>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "tests/conformance/harness/conversation.hpp"
#include "tests/conformance/harness/socket.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::Version;

namespace {

Setup const kWebSocket{.listener = "websocket = true"};

/// What a frame is (RFC 6455, 5.2).
enum class Opcode : std::uint8_t { more = 0, text = 1, binary = 2, close = 8, ping = 9, pong = 10 };

struct Frame {
    Opcode opcode{};
    bool is_last = true;
    Buffer payload{};
};

/// A WebSocket client by its bytes. Frames and packets are apart: what comes in binary frames is
/// one stream of packets.
class WebClient {
public:
    explicit WebClient(Endpoint const& endpoint) : socket_(endpoint) {}

    /// The opening handshake. Out: the head of the answer, up to the empty line.
    std::string shakes_hands(std::string_view protocols) {
        std::string request =
            "GET /mqtt HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
        if (!protocols.empty()) request += fmt::format("Sec-WebSocket-Protocol: {}\r\n", protocols);
        request += "\r\n";
        socket_.send(as_bytes(request));
        for (;;) {
            auto text = as_text(input_);
            auto end = text.find("\r\n\r\n");
            if (end != std::string_view::npos) {
                std::string head{text.substr(0, end + 2)};
                input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(end + 4));
                return head;
            }
            if (!reads()) return std::string{as_text(input_)};
        }
    }

    WebClient& sends(Opcode opcode, Bytes payload, bool is_last = true) {
        constexpr std::array kMask{std::byte{0x11}, std::byte{0x22}, std::byte{0x33},
                                   std::byte{0x44}};
        REQUIRE(payload.size() < 126);
        Buffer bytes{std::byte(static_cast<unsigned>(opcode) | (is_last ? 0x80U : 0U)),
                     std::byte(0x80U | payload.size())};
        bytes.insert(bytes.end(), kMask.begin(), kMask.end());
        for (std::size_t i = 0; i < payload.size(); ++i) bytes.push_back(payload[i] ^ kMask[i % 4]);
        socket_.send(bytes);
        return *this;
    }

    /// The next frame, whatever it is; nothing at the end of the stream.
    std::optional<Frame> takes_frame() {
        for (;;) {
            if (auto frame = whole_frame()) return frame;
            if (!reads()) return std::nullopt;
        }
    }

    /// The next packet of the stream that binary frames make.
    mqtt::Packet takes(Version version) {
        for (;;) {
            auto header = mqtt::read_fixed_header(packets_, mqtt::kVariableByteIntegerMax + 5);
            REQUIRE(header.has_value());
            if (*header && (*header)->packet_size() <= packets_.size()) {
                auto const size = (*header)->packet_size();
                auto packet =
                    mqtt::decode(Bytes{packets_}.first(size), version, mqtt::Sender::server);
                REQUIRE(packet.has_value());
                packets_.erase(packets_.begin(),
                               packets_.begin() + static_cast<std::ptrdiff_t>(size));
                return std::move(*packet);
            }
            auto frame = takes_frame();
            REQUIRE(frame);
            bool is_data = frame->opcode == Opcode::binary || frame->opcode == Opcode::more;
            if (!is_data) FAIL("a frame that is no binary one came");
            packets_.insert(packets_.end(), frame->payload.begin(), frame->payload.end());
        }
    }

    /// The server ends the connection; a close frame and DISCONNECT may come before.
    void is_closed() {
        while (auto frame = takes_frame()) {
            CHECK((frame->opcode == Opcode::close || frame->opcode == Opcode::binary));
        }
    }

private:
    bool reads() {
        std::array<std::byte, 4096> room;
        auto size = socket_.receive(room);
        input_.insert(input_.end(), room.begin(), room.begin() + static_cast<std::ptrdiff_t>(size));
        return size > 0;
    }

    std::optional<Frame> whole_frame() {
        if (input_.size() < 2) return std::nullopt;
        auto first = std::to_integer<unsigned>(input_[0]);
        std::size_t size = std::to_integer<unsigned>(input_[1]);
        std::size_t begin = 2;
        REQUIRE(size < 127);  // not masked, not 64 kB
        if (size == 126) {
            if (input_.size() < 4) return std::nullopt;
            size = std::to_integer<std::size_t>(input_[2]) << 8 |
                   std::to_integer<std::size_t>(input_[3]);
            begin = 4;
        }
        if (input_.size() < begin + size) return std::nullopt;
        auto from = input_.begin() + static_cast<std::ptrdiff_t>(begin);
        Frame frame{Opcode{static_cast<std::uint8_t>(first & 0x0F)}, (first & 0x80) != 0,
                    Buffer{from, from + static_cast<std::ptrdiff_t>(size)}};
        input_.erase(input_.begin(), from + static_cast<std::ptrdiff_t>(size));
        return frame;
    }

    Socket socket_;
    Buffer input_;
    Buffer packets_;  // what binary frames have brought
};

Buffer connect_bytes(Version version, std::string const& id) {
    Buffer bytes;
    mqtt::Connect packet;
    packet.version = version;
    packet.client_id = id;
    packet.will = will(id + "/w", "gone");
    mqtt::encode(packet, bytes);
    return bytes;
}

template <class Builder>
Buffer bytes_as(Version version, Builder const& builder) {
    Buffer bytes;
    mqtt::encode(mqtt::Packet{builder.packet()}, version, bytes);
    return bytes;
}

Buffer joined(std::initializer_list<Buffer> parts) {
    Buffer all;
    for (auto const& part : parts) all.insert(all.end(), part.begin(), part.end());
    return all;
}

bool is_success(mqtt::Packet const& packet) {
    auto* connack = std::get_if<mqtt::ConnAck>(&packet);
    return connack != nullptr && connack->reason == mqtt::ReasonCode::success;
}

}  // namespace

TEST_CASE("websocket: the subprotocol mqtt is chosen and told, wherever it stands",
          "[own][v3.1.1][MQTT-6.0.0-4][v5.0][MQTT-6.0.0-4]") {
    auto offered = GENERATE("mqtt", "mqttv3.1, mqtt", "x, mqtt", "mqtt, x", "x,mqtt");
    Conversation s{kWebSocket};
    WebClient client{s.endpoint()};
    auto head = client.shakes_hands(offered);
    CHECK(head.starts_with("HTTP/1.1 101 "));
    CHECK(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n") != std::string::npos);
    CHECK(head.find("Sec-WebSocket-Protocol: mqtt\r\n") != std::string::npos);
    client.sends(Opcode::binary, connect_bytes(Version::v5, s.word()));
    CHECK(is_success(client.takes(Version::v5)));
}

TEST_CASE("websocket: packets and frames need not line up",
          "[own][v3.1.1][MQTT-6.0.0-2][v5.0][MQTT-6.0.0-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kWebSocket};
    WebClient client{s.endpoint()};
    (void)client.shakes_hands("mqtt");
    auto const ping = bytes_of("C0 00");
    // One packet over three frames; over fragments of one message, with a ping between them; byte
    // by byte.
    auto const hello = connect_bytes(version, s.word());
    client.sends(Opcode::binary, Bytes{hello}.first(1));
    client.sends(Opcode::binary, Bytes{hello}.subspan(1, 9));
    client.sends(Opcode::binary, Bytes{hello}.subspan(10));
    CHECK(is_success(client.takes(version)));
    client.sends(Opcode::binary, Bytes{ping}.first(1), false);
    client.sends(Opcode::ping, as_bytes("hi"));
    client.sends(Opcode::more, Bytes{ping}.subspan(1));
    auto pong = client.takes_frame();
    REQUIRE(pong);
    CHECK(pong->opcode == Opcode::pong);
    CHECK(as_text(pong->payload) == "hi");
    CHECK(std::holds_alternative<mqtt::PingResp>(client.takes(version)));
    auto const request = bytes_as(version, subscribe(1, s.topic("t"), qos1));
    for (auto byte : request) client.sends(Opcode::binary, Bytes{&byte, 1});
    CHECK(std::holds_alternative<mqtt::SubAck>(client.takes(version)));
    // Three packets in one frame, the last one cut.
    auto const message = bytes_as(version, publish(s.topic("t"), "x", qos0));
    client.sends(Opcode::binary, joined({message, ping, bytes_of("C0")}));
    auto one = client.takes(version);
    auto other = client.takes(version);
    CHECK(one.index() + other.index() ==
          mqtt::Packet{mqtt::Publish{}}.index() + mqtt::Packet{mqtt::PingResp{}}.index());
    client.sends(Opcode::binary, bytes_of("00"));
    CHECK(std::holds_alternative<mqtt::PingResp>(client.takes(version)));
}

TEST_CASE("websocket: a data frame that is not binary ends the connection",
          "[own][v3.1.1][MQTT-6.0.0-1][v5.0][MQTT-6.0.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{kWebSocket};
    WebClient watcher{s.endpoint()};
    (void)watcher.shakes_hands("mqtt");
    watcher.sends(Opcode::binary, connect_bytes(version, "watcher" + s.word()));
    CHECK(is_success(watcher.takes(version)));
    watcher.sends(Opcode::binary, bytes_as(version, subscribe(1, s.word() + "/w", qos0)));
    CHECK(std::holds_alternative<mqtt::SubAck>(watcher.takes(version)));

    WebClient client{s.endpoint()};
    (void)client.shakes_hands("mqtt");
    client.sends(Opcode::binary, connect_bytes(version, s.word()));
    CHECK(is_success(client.takes(version)));
    client.sends(Opcode::text, bytes_of("C0 00")).is_closed();
    // The will goes out as over TCP.
    auto gone = watcher.takes(version);
    CHECK(std::get<mqtt::Publish>(gone).topic == s.word() + "/w");
}
