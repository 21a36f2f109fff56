#include "tests/fuzz/samples.hpp"

#include <initializer_list>
#include <stdexcept>
#include <string>

#include "protocol/codec/encode.hpp"
#include "protocol/packet/packet.hpp"
#include "tests/fuzz/samples_bridge.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::fuzz {
namespace {

using test::bytes_of;

Buffer buffer_of(std::string_view text) {
    auto bytes = as_bytes(text);
    return {bytes.begin(), bytes.end()};
}

std::vector<Buffer> texts(std::initializer_list<std::string_view> all) {
    std::vector<Buffer> buffers;
    for (auto text : all) buffers.push_back(buffer_of(text));
    return buffers;
}

/// The first byte of the input, then the text.
std::vector<Buffer> behind(std::initializer_list<unsigned char> firsts,
                           std::initializer_list<std::string_view> all) {
    std::vector<Buffer> buffers;
    for (auto first : firsts) {
        for (auto text : all) {
            buffers.push_back({std::byte{first}});
            auto bytes = as_bytes(text);
            buffers.back().insert(buffers.back().end(), bytes.begin(), bytes.end());
        }
    }
    return buffers;
}

std::vector<Buffer> websocket_frames() {
    std::vector<Buffer> buffers;
    for (auto text :
         {"03 82 84 00000000 C0 00 C0 00",                          // binary, two packets
          "03 02 82 01020304 C1 02 80 82 05060708 C5 06",           // two fragments
          "00 89 83 01020304 60 6B 6D 82 80 00000000",              // ping, an empty message
          "01 02 81 00000000 C0 8A 80 00000000 80 81 00000000 00",  // pong between fragments
          "05 88 82 00000000 03 E8", "05 88 80 00000000",           // close
          "07 88 85 00000000 03 E8 6F 6B C3",                       // its reason is no UTF-8
          "09 82 FE 0080 00000000 00 01 02", "0A 82 FF 0000000000010000 00000000 00",
          "0B 81 82 00000000 68 69", "0C 82 02 C0 00", "0D C2 80 00000000", "0E 83 80 00000000",
          "0F 80 80 00000000", "10 82 FE 0005 00000000 00", "11 89 FE 0080 00000000 00"}) {
        buffers.push_back(bytes_of(text));
    }
    return buffers;
}

constexpr std::string_view kUpgrade =
    "GET /mqtt HTTP/1.1\r\nHost: a.example\r\nUpgrade: websocket\r\nConnection: keep-alive, "
    "Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Sec-WebSocket-Protocol: chat, mqtt\r\nOrigin: https://a.example\r\n\r\n";

std::vector<Buffer> proxy_headers() {
    auto buffers = behind({0, 1, 2, 3, 5}, {"PROXY TCP4 192.0.2.1 192.0.2.2 5000 1883\r\n\x10",
                                            "PROXY TCP6 2001:db8::1 2001:db8::2 1 65535\r\n",
                                            "PROXY UNKNOWN what ever\r\n", "PROXY UNKNOWN\r\n",
                                            "PROXY TCP4 192.0.2.1 192.0.2.2 05 1883\r\n"});
    for (auto text : {
             "00 0D0A0D0A000D0A515549540A 21 11 000C C0000201 C0000202 1388 075B 10",
             "02 0D0A0D0A000D0A515549540A 21 21 0024 20010DB8000000000000000000000001"
             " 20010DB8000000000000000000000002 1388 075B",
             "00 0D0A0D0A000D0A515549540A 20 00 0000",
             "05 0D0A0D0A000D0A515549540A 21 11 001C C0000201 C0000202 1388 075B"
             " 20 000D 01 00000000 22 0005 62 6F 62 21 21",
             "00 0D0A0D0A000D0A515549540A 21 11 0013 C0000201 C0000202 1388 075B 03 0004 00000000",
         }) {
        buffers.push_back(bytes_of(text));
    }
    return buffers;
}

// --- Streams for two clients ---

/// A step of check_stream(): `what` as it says there, for client 0 or 1.
void step(Buffer& out, unsigned client, unsigned what, std::size_t much) {
    out.push_back(static_cast<std::byte>(client | what << 1));
    out.push_back(static_cast<std::byte>(much));
}

void send(Buffer& out, unsigned client, Buffer const& bytes) {
    for (std::size_t at = 0; at < bytes.size();) {
        auto size = std::min<std::size_t>(bytes.size() - at, 255);
        bool is_last = at + size == bytes.size();
        step(out, client, is_last ? 0 : 1, size);
        out.insert(out.end(), bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at + size));
        at += size;
    }
}

