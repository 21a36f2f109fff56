// Every first byte, and every packet of the packet table, whole, cut at every byte and one byte too
// long (3.1.1: 4.8, 5.0: 4.13).
#include <fmt/format.h>

#include <algorithm>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/framing.hpp"
#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// The first bytes that a client may send once it is connected (3.1.1: 2.2, 5.0: 2.1).
bool is_allowed_later(unsigned first) {
    unsigned type = first >> 4;
    unsigned flags = first & 0x0F;
    switch (type) {
        case 3: {  // PUBLISH: QoS 3 is none, DUP needs QoS
            unsigned qos = (flags >> 1) & 3;
            return qos != 3 && (qos != 0 || (flags & 8) == 0);
        }
        case 4:
        case 5:
        case 7:
        case 12:
        case 14:
            return flags == 0;
        case 6:
        case 8:
        case 10:
            return flags == 2;
        default:
            return false;
    }
}

/// A body that suits the type.
std::string body_for(Version version, unsigned first, std::string const& topic) {
    std::string_view none = version == Version::v5 ? "00" : "";
    unsigned type = first >> 4;
    switch (type) {
        case 3:
            return fmt::format("s'{}' {} {} 'x'", topic, ((first >> 1) & 3) == 0 ? "" : "0001",
                               none);
        case 4:
        case 5:
        case 6:
        case 7:
            return "0001";
        case 8:
            return fmt::format("0001 {} s'{}' 00", none, topic);
        case 10:
            return fmt::format("0001 {} s'{}'", none, topic);
        default:
            return "";
    }
}

bool is_from_client(PacketRow const& row, Version version) {
    return row.sender == mqtt::Sender::client && row.version == version && row.bytes().size() >= 2;
}

bool is_connect(Buffer const& frame) {
    return std::to_integer<unsigned>(frame[0]) >> 4 == 1;
}

/// Sends a packet that is not to be taken, on a connection that a CONNECT opened if the packet is
/// none itself; the server ends it.
void is_not_taken(Conversation& s, Version version, Buffer const& frame) {
    if (is_connect(frame)) {
        s.client("a").speaks(version).sends_bytes(frame).is_turned_away();
        return;
    }
    auto packet = s.connected("a", version).sends_bytes(frame).takes_or_ends();
    if (!packet) return;
    auto* disconnect = std::get_if<mqtt::Disconnect>(&*packet);
    if (!disconnect || !mqtt::is_error(disconnect->reason)) FAIL("got " << describe(*packet));
    s.client("a").closes();
}

/// The same packet with `body` instead of its own.
Buffer with_body(Buffer const& frame, Bytes body) {
    return frame_of(std::to_integer<std::uint8_t>(frame[0]), body);
}

bool is_publish(Buffer const& frame) {
    return std::to_integer<unsigned>(frame[0]) >> 4 == 3;
}

}  // namespace

TEST_CASE("bad packets: each of the 256 first bytes of a connection",
          "[v3.1.1][MQTT-3.1.0-1][MQTT-2.2.2-2][v5.0][MQTT-3.1.0-1][MQTT-2.1.3-1]"
          "[MQTT-3.14.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a");
    auto const whole = a.encoded(connect(version));
    for (unsigned first = 0; first < 256; ++first) {
        CAPTURE(first);
        a.drops().speaks(version);
        if (first == 0x10) {
            a.sends_bytes(whole).gets(connack());
        } else if (first >> 4 == 1) {
            a.sends_bytes(with_body(Buffer{std::byte(first)}, body_of(whole)));
            a.is_turned_away();
        } else {
            a.sends_hex(
                fmt::format("{:02X} ( {} )", first, body_for(version, first, s.topic("t"))));
            a.closes();
        }
    }
}

