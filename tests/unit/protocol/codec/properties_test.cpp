#include <catch2/catch.hpp>
#include <set>
#include <sstream>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "protocol/packet/property_table.hpp"
#include "tests/support/bad_utf8.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;
using test::describe;

/// MQTT 5, table 2-4, copied out by hand: id, type, and the packets it names.
struct SpecRow {
    unsigned id;
    char const* type;
    char const* places;
};

constexpr SpecRow kSpec[] = {
    {0x01, "byte", "PUBLISH Will"},
    {0x02, "four", "PUBLISH Will"},
    {0x03, "string", "PUBLISH Will"},
    {0x08, "topic", "PUBLISH Will"},
    {0x09, "binary", "PUBLISH Will"},
    {0x0B, "variable", "PUBLISH SUBSCRIBE"},
    {0x11, "four", "CONNECT CONNACK DISCONNECT"},
    {0x12, "string", "CONNACK"},
    {0x13, "two", "CONNACK"},
    {0x15, "string", "CONNECT CONNACK AUTH"},
    {0x16, "binary", "CONNECT CONNACK AUTH"},
    {0x17, "byte", "CONNECT"},
    {0x18, "four", "Will"},
    {0x19, "byte", "CONNECT"},
    {0x1A, "string", "CONNACK"},
    {0x1C, "string", "CONNACK DISCONNECT"},
    {0x1F, "string", "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH"},
    {0x21, "two", "CONNECT CONNACK"},
    {0x22, "two", "CONNECT CONNACK"},
    {0x23, "two", "PUBLISH"},
    {0x24, "byte", "CONNACK"},
    {0x25, "byte", "CONNACK"},
    {0x26, "pair",
     "CONNECT CONNACK PUBLISH Will PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE "
     "UNSUBACK "
     "DISCONNECT AUTH"},
    {0x27, "four", "CONNECT CONNACK"},
    {0x28, "byte", "CONNACK"},
    {0x29, "byte", "CONNACK"},
    {0x2A, "byte", "CONNACK"},
};

SpecRow const* spec_of(unsigned id) {
    for (auto const& row : kSpec) {
        if (row.id == id) return &row;
    }
    return nullptr;
}

/// A packet that is good with any property field in the place of `properties`.
struct Skeleton {
    std::string_view place;
    std::string_view senders;  // "c", "s" or both
    std::uint8_t first;
    std::string_view before;
    std::string_view after;
};

constexpr Skeleton kSkeletons[] = {
    {"CONNECT", "c", 0x10, "s'MQTT' 05 02 0000", "s'x'"},
    {"Will", "c", 0x10, "s'MQTT' 05 06 0000 00 s'x'", "s't' s'p'"},
    {"CONNACK", "s", 0x20, "00 00", ""},
    {"PUBLISH", "cs", 0x30, "s't'", "'payload'"},
    {"PUBACK", "cs", 0x40, "0001 00", ""},
    {"PUBREC", "cs", 0x50, "0001 00", ""},
    {"PUBREL", "cs", 0x62, "0001 00", ""},
    {"PUBCOMP", "cs", 0x70, "0001 00", ""},
    {"SUBSCRIBE", "c", 0x82, "0001", "s't' 00"},
    {"SUBACK", "s", 0x90, "0001", "00"},
    {"UNSUBSCRIBE", "c", 0xA2, "0001", "s't'"},
    {"UNSUBACK", "s", 0xB0, "0001", "00"},
    {"DISCONNECT", "cs", 0xE0, "00", ""},
    {"AUTH", "cs", 0xF0, "18", ""},
};

bool is_in(std::string_view words, std::string_view word) {
    std::istringstream stream{std::string{words}};
    for (std::string each; stream >> each;) {
        if (each == word) return true;
    }
    return false;
}

void append(Buffer& out, Bytes bytes) {
    out.insert(out.end(), bytes.begin(), bytes.end());
}