void send(Buffer& out, unsigned client, mqtt::Version version, mqtt::Packet const& packet) {
    Buffer bytes;
    mqtt::encode(packet, version, bytes);
    send(out, client, bytes);
}

mqtt::Connect connect(mqtt::Version version, std::string client_id) {
    mqtt::Connect packet;
    packet.version = version;
    packet.client_id = std::move(client_id);
    packet.clean_start = false;
    packet.keep_alive = 60;
    packet.will = mqtt::Will{"a/will", buffer_of("gone"), mqtt::Qos::at_least_once, true, {}, {}};
    if (version == mqtt::Version::v5) {
        packet.session_expiry_interval = 300;
        packet.receive_maximum = 2;
        packet.topic_alias_maximum = 3;
        packet.will->will_delay_interval = 2;
    }
    return packet;
}

/// One client subscribes, the other publishes at every QoS; both answer, are cut and come back.
Buffer conversation(mqtt::Version version, unsigned settings, std::string const& filter) {
    using mqtt::PacketId;
    Buffer out{static_cast<std::byte>(settings)};
    bool v5 = version == mqtt::Version::v5;
    send(out, 0, version, connect(version, "one"));
    mqtt::Subscribe subscribe;
    subscribe.id = PacketId{1};
    subscribe.subscriptions = {{filter, {.qos = mqtt::Qos::exactly_once}}};
    if (v5) subscribe.subscription_identifier = 7;
    send(out, 0, version, subscribe);
    send(out, 1, version, connect(version, "two"));
    for (unsigned qos = 0; qos < 3; ++qos) {
        mqtt::Publish publish;
        publish.topic = "a/b";
        publish.payload = buffer_of("payload");
        publish.qos = static_cast<mqtt::Qos>(qos);
        publish.retain = qos > 0;
        if (qos > 0) publish.id = PacketId{static_cast<std::uint16_t>(qos)};
        if (v5) publish.properties.message_expiry_interval = 10;
        if (v5 && qos == 1) publish.topic_alias = 1;
        send(out, 1, version, publish);
    }
    send(out, 1, version, mqtt::PubRel{PacketId{2}, {}, {}, {}});
    send(out, 0, version, mqtt::PubAck{PacketId{1}, {}, {}, {}});
    send(out, 0, version, mqtt::PubRec{PacketId{2}, {}, {}, {}});
    step(out, 0, 3, 0);
    step(out, 0, 2, 4);
    step(out, 1, 4, 5);
    send(out, 0, version, connect(version, "one"));
    send(out, 0, version, mqtt::PubComp{PacketId{2}, {}, {}, {}});
    send(out, 0, version, mqtt::Unsubscribe{PacketId{3}, {filter, "x"}, {}});
    send(out, 1, version, connect(version, "one"));  // a second CONNECT
    send(out, 1, version, connect(version, "one"));  // takes the other one over
    step(out, 0, 2, 255);
    return out;
}