TEST_CASE("bad packets: each of the 256 first bytes of a later packet",
          "[v3.1.1][MQTT-2.2.2-2][MQTT-3.3.1-2][MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1]"
          "[MQTT-3.10.1-1][MQTT-3.14.1-1][MQTT-4.8.0-1][v5.0][MQTT-2.1.3-1][MQTT-3.3.1-2]"
          "[MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1][MQTT-3.14.1-1]"
          "[MQTT-3.15.1-1][MQTT-4.13.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (unsigned first = 0; first < 256; ++first) {
        CAPTURE(first);
        auto& a = s.connected("a", version);
        a.sends_hex(fmt::format("{:02X} ( {} )", first, body_for(version, first, s.topic("t"))));
        if (!is_allowed_later(first)) {
            auto packet = a.takes_or_ends();
            if (version == Version::v3_1_1) CHECK_FALSE(packet);
            if (packet) {
                auto* disconnect = std::get_if<mqtt::Disconnect>(&*packet);
                REQUIRE(disconnect);
                CHECK(mqtt::is_error(disconnect->reason));
                a.closes();
            }
            continue;
        }
        if (first >> 4 != 14) a.sends(disconnect());
        while (a.takes_or_ends()) {
        }
    }
}

TEST_CASE("bad packets: each bad row of the packet table ends the connection",
          "[v3.1.1][MQTT-4.8.0-1][MQTT-3.1.4-1][v5.0][MQTT-4.13.1-1][MQTT-3.1.4-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (auto const& row : packet_table()) {
        if (!is_from_client(row, version) || row.is_good()) continue;
        auto const frame = row.bytes();
        auto header = mqtt::read_fixed_header(frame, 0xFFFF'FFFF);
        // What is not one whole packet is shown by cutting, below.
        if (header && (!*header || (*header)->packet_size() != frame.size())) continue;
        CAPTURE(row.name);
        is_not_taken(s, version, frame);
    }
}

TEST_CASE("bad packets: each good row cut at every byte, and one byte longer",
          "[v3.1.1][MQTT-4.8.0-1][MQTT-3.1.4-1][MQTT-3.2.2-6][v5.0][MQTT-4.13.1-1]"
          "[MQTT-3.1.4-1][MQTT-2.2.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (auto const& row : packet_table()) {
        if (!is_from_client(row, version) || !row.is_good()) continue;
        auto const frame = row.bytes();
        auto const body = body_of(frame);
        for (std::size_t size = 0; size < body.size(); ++size) {
            auto const cut = with_body(frame, body.first(size));
            if (mqtt::decode(cut, version, mqtt::Sender::client)) {
                // A shorter packet that is one: the table names them, or it is in the payload.
                bool named = std::find(row.good_cuts.begin(), row.good_cuts.end(), size) !=
                             row.good_cuts.end();
                REQUIRE((named || is_publish(frame)));
                continue;
            }
            CAPTURE(row.name, size);
            is_not_taken(s, version, cut);
        }
        if (is_publish(frame)) continue;  // its payload is longer then
        Buffer longer{body.begin(), body.end()};
        longer.push_back(std::byte{0});
        CAPTURE(row.name, "longer");
        if (mqtt::decode(with_body(frame, longer), version, mqtt::Sender::client)) continue;
        is_not_taken(s, version, with_body(frame, longer));
    }
}

TEST_CASE("bad packets: half a packet is waited for, and drops with its connection",
          "[v3.1.1][MQTT-4.8.0-1][v5.0][MQTT-4.13.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.connected("a", version);
    auto const whole = a.encoded(publish(s.topic("t"), "x", qos1, 5));
    for (std::size_t size = 1; size < whole.size(); ++size) {
        a.sends_bytes(Bytes{whole}.first(size)).drops();
        a.sends(connect(version)).gets(connack());
    }
    b.gets_nothing_of(a);
    for (auto byte : whole) a.sends_bytes(Bytes{&byte, 1});
    a.gets(puback(5));
    b.receives(publish(s.topic("t"), "x", qos1));
}