Buffer frame_with(Skeleton const& skeleton, Bytes properties) {
    auto body = bytes_of(skeleton.before);
    Buffer length(4);
    auto* end =
        write_variable_byte_integer(static_cast<std::uint32_t>(properties.size()), length.data());
    append(body, {length.data(), end});
    append(body, properties);
    append(body, bytes_of(skeleton.after));
    return test::frame_of(skeleton.first, body);
}

/// The property with a value that is good wherever it may stand.
Buffer property_of(SpecRow const& row) {
    Buffer out{std::byte(row.id)};
    auto type = std::string_view{row.type};
    append(out, bytes_of(type == "byte"       ? "01"
                         : type == "two"      ? "0102"
                         : type == "four"     ? "01020304"
                         : type == "variable" ? "8101"
                         : type == "pair"     ? "s'key' s'value'"
                         : type == "binary"   ? "0003 00FF80"
                                              : "s'text'"));
    return out;
}

/// AUTH must name its method, and data need one: put before the property under test, where it is
/// another.
Buffer with_method(Skeleton const& skeleton, unsigned id, Buffer property) {
    if (id == 0x15 || (skeleton.place != "AUTH" && id != 0x16)) return property;
    if (!is_in("AUTH CONNECT CONNACK", skeleton.place)) return property;
    auto out = bytes_of("15 s'm'");
    append(out, property);
    return out;
}

/// What the one-way rules say, beyond table 2-4.
bool goes_one_way(Skeleton const& skeleton, unsigned id, Sender sender) {
    if (skeleton.place == "PUBLISH" && id == 0x0B) return sender == Sender::client;
    if (skeleton.place == "DISCONNECT" && id == 0x1C) return sender == Sender::client;
    if (skeleton.place == "DISCONNECT" && id == 0x11) return sender == Sender::server;
    return false;
}

ReasonCode reason_of(Result<Packet> const& result) {
    return result ? ReasonCode::success : result.error().reason;
}

/// Every place with every sender who may write such a packet.
template <class Visit>
void for_each_skeleton(Visit visit) {
    for (auto const& skeleton : kSkeletons) {
        for (auto sender : {Sender::client, Sender::server}) {
            if (skeleton.senders.find(sender == Sender::client ? 'c' : 's') ==
                std::string_view::npos)
                continue;
            CAPTURE(skeleton.place, static_cast<int>(sender));
            visit(skeleton, sender);
        }
    }
}

}  // namespace

TEST_CASE("Properties: every id in every packet, once",
          "[v5.0][MQTT-3.1.4-1][MQTT-3.3.4-6][MQTT-3.14.2-2][gotcha-23]") {
    for_each_skeleton([](Skeleton const& skeleton, Sender sender) {
        for (unsigned id = 0; id < 128; ++id) {
            CAPTURE(id);
            auto const* row = spec_of(id);
            auto property = row ? property_of(*row) : Buffer{std::byte(id), std::byte{1}};
            auto frame = frame_with(skeleton, with_method(skeleton, id, property));
            auto result = decode(frame, Version::v5, sender);
            if (!row || !is_in(row->places, skeleton.place)) {
                CHECK(describe(result) ==
                      (row ? "malformed packet: property does not belong in this packet"
                           : "malformed packet: unknown property"));
            } else if (goes_one_way(skeleton, id, sender)) {
                CHECK(reason_of(result) == ReasonCode::protocol_error);
            } else {
                REQUIRE(describe(result) == "good");
                // One property has one order, so that a value which comes back is the value which
                // was sent.
                Buffer again;
                encode(*result, Version::v5, again);
                CHECK(again == frame);
            }
        }
    });
}

