#include "tests/support/packet_table.hpp"

#include <algorithm>
#include <catch2/catch.hpp>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/codec/framing.hpp"
#include "protocol/codec/publish_view.hpp"
#include "tests/support/describe.hpp"

namespace spoke::mqtt {
namespace {

using test::describe;
using test::PacketRow;

constexpr std::uint32_t kNoLimit = 0xFFFF'FFFF;

Result<Packet> decode_row(PacketRow const& row, Bytes frame) {
    return decode(frame, row.version, row.sender);
}

Buffer encode_row(PacketRow const& row) {
    Buffer out;
    encode(*row.value, row.version, out);
    return out;
}

/// Whether the packet may end after `size` bytes of its body and be good: what the row says, and a
/// payload may end anywhere.
bool is_good_cut(PacketRow const& row, std::size_t size, std::size_t whole) {
    if (auto const* publish = std::get_if<Publish>(&*row.value)) {
        return size >= whole - publish->payload.size();
    }
    return std::find(row.good_cuts.begin(), row.good_cuts.end(), size) != row.good_cuts.end();
}

}  // namespace

TEST_CASE(
    "Packet table: good rows decode to their value, bad ones to their error",
    "[v3.1.1][MQTT-1.5.3-1][MQTT-1.5.3-2][MQTT-2.2.2-2][MQTT-2.3.1-1][MQTT-3.1.2-1][MQTT-3.1.2-3]"
    "[MQTT-3.1.3-3][MQTT-3.1.3-4][MQTT-3.3.1-2][MQTT-3.3.1-4][MQTT-3.3.2-1][MQTT-3.3.2-2]"
    "[MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.8.3-1][MQTT-3.8.3-3][MQTT-3.8.3-4][MQTT-3.10.1-1]"
    "[MQTT-3.10.3-1][MQTT-3.10.3-2][MQTT-3.14.1-1][MQTT-4.7.1-1][MQTT-4.7.3-1]"
    "[v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2][MQTT-1.5.5-1][MQTT-1.5.7-1][MQTT-2.1.3-1][MQTT-2.2.1-3]"
    "[MQTT-2.2.2-1][MQTT-3.1.2-1][MQTT-3.1.2-3][MQTT-3.1.3-4][MQTT-3.3.1-2][MQTT-3.3.1-4]"
    "[MQTT-3.3.2-1][MQTT-3.3.2-2][MQTT-3.3.2-8][MQTT-3.3.2-13][MQTT-3.3.2-14][MQTT-3.3.2-19]"
    "[MQTT-3.3.4-6][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.8.3-1][MQTT-3.8.3-2][MQTT-3.8.3-4]"
    "[MQTT-3.8.3-5][MQTT-3.10.1-1][MQTT-3.10.3-1][MQTT-3.10.3-2][MQTT-3.14.1-1][MQTT-3.15.1-1]"
    "[MQTT-4.7.0-1][MQTT-4.7.3-1]") {
    for (auto const& row : test::packet_table()) {
        CAPTURE(row.name);
        auto bytes = row.bytes();
        auto result = decode_row(row, bytes);
        if (row.is_good()) {
            CHECK(describe(result) == "good");
            CHECK((result && *result == *row.value));
        } else {
            CHECK(describe(result) == describe(row.reason, row.rule));
            if (!result) CHECK(result.error().offset <= bytes.size());
        }
    }
}

TEST_CASE("Packet table: values are written in the shortest form and read back") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good()) continue;
        CAPTURE(row.name);
        auto written = encode_row(row);
        CHECK((written == row.bytes()) == row.is_shortest);
        CHECK(written.size() <= row.bytes().size());
        auto again = decode_row(row, written);
        CHECK((again && *again == *row.value));
    }
}

TEST_CASE("Packet table: encoding appends and leaves alone what is there") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good()) continue;
        CAPTURE(row.name);
        Buffer out = to_buffer("before");
        encode(*row.value, row.version, out);
        CHECK(as_text(Bytes{out}.first(6)) == "before");
        CHECK(Buffer(out.begin() + 6, out.end()) == encode_row(row));
    }
}

TEST_CASE("Packet table: framing knows the size of each packet as soon as the header is there") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good()) continue;
        CAPTURE(row.name);
        auto bytes = row.bytes();
        std::size_t header_size = 0;
        for (std::size_t size = 0; size <= bytes.size(); ++size) {
            auto header = read_fixed_header(Bytes{bytes}.first(size), kNoLimit);
            REQUIRE(header);
            if (!*header) {
                CHECK(header_size == 0);
                CHECK(size < 5);
                continue;
            }
            if (header_size == 0) header_size = size;
            CHECK((*header)->header_size == header_size);
            CHECK((*header)->packet_size() == bytes.size());
        }
        CHECK(header_size >= 2);
    }
}

