#include <catch2/catch.hpp>
#include <sstream>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/reason_table.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;
using test::describe;

/// The codes that sections 3.2.2.2 to 3.15.2.1 name, copied out by hand, with a packet to put them
/// into.
struct SpecRow {
    char const* name;
    Sender sender;
    std::uint8_t first;
    char const* before;
    char const* after;
    char const* codes;
    char const* rule;
};

constexpr auto kClient = Sender::client;
constexpr auto kServer = Sender::server;
constexpr auto kMethod = "( 15 s'm' )";

constexpr SpecRow kSpec[] = {
    {"CONNACK", kServer, 0x20, "00", "00",
     "00 80 81 82 83 84 85 86 87 88 89 8A 8C 90 95 97 99 9A 9B 9C 9D 9F", "MQTT-3.2.2-8"},
    {"PUBACK", kClient, 0x40, "0001", "", "00 10 80 83 87 90 91 97 99", "MQTT-3.4.2-1"},
    {"PUBACK", kServer, 0x40, "0001", "", "00 10 80 83 87 90 91 97 99", "MQTT-3.4.2-1"},
    {"PUBREC", kClient, 0x50, "0001", "", "00 10 80 83 87 90 91 97 99", "MQTT-3.5.2-1"},
    {"PUBREC", kServer, 0x50, "0001", "", "00 10 80 83 87 90 91 97 99", "MQTT-3.5.2-1"},
    {"PUBREL", kClient, 0x62, "0001", "", "00 92", "MQTT-3.6.2-1"},
    {"PUBREL", kServer, 0x62, "0001", "", "00 92", "MQTT-3.6.2-1"},
    {"PUBCOMP", kClient, 0x70, "0001", "", "00 92", "MQTT-3.7.2-1"},
    {"PUBCOMP", kServer, 0x70, "0001", "", "00 92", "MQTT-3.7.2-1"},
    {"SUBACK", kServer, 0x90, "0001 00 00", "", "00 01 02 80 83 87 8F 91 97 9E A1 A2",
     "MQTT-3.9.3-2"},
    {"UNSUBACK", kServer, 0xB0, "0001 00 11", "", "00 11 80 83 87 8F 91", "MQTT-3.11.3-2"},
    {"DISCONNECT", kClient, 0xE0, "", "", "00 04 80 81 82 83 90 93 94 95 96 97 98 99",
     "MQTT-3.14.2-1"},
    {"DISCONNECT", kServer, 0xE0, "", "",
     "00 80 81 82 83 87 89 8B 8C 8D 8E 8F 90 93 94 95 96 97 98 99 9A 9B 9C 9D 9E 9F A0 A1 A2",
     "MQTT-3.14.2-1"},
    {"AUTH", kClient, 0xF0, "", kMethod, "18 19", "MQTT-3.15.2-1"},
    {"AUTH", kServer, 0xF0, "", kMethod, "00 18", "MQTT-3.15.2-1"},
};

bool names(char const* codes, unsigned code) {
    std::istringstream stream{codes};
    for (unsigned each; stream >> std::hex >> each;) {
        if (each == code) return true;
    }
    return false;
}

Buffer frame_with(SpecRow const& row, unsigned code) {
    auto body = bytes_of(row.before);
    body.push_back(std::byte(code));
    auto after = bytes_of(row.after);
    body.insert(body.end(), after.begin(), after.end());
    return test::frame_of(row.first, body);
}

}  // namespace

TEST_CASE(
    "Reason codes: all 256 in every packet from each side",
    "[v5.0][MQTT-3.4.2-1][MQTT-3.5.2-1][MQTT-3.6.2-1][MQTT-3.14.2-1][MQTT-3.15.2-1][gotcha-25]") {
    for (auto const& row : kSpec) {
        for (unsigned code = 0; code < 256; ++code) {
            CAPTURE(row.name, static_cast<int>(row.sender), code);
            auto frame = frame_with(row, code);
            auto result = decode(frame, Version::v5, row.sender);
            CHECK(describe(result) ==
                  (names(row.codes, code) ? "good" : "protocol error: " + std::string{row.rule}));
            CHECK(may_stand(ReasonCode(code), PacketType(row.first >> 4), row.sender) ==
                  names(row.codes, code));
        }
    }
}

TEST_CASE("Reason codes: packets without one take none") {
    for (auto type : {PacketType::connect, PacketType::publish, PacketType::subscribe,
                      PacketType::unsubscribe, PacketType::pingreq, PacketType::pingresp}) {
        for (auto const& row : kReasonTable) {
            CHECK_FALSE(may_stand(row.code, type, Sender::client));
            CHECK_FALSE(may_stand(row.code, type, Sender::server));
        }
    }
    // These go one way only.
    for (auto type : {PacketType::connack, PacketType::suback, PacketType::unsuback}) {
        CHECK_FALSE(may_stand(ReasonCode::success, type, Sender::client));
    }
}

TEST_CASE("Reason codes: CONNACK of 3.1.1 says 0 to 5, or is not sent at all",
          "[v3.1.1][MQTT-3.2.2-6]") {
    for (unsigned code = 0; code < 256; ++code) {
        CAPTURE(code);
        Buffer frame{std::byte{0x20}, std::byte{2}, std::byte{0}, std::byte(code)};
        CHECK(describe(decode(frame, Version::v3_1_1, Sender::server)) ==
              (code <= 5 ? "good" : "protocol error: return code above 5"));

        Buffer out;
        encode(ConnAck{.reason = ReasonCode(code)}, Version::v3_1_1, out);
        auto return_code = connect_return_code(ReasonCode(code));
        CHECK(out.empty() == !return_code.has_value());
        if (return_code) CHECK(out.back() == std::byte(*return_code));
    }
}

TEST_CASE("Reason codes: SUBACK of 3.1.1 has 0, 1, 2 and 0x80 alone", "[v3.1.1][MQTT-3.9.3-2]") {
    for (unsigned code = 0; code < 256; ++code) {
        CAPTURE(code);
        auto frame = test::frame_of(0x90, Buffer{std::byte{0}, std::byte{1}, std::byte(code)});
        CHECK(describe(decode(frame, Version::v3_1_1, Sender::server)) ==
              (code <= 2 || code == 0x80 ? "good" : "protocol error: MQTT-3.9.3-2"));
        CHECK(describe(decode(frame, Version::v3_1, Sender::server)) ==
              (code <= 2 ? "good" : "protocol error: MQTT-3.9.3-2"));
    }
    for (auto const& row : kReasonTable) {
        if (!may_stand(row.code, PacketType::suback, Sender::server)) continue;
        SubAck packet{.id = PacketId{1}, .reasons = {row.code}};
        Buffer out;
        encode(packet, Version::v3_1_1, out);
        CHECK(out.back() == (is_error(row.code) ? std::byte{0x80} : std::byte(row.code)));
        out.clear();
        encode(packet, Version::v3_1, out);
        CHECK(out.back() == (is_error(row.code) ? std::byte{0x00} : std::byte(row.code)));
    }
}

}  // namespace spoke::mqtt