TEST_CASE(
    "Properties: every one twice, where only user property and, to a client, subscription "
    "identifier may",
    "[v5.0][MQTT-3.1.4-1][MQTT-4.13.1-1][gotcha-23]") {
    for_each_skeleton([](Skeleton const& skeleton, Sender sender) {
        for (auto const& row : kSpec) {
            if (!is_in(row.places, skeleton.place) || goes_one_way(skeleton, row.id, sender))
                continue;
            CAPTURE(row.id);
            auto properties = with_method(skeleton, row.id, property_of(row));
            append(properties, property_of(row));
            auto result = decode(frame_with(skeleton, properties), Version::v5, sender);
            auto may_repeat = row.id == 0x26 || (row.id == 0x0B && skeleton.place == "PUBLISH");
            CHECK(describe(result) ==
                  (may_repeat ? "good" : "protocol error: property given twice"));
        }
    });
}

TEST_CASE("Properties: every one cut at each of its bytes, in the field and in the packet",
          "[v5.0][MQTT-3.1.4-1][gotcha-23]") {
    for_each_skeleton([](Skeleton const& skeleton, Sender sender) {
        for (auto const& row : kSpec) {
            if (!is_in(row.places, skeleton.place) || goes_one_way(skeleton, row.id, sender))
                continue;
            auto property = property_of(row);
            for (std::size_t size = 1; size < property.size(); ++size) {
                CAPTURE(row.id, size);
                auto cut =
                    with_method(skeleton, row.id,
                                {property.begin(), property.begin() + static_cast<long>(size)});
                CHECK(reason_of(decode(frame_with(skeleton, cut), Version::v5, sender)) ==
                      ReasonCode::malformed_packet);
            }
        }
    });
}

TEST_CASE("Properties: no string of any, in any packet, is ill-formed UTF-8 or holds NUL",
          "[v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2][MQTT-1.5.7-1][gotcha-20]") {
    auto string_of = [](std::string const& text) {
        Buffer out{std::byte(text.size() >> 8), std::byte(text.size() & 0xFF)};
        append(out, as_bytes(text));
        return out;
    };
    for_each_skeleton([&](Skeleton const& skeleton, Sender sender) {
        for (auto const& row : kSpec) {
            if (!is_in(row.places, skeleton.place) || goes_one_way(skeleton, row.id, sender))
                continue;
            auto type = std::string_view{row.type};
            bool is_binary = type == "binary";
            if (!is_binary && type != "string" && type != "topic" && type != "pair") continue;
            for (auto const& bad : test::bad_utf8()) {
                for (int half = 0; half < (type == "pair" ? 2 : 1); ++half) {
                    CAPTURE(row.id, test::hex_of(bad), half);
                    Buffer property{std::byte(row.id)};
                    append(property, string_of(half == 0 ? bad : "good"));
                    if (type == "pair") append(property, string_of(half == 1 ? bad : "good"));
                    auto frame = frame_with(skeleton, with_method(skeleton, row.id, property));
                    CHECK(reason_of(decode(frame, Version::v5, sender)) ==
                          (is_binary ? ReasonCode::success : ReasonCode::malformed_packet));
                }
            }
        }
    });
}

TEST_CASE("Properties: values out of their range",
          "[v5.0][MQTT-3.3.2-8][MQTT-3.3.2-14][gotcha-24]") {
    struct Case {
        unsigned id;
        char const* value;
        ReasonCode reason;
    };
    auto const protocol_error = ReasonCode::protocol_error;
    auto const malformed = ReasonCode::malformed_packet;
    Case const cases[] = {
        {0x01, "02", protocol_error},       {0x01, "FF", protocol_error},
        {0x08, "s'a/+'", protocol_error},   {0x08, "s'#'", protocol_error},
        {0x08, "s''", protocol_error},      {0x0B, "00", protocol_error},
        {0x0B, "8100", malformed},          {0x0B, "FFFFFFFF01", malformed},
        {0x17, "02", protocol_error},       {0x19, "02", protocol_error},
        {0x21, "0000", protocol_error},     {0x23, "0000", ReasonCode::topic_alias_invalid},
        {0x24, "02", protocol_error},       {0x25, "02", protocol_error},
        {0x27, "00000000", protocol_error}, {0x28, "02", protocol_error},
        {0x29, "02", protocol_error},       {0x2A, "80", protocol_error},
    };
    for_each_skeleton([&](Skeleton const& skeleton, Sender sender) {
        for (auto const& [id, value, reason] : cases) {
            if (!is_in(spec_of(id)->places, skeleton.place) || goes_one_way(skeleton, id, sender))
                continue;
            CAPTURE(id, value);
            Buffer property{std::byte(id)};
            append(property, bytes_of(value));
            CHECK(reason_of(decode(frame_with(skeleton, property), Version::v5, sender)) == reason);
        }
    });
}

