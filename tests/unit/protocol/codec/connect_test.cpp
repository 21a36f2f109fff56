#include <catch2/catch.hpp>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;
using test::describe;

/// What a connect flags byte asks for (3.1.2.3).
struct Flags {
    explicit Flags(unsigned byte)
        : reserved((byte & 0x01) != 0),
          clean_start((byte & 0x02) != 0),
          will((byte & 0x04) != 0),
          will_qos(byte >> 3 & 3),
          will_retain((byte & 0x20) != 0),
          password((byte & 0x40) != 0),
          user_name((byte & 0x80) != 0) {}

    bool are_good_in(Version version) const {
        bool is_strict = version != Version::v3_1;  // which does not look at what it has no use for
        if (is_strict && reserved) return false;
        if (is_strict && !will && (will_qos != 0 || will_retain)) return false;
        if (will && will_qos == 3) return false;
        return version == Version::v5 || user_name || !password;
    }

    bool reserved, clean_start, will;
    unsigned will_qos;
    bool will_retain, password, user_name;
};

std::vector<Buffer> fields_for(Flags flags, Version version) {
    std::vector<Buffer> fields{bytes_of("s'bike-7'")};
    if (flags.will && version == Version::v5) fields.push_back(bytes_of("00"));
    if (flags.will) fields.push_back(bytes_of("s'w/t'"));
    if (flags.will) fields.push_back(bytes_of("s'gone'"));
    if (flags.user_name) fields.push_back(bytes_of("s'joe'"));
    if (flags.password) fields.push_back(bytes_of("s'secret'"));
    return fields;
}

Buffer connect_frame(unsigned flags, Version version, std::vector<Buffer> const& fields) {
    auto body = bytes_of(version == Version::v3_1 ? "s'MQIsdp'" : "s'MQTT'");
    body.push_back(std::byte(version));
    body.push_back(std::byte(flags));
    auto keep_alive = bytes_of("003C");
    body.insert(body.end(), keep_alive.begin(), keep_alive.end());
    if (version == Version::v5) body.push_back({});
    for (auto const& field : fields) body.insert(body.end(), field.begin(), field.end());
    return test::frame_of(0x10, body);
}

Result<Packet> decode_connect(Bytes frame) {
    return decode(frame, Version::v3_1, Sender::client);
}

}  // namespace

TEST_CASE(
    "CONNECT: all 256 flag bytes against a model",
    "[v3.1.1][MQTT-3.1.2-3][MQTT-3.1.2-9][MQTT-3.1.2-11][MQTT-3.1.2-13][MQTT-3.1.2-14][MQTT-3.1.2-"
    "15]"
    "[MQTT-3.1.2-18][MQTT-3.1.2-19][MQTT-3.1.2-20][MQTT-3.1.2-21][MQTT-3.1.2-22][MQTT-3.1.3-1]"
    "[v5.0][MQTT-3.1.2-3][MQTT-3.1.2-9][MQTT-3.1.2-11][MQTT-3.1.2-12][MQTT-3.1.2-13][MQTT-3.1.2-16]"
    "[MQTT-3.1.2-17][MQTT-3.1.2-18][MQTT-3.1.2-19][MQTT-3.1.3-1]") {
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    for (unsigned byte = 0; byte < 256; ++byte) {
        Flags flags{byte};
        CAPTURE(static_cast<int>(version), byte);
        auto fields = fields_for(flags, version);
        auto result = decode_connect(connect_frame(byte, version, fields));
        if (!flags.are_good_in(version)) {
            REQUIRE_FALSE(result);
            CHECK(result.error().reason == ReasonCode::malformed_packet);
            continue;
        }
        REQUIRE(describe(result) == "good");
        Connect expected{.version = version,
                         .client_id = "bike-7",
                         .clean_start = flags.clean_start,
                         .keep_alive = 60};
        if (flags.will) {
            expected.will = Will{.topic = "w/t",
                                 .payload = to_buffer("gone"),
                                 .qos = Qos(flags.will_qos),
                                 .retain = flags.will_retain};
        }
        if (flags.user_name) expected.user_name = "joe";
        if (flags.password) expected.password = to_buffer("secret");
        CHECK(std::get<Connect>(*result) == expected);

        auto one_more = fields;
        one_more.push_back(bytes_of("s'more'"));
        CHECK(describe(decode_connect(connect_frame(byte, version, one_more))) ==
              "malformed packet: bytes behind the last field");
        // 3.1 lets the packet end before user name and password.
        if (version == Version::v3_1 && (flags.user_name || flags.password)) continue;
        while (!fields.empty()) {
            fields.pop_back();
            CHECK_FALSE(decode_connect(connect_frame(byte, version, fields)));
        }
    }
}