std::vector<Buffer> streams() {
    std::vector<Buffer> buffers;
    for (auto version : {mqtt::Version::v3_1, mqtt::Version::v3_1_1, mqtt::Version::v5}) {
        for (unsigned settings = 0; settings < 8; ++settings) {
            for (auto filter : {"a/#", "$share/g/a/+"}) {
                buffers.push_back(conversation(version, settings, filter));
            }
        }
    }
    // Every row of the table that a client sends, behind a CONNECT of its version.
    for (auto const& row : test::packet_table()) {
        if (row.sender != mqtt::Sender::client) continue;
        Buffer out{std::byte{0}};
        send(out, 0, row.version, connect(row.version, "one"));
        send(out, 0, row.bytes());
        buffers.push_back(std::move(out));
    }
    return buffers;
}

}  // namespace

std::vector<Buffer> samples_for(std::string_view check) {
    if (check == "topic_filter") return texts({"a/+/b\na/x/b", "#\n$SYS/x", "$share/g/a/#\na"});
    if (check == "websocket_frames") return websocket_frames();
    if (check == "websocket_upgrade") {
        return behind({3, 7, 255}, {kUpgrade, "GET /mqtt?x HTTP/1.1\r\nHost: a\r\n\r\n",
                                    "POST / HTTP/1.1\r\n\r\n",
                                    "GET / HTTP/1.0\r\nA: b\r\n c\r\n\r\n", "\x10\x0C"});
    }
    if (check == "proxy_header") return proxy_headers();
    if (check == "password_file") {
        return texts(
            {"# users\n\nbob:$7$101$1234567890ab$"
             "UeJLB8A0hcoIP6y7xGZeWVbRYlkX8AfxkiIDxwCaVpxTCBk3vkrMW7ZZIGnMTPEOJDBWUFYVuKOVq7NPLXvbSA"
             "==\r\n",
             "eve:$6$c2FsdA==$"
             "UeJLB8A0hcoIP6y7xGZeWVbRYlkX8AfxkiIDxwCaVpxTCBk3vkrMW7ZZIGnMTPEOJDBWUFYVuKOVq7NPLXvbSA"
             "==\n",
             "ann:$argon2id$v=19$m=4096,t=3,p=1$c2FsdHNhbHQ$"
             "tj4SB8z5KUOJYxJ6e6sbaTJkNhF6v+BSp0TyLj1lRSA\n",
             "nobody\n:x\nbob:$7$0$$\n"});
    }
    if (check == "scram_file") {
        return texts(
            {"bob:SCRAM-SHA-256$4096:c2FsdA==$"
             "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
             "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=\n",
             "# none\nbob:SCRAM-SHA-1$1:$:\n"});
    }
    if (check == "acl_file") {
        return texts(
            {"topic read $SYS/#\nuser bob\ntopic readwrite a/#\ntopic deny a/b\n"
             "pattern read d/%c/%u\n",
             "pattern write %u/x\npattern deny c/%u\ntopic a b\nuser\n", "tpic x\n"});
    }
    if (check == "scram_messages") {
        return texts(
            {"n,,n=bob,r=fyko\nc=biws,r=fyko3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
             "y,,n=bob,r=x\nc=eSws,r=x3rfcNHYJY1ZVvWVs7j,p=", "n,a=me,n=a=2Cb=3Dc,r=x,e=1\n",
             "p=tls-unique,,n=bob,r=x\n"});
    }
    if (check == "configuration") {
        return texts(
            {"[[listeners]]\naddress = \"::1\"\nport = 0\nconnect_timeout = \"3 s\"\n"
             "[limits]\npacket_size_max = \"64 KiB\"\nsession_expiry_max = \"never\"\n",
             "[log]\nlevel = \"debug\"\n[mqtt]\nmaximum_qos = 1\n", "[limits]\nx = 1\n",
             "a = [[[[[[1]]]]]]\n", "[limits]\nx = t\nr\n", "\"a\\nb\" = 1\n"});
    }
    if (check == "stream") return streams();
    if (auto samples = bridge_samples_for(check); !samples.empty()) return samples;
    if (auto samples = storage_samples_for(check); !samples.empty()) return samples;
    throw std::logic_error{"no samples for " + std::string{check}};
}

}  // namespace spoke::fuzz