TEST_CASE("Properties: the borders of their ranges are good", "[gotcha-24]") {
    struct Case {
        unsigned id;
        char const* value;
    };
    Case const cases[] = {
        {0x01, "00"},       {0x02, "00000000"}, {0x02, "FFFFFFFF"}, {0x03, "s''"},
        {0x09, "0000"},     {0x0B, "01"},       {0x0B, "FFFFFF7F"}, {0x11, "00000000"},
        {0x11, "FFFFFFFF"}, {0x13, "0000"},     {0x17, "00"},       {0x18, "FFFFFFFF"},
        {0x19, "00"},       {0x1F, "s''"},      {0x21, "0001"},     {0x21, "FFFF"},
        {0x22, "0000"},     {0x23, "0001"},     {0x23, "FFFF"},     {0x24, "00"},
        {0x26, "s'' s''"},  {0x27, "00000001"}, {0x27, "FFFFFFFF"}, {0x2A, "00"},
    };
    for_each_skeleton([&](Skeleton const& skeleton, Sender sender) {
        for (auto const& [id, value] : cases) {
            if (!is_in(spec_of(id)->places, skeleton.place) || goes_one_way(skeleton, id, sender))
                continue;
            CAPTURE(id, value);
            Buffer property{std::byte(id)};
            append(property, bytes_of(value));
            auto frame = frame_with(skeleton, with_method(skeleton, id, property));
            auto result = decode(frame, Version::v5, sender);
            REQUIRE(describe(result) == "good");
            Buffer again;
            encode(*result, Version::v5, again);
            CHECK(again == frame);
        }
    });
}

TEST_CASE("Properties: data without a method, in CONNECT, CONNACK and AUTH", "[gotcha-23]") {
    for_each_skeleton([](Skeleton const& skeleton, Sender sender) {
        if (!is_in("CONNECT CONNACK AUTH", skeleton.place)) return;
        auto result = decode(frame_with(skeleton, bytes_of("16 0001 00")), Version::v5, sender);
        CHECK(reason_of(result) == ReasonCode::protocol_error);
    });
}

TEST_CASE("Properties: 3.1.1 knows none", "[v3.1.1][MQTT-3.1.4-1]") {
    CHECK_FALSE(decode(bytes_of("82 ( 0001 00 s't' 00 )"), Version::v3_1_1, Sender::client));
    CHECK_FALSE(
        decode(bytes_of("10 ( s'MQTT' 04 02 0000 00 s'x' )"), Version::v3_1_1, Sender::client));
    auto publish = decode(bytes_of("30 ( s't' 00 'x' )"), Version::v3_1_1, Sender::client);
    REQUIRE(publish);
    CHECK(std::get<Publish>(*publish).payload == bytes_of("00 'x'"));
}

TEST_CASE("Property table: the rows of table 2-4 and no more") {
    CHECK(kPropertyTable.size() == std::size(kSpec));
    for (auto const& row : kSpec) {
        auto const* found = find_property_row(static_cast<std::uint8_t>(row.id));
        REQUIRE(found);
        CHECK(static_cast<unsigned>(found->id) == row.id);
        CHECK(&property_row(found->id) == found);
    }
    CHECK_FALSE(find_property_row(0));
    CHECK_FALSE(find_property_row(kPropertyIdEnd));
    CHECK_FALSE(find_property_row(255));
}

}  // namespace spoke::mqtt