TEST_CASE("CONNECT: names and levels", "[v3.1.1][MQTT-3.1.2-1][v5.0][MQTT-3.1.2-1]") {
    for (std::string_view name : {"MQTT", "MQIsdp", "mqtt", "MQTX", "MQTTT", "MQT", "", "MQISDP"}) {
        for (unsigned level = 0; level < 256; ++level) {
            CAPTURE(name, level);
            Buffer body{std::byte{0}, std::byte(name.size())};
            for (char character : name) body.push_back(std::byte(character));
            body.push_back(std::byte(level));
            auto rest = bytes_of(level == 5 ? "02 0000 00 s'x'" : "02 0000 s'x'");
            body.insert(body.end(), rest.begin(), rest.end());
            auto frame = test::frame_of(0x10, body);
            auto result = decode_connect(frame);
            auto is_known = name == "MQTT" || name == "MQIsdp";
            auto is_good =
                (name == "MQTT" && (level == 4 || level == 5)) || (name == "MQIsdp" && level == 3);
            CHECK(describe(result) == (is_good    ? "good"
                                       : is_known ? "unsupported protocol version: MQTT-3.1.2-2"
                                                  : "malformed packet: MQTT-3.1.2-1"));
            if (is_good) CHECK(std::get<Connect>(*result).version == Version(level));

            auto claimed = claimed_protocol_level(frame);
            auto answer = connack_version(frame);
            CHECK(claimed.has_value() == is_known);
            CHECK(answer.has_value() == is_known);
            if (is_known) {
                CHECK(*claimed == level);
                auto is_new = name == "MQTT" && (level & 0x7F) >= 5;
                CHECK(*answer == (is_new ? Version::v5 : Version::v3_1_1));
            }
        }
    }
}

TEST_CASE("CONNECT: the claimed level is seen as soon as it is there, whatever else is wrong") {
    auto frame = bytes_of("10 8002 s'MQTT' 05 FF");  // wrong flags, and most of it missing
    for (std::size_t size = 0; size <= frame.size(); ++size) {
        CAPTURE(size);
        auto is_there = size >= 10;
        CHECK(claimed_protocol_level(Bytes{frame}.first(size)).has_value() == is_there);
        CHECK(connack_version(Bytes{frame}.first(size)).has_value() == is_there);
    }
    for (auto const* text : {"30 ( s'MQTT' 05 )", "10 FFFFFFFF", "10 FFFFFFFF 05", "00", ""}) {
        CAPTURE(text);
        CHECK_FALSE(claimed_protocol_level(bytes_of(text)));
    }
}

TEST_CASE("CONNECT: offsets of errors point at the field") {
    struct Case {
        char const* text;
        std::size_t offset;
    };
    for (auto [text, offset] : {
             Case{"10 ( s'MQTX' 05 02 0000 00 s'x' )", 2},
             Case{"10 ( s'MQTT' 07 02 0000 00 s'x' )", 8},
             Case{"10 ( s'MQTT' 05 03 0000 00 s'x' )", 9},
             Case{"10 ( s'MQTT' 05 02 0000 ( 21 0000 ) s'x' )", 13},
             Case{"10 ( s'MQTT' 05 02 0000 00 0001 FF )", 13},
             Case{"10 ( s'MQTT' 05 02 0000 00 s'x' 00 )", 16},
         }) {
        CAPTURE(text);
        auto result = decode_connect(bytes_of(text));
        REQUIRE_FALSE(result);
        CHECK(result.error().offset == offset);
    }
}

TEST_CASE("CONNECT: 3.1.1 has no place for a password without a user name",
          "[v3.1.1][MQTT-3.1.2-22]") {
    Connect packet{.version = Version::v3_1_1, .client_id = "x", .password = to_buffer("secret")};
    Buffer out;
    encode(packet, out);
    auto result = decode_connect(out);
    REQUIRE(describe(result) == "good");
    CHECK_FALSE(std::get<Connect>(*result).password);
}

}  // namespace spoke::mqtt
