#include "protocol/codec/framing.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;
using test::describe;

constexpr std::uint32_t kNoLimit = 0xFFFF'FFFF;

/// MQTT 5, table 2-2, and 3.3.1 for PUBLISH.
std::string flags_of_type(unsigned type) {
    switch (type) {
        case 0:
            return "";
        case 3:
            return "0 1 2 3 4 5 10 11 12 13 ";
        case 6:
        case 8:
        case 10:
            return "2 ";
        default:
            return "0 ";
    }
}

}  // namespace

TEST_CASE(
    "Framing: of all 256 first bytes those pass that the tables name",
    "[v3.1.1][MQTT-2.2.2-2][MQTT-3.3.1-2][MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1]"
    "[MQTT-3.14.1-1][v5.0][MQTT-2.1.3-1][MQTT-3.3.1-2][MQTT-3.3.1-4][MQTT-3.6.1-1][MQTT-3.8.1-1]"
    "[MQTT-3.10.1-1][MQTT-3.14.1-1][MQTT-3.15.1-1]") {
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    for (unsigned type = 0; type < 16; ++type) {
        std::string framed;
        std::string decoded;
        for (unsigned flags = 0; flags < 16; ++flags) {
            Buffer frame{std::byte(type << 4 | flags), std::byte{0}};
            auto header = read_fixed_header(frame, kNoLimit);
            if (header) {
                REQUIRE(*header);
                CHECK((*header)->type() == PacketType(type));
                CHECK((*header)->flags() == flags);
                framed += std::to_string(flags) + ' ';
            }
            // A body of nothing is wrong for most packets, but never because of the flags.
            auto packet = decode(frame, version, Sender::client);
            auto is_about_flags = !packet && packet.error().offset == 0 &&
                                  packet.error().reason == ReasonCode::malformed_packet;
            if (!is_about_flags) decoded += std::to_string(flags) + ' ';
        }
        CAPTURE(type);
        auto expected = flags_of_type(type);
        // MQTT 3.1 marks a repeated request with DUP; before CONNECT is read nobody knows the
        // version.
        auto with_dup = expected == "2 " ? "2 10 " : expected;
        CHECK(framed == with_dup);
        if (type == 15 && version != Version::v5) expected.clear();
        CHECK(decoded == (version == Version::v3_1 ? (type == 15 ? "" : with_dup) : expected));
    }
}

TEST_CASE("Framing: remaining lengths at the borders of their forms", "[v5.0][MQTT-1.5.5-1]") {
    struct Case {
        char const* text;
        std::uint32_t length;
    };
    for (auto [text, length] :
         {Case{"30 00", 0}, Case{"30 7F", 127}, Case{"30 8001", 128}, Case{"30 FF7F", 16'383},
          Case{"30 808001", 16'384}, Case{"30 FFFF7F", 2'097'151}, Case{"30 80808001", 2'097'152},
          Case{"30 FFFFFF7F", 268'435'455}}) {
        auto bytes = bytes_of(text);
        auto header = read_fixed_header(bytes, kNoLimit);
        REQUIRE(header);
        REQUIRE(*header);
        CHECK((*header)->remaining_length == length);
        CHECK((*header)->header_size == bytes.size());
        CHECK((*header)->packet_size() == bytes.size() + length);
        CHECK(variable_byte_integer_size(length) == bytes.size() - 1);
        Buffer written(5);
        auto* end = write_variable_byte_integer(length, written.data());
        written.resize(static_cast<std::size_t>(end - written.data()));
        CHECK(written == Buffer(bytes.begin() + 1, bytes.end()));
    }
}

TEST_CASE("Framing: a length that is not in its shortest form, or has a fifth byte, is malformed",
          "[v5.0][MQTT-1.5.5-1][v3.1.1][MQTT-4.8.0-1][gotcha-19]") {
    for (auto const* text : {"C0 8000", "30 808000", "30 80808000", "30 FF00", "30 80808080",
                             "30 FFFFFFFF", "30 FFFFFFFF01"}) {
        CAPTURE(text);
        CHECK(describe(read_fixed_header(bytes_of(text), kNoLimit)) ==
              "malformed packet: MQTT-1.5.5-1");
    }
}

TEST_CASE("Framing: too little input is not judged") {
    for (auto const* text : {"", "30", "30 80", "30 FFFF", "30 FFFFFF"}) {
        CAPTURE(text);
        auto header = read_fixed_header(bytes_of(text), 2);
        REQUIRE(header);
        CHECK_FALSE(*header);
    }
    // But wrong flags are, at the first byte.
    CHECK_FALSE(read_fixed_header(bytes_of("36"), kNoLimit));
    CHECK_FALSE(read_fixed_header(bytes_of("00"), kNoLimit));
}

TEST_CASE("Framing: the limit counts the whole packet and is judged on the header alone",
          "[v5.0][MQTT-3.2.2-15]") {
    auto header_only = bytes_of("30 8001");  // a packet of 131 bytes
    CHECK(read_fixed_header(header_only, 131));
    auto refused = read_fixed_header(header_only, 130);
    CHECK(describe(refused) == "packet too large: MQTT-3.2.2-15");
    CHECK(refused.error().offset == 1);
    CHECK(describe(read_fixed_header(bytes_of("30 FFFFFF7F"), 268'435'459)) ==
          "packet too large: MQTT-3.2.2-15");
    CHECK(read_fixed_header(bytes_of("30 FFFFFF7F"), 268'435'460));
    CHECK(describe(read_fixed_header(bytes_of("C0 00"), 1)) == "packet too large: MQTT-3.2.2-15");
}

TEST_CASE("Decode error: value() of a failed result is our own mistake") {
    auto failed = decode(bytes_of("00 00"), Version::v5, Sender::client);
    CHECK(failed.has_error());
}

}  // namespace spoke::mqtt