TEST_CASE("Packet table: a frame that is shorter or longer than it says is malformed") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good()) continue;
        auto bytes = row.bytes();
        for (std::size_t size = 0; size < bytes.size(); ++size) {
            CAPTURE(row.name, size);
            auto result = decode_row(row, Bytes{bytes}.first(size));
            CHECK(describe(result) == "malformed packet: packet is not as long as it says");
        }
        bytes.push_back({});
        CAPTURE(row.name);
        CHECK(describe(decode_row(row, bytes)) ==
              "malformed packet: packet is not as long as it says");
    }
}

TEST_CASE(
    "Packet table: each row cut at every byte of its body is refused or another packet",
    "[v3.1.1][MQTT-3.1.2-9][MQTT-3.1.2-19][MQTT-3.1.2-21][MQTT-3.1.3-3]"
    "[v5.0][MQTT-2.2.2-1][MQTT-3.1.2-9][MQTT-3.1.2-17][MQTT-3.1.2-19][MQTT-3.1.3-3][gotcha-21]") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good()) continue;
        auto bytes = row.bytes();
        auto body = test::body_of(bytes);
        for (std::size_t size = 0; size < body.size(); ++size) {
            CAPTURE(row.name, size);
            auto cut = test::frame_of(static_cast<std::uint8_t>(bytes[0]), body.first(size));
            auto result = decode_row(row, cut);
            CHECK((describe(result) == "good") == is_good_cut(row, size, body.size()));
            if (!result) CHECK(result.error().offset <= cut.size());
            // The longer form of an acknowledgement may say the same as the shorter one.
            if (result && row.is_shortest) CHECK_FALSE(*result == *row.value);
        }
    }
}

TEST_CASE("Packet table: each row with one byte more is refused, but for a payload",
          "[v3.1.1][MQTT-3.1.2-18][MQTT-3.1.2-20][MQTT-3.1.4-1]"
          "[v5.0][MQTT-3.1.2-16][MQTT-3.1.2-18][MQTT-3.1.4-1][gotcha-21]") {
    for (auto const& row : test::packet_table()) {
        if (!row.is_good() || row.name == "CONNECT 3.1, ends before the user name it promises" ||
            row.name == "CONNECT 3.1, ends before the password it promises") {
            continue;
        }
        for (auto more : {0x00, 0xFF}) {
            CAPTURE(row.name, more);
            auto bytes = row.bytes();
            auto body = test::body_of(bytes);
            Buffer longer{body.begin(), body.end()};
            longer.push_back(std::byte(more));
            auto frame = test::frame_of(static_cast<std::uint8_t>(bytes[0]), longer);
            auto result = decode_row(row, frame);
            auto type = bytes[0] >> 4;
            // A byte 0 may be one more reason code, or the properties that were left out.
            auto may_be_good = more == 0 && (type == std::byte{9} || type == std::byte{11} ||
                                             !row.good_cuts.empty() || body.size() <= 2);
            if (std::holds_alternative<Publish>(*row.value)) {
                CHECK(describe(result) == "good");
            } else if (!may_be_good) {
                CHECK(describe(result) != "good");
            }
        }
    }
}

TEST_CASE("Packet table: the view of a PUBLISH shows what the value holds") {
    for (auto const& row : test::packet_table()) {
        auto bytes = row.bytes();
        if (bytes.empty() || (bytes[0] >> 4) != std::byte{3}) continue;
        CAPTURE(row.name);
        auto view = decode_publish(bytes, row.version, row.sender);
        auto packet = decode_row(row, bytes);
        CHECK(describe(view) == describe(packet));
        if (!view) {
            CHECK(view.error() == packet.error());
            continue;
        }
        auto const& publish = std::get<Publish>(*row.value);
        CHECK(view->topic == publish.topic);
        CHECK(std::equal(view->payload.begin(), view->payload.end(), publish.payload.begin(),
                         publish.payload.end()));
        CHECK(view->qos == publish.qos);
        CHECK(view->retain == publish.retain);
        CHECK(view->dup == publish.dup);
        CHECK(view->id == publish.id);
        CHECK(view->topic_alias == publish.topic_alias);
        CHECK(view->message_expiry_interval == publish.properties.message_expiry_interval);
    }
}

TEST_CASE("Packet table: names are unique and found again") {
    for (auto const& row : test::packet_table()) CHECK(&test::packet_row(row.name) == &row);
    CHECK_THROWS(test::packet_row("no such row"));
}

TEST_CASE("Packet text: what is written is what comes out, and nonsense throws") {
    CHECK(test::bytes_of("2A 00FF # comment ) '\n 'ab' s'c'") ==
          to_buffer(std::string_view{"\x2A\x00\xFF"
                                     "ab\x00\x01"
                                     "c",
                                     8}));
    CHECK(test::bytes_of("( 01 ( 02 ) )") == to_buffer("\x03\x01\x01\x02"));
    for (auto const* text : {"(", ")", "'a", "A", "0x1", "ab"}) {
        CAPTURE(text);
        CHECK_THROWS(test::bytes_of(text));
    }
}

}  // namespace spoke::mqtt
