#include "protocol/codec/encode.hpp"

#include <catch2/catch.hpp>

#include "protocol/codec/decode.hpp"
#include "tests/support/describe.hpp"
#include "tests/support/dies.hpp"
#include "tests/support/packet_table.hpp"

namespace spoke::mqtt {
namespace {

using test::bytes_of;
using test::dies;

Buffer encoded(Packet const& packet, Version version) {
    Buffer out;
    encode(packet, version, out);
    return out;
}

}  // namespace

TEST_CASE("Encode: what 3.1.1 has no place for is left out", "[v3.1.1][MQTT-3.9.3-2]") {
    auto const id = PacketId{1};
    UserProperties const user{{"k", "v"}};
    for (auto version : {Version::v3_1, Version::v3_1_1}) {
        CHECK(encoded(PubAck{id, ReasonCode::not_authorized, "no", user}, version) ==
              bytes_of("40 02 0001"));
        CHECK(encoded(PubRec{id, ReasonCode::not_authorized, "no", user}, version) ==
              bytes_of("50 02 0001"));
        CHECK(encoded(PubRel{id, ReasonCode::packet_identifier_not_found, "no", user}, version) ==
              bytes_of("62 02 0001"));
        CHECK(encoded(PubComp{id, ReasonCode::packet_identifier_not_found, "no", user}, version) ==
              bytes_of("70 02 0001"));
        CHECK(encoded(UnsubAck{id, {ReasonCode::no_subscription_existed}, "no", user}, version) ==
              bytes_of("B0 02 0001"));
        CHECK(encoded(Disconnect{ReasonCode::server_busy, 1, "no", user, "x"}, version) ==
              bytes_of("E0 00"));
        CHECK(encoded(Publish{.topic = "t",
                              .topic_alias = std::uint16_t{1},
                              .properties = {.message_expiry_interval = 1, .user_properties = user},
                              .subscription_identifiers = {1}},
                      version) == bytes_of("30 ( s't' )"));
        CHECK(encoded(Subscribe{id,
                                {{"t",
                                  {.qos = Qos::at_least_once,
                                   .no_local = true,
                                   .retain_as_published = true,
                                   .retain_handling = RetainHandling::do_not_send}}},
                                5,
                                user},
                      version) == bytes_of("82 ( 0001 s't' 01 )"));
        CHECK(encoded(Unsubscribe{id, {"t"}, user}, version) == bytes_of("A2 ( 0001 s't' )"));
    }
    CHECK(encoded(ConnAck{.session_present = true}, Version::v3_1_1) == bytes_of("20 02 01 00"));
    CHECK(encoded(ConnAck{.session_present = true}, Version::v3_1) == bytes_of("20 02 00 00"));
    CHECK(encoded(ConnAck{.topic_alias_maximum = std::uint16_t{5}, .reason_string = "x"},
                  Version::v3_1_1) == bytes_of("20 02 00 00"));
    CHECK(encoded(Connect{.version = Version::v3_1_1,
                          .client_id = "x",
                          .session_expiry_interval = 5,
                          .user_properties = user},
                  Version::v5) == bytes_of("10 ( s'MQTT' 04 02 0000 s'x' )"));
}

TEST_CASE("Encode: packet size at the borders of the length forms") {
    for (std::size_t body : {127u, 128u, 16'383u, 16'384u, 2'097'151u, 2'097'152u}) {
        Publish packet{.topic = "t", .payload = Buffer(body - 3)};
        auto out = encoded(packet, Version::v3_1_1);
        CHECK(out.size() ==
              1 + variable_byte_integer_size(static_cast<std::uint32_t>(body)) + body);
        auto result = decode(out, Version::v3_1_1, Sender::client);
        REQUIRE(test::describe(result) == "good");
        CHECK(std::get<Publish>(*result) == packet);
    }
}

TEST_CASE("Encode: property lengths of more than one byte") {
    for (std::size_t size : {1u, 120u, 121u, 122u, 128u, 16'370u, 16'384u, 65'535u}) {
        PubAck packet{.id = PacketId{1},
                      .reason_string = std::string(size, 'x'),
                      .user_properties = {{"a", "b"}}};
        auto result = decode(encoded(packet, Version::v5), Version::v5, Sender::client);
        REQUIRE(test::describe(result) == "good");
        CHECK(std::get<PubAck>(*result) == packet);
    }
}

TEST_CASE("Encode: a value that no packet can hold is our own mistake") {
    std::string const long_text(65'536, 'x');
    auto encodes = [](Packet const& packet, Version version = Version::v5) {
        return [packet, version] { (void)encoded(packet, version); };
    };
    CHECK(dies(encodes(Publish{.topic = long_text})));
    CHECK(dies(encodes(Publish{.topic = "t", .dup = true})));
    CHECK(dies(encodes(Publish{.topic = "t", .qos = Qos::at_least_once})));  // packet id 0
    CHECK(dies(encodes(Publish{.topic = "t", .topic_alias = std::uint16_t{0}})));
    CHECK(dies(encodes(Publish{.topic = "t", .subscription_identifiers = {268'435'456}})));
    CHECK(dies(encodes(Publish{.topic = "t", .subscription_identifiers = {0}})));
    CHECK(dies(encodes(Connect{.client_id = "x", .password = Buffer(65'536)})));
    CHECK(dies(encodes(ConnAck{.maximum_qos = Qos::exactly_once})));
    CHECK(dies(encodes(PubAck{})));
    CHECK(dies(encodes(Subscribe{.id = PacketId{1}})));
    CHECK(dies(encodes(SubAck{.id = PacketId{1}})));
    CHECK(dies(encodes(Unsubscribe{.id = PacketId{1}})));
    CHECK(dies(encodes(UnsubAck{.id = PacketId{1}})));
    CHECK_FALSE(dies(encodes(UnsubAck{.id = PacketId{1}}, Version::v3_1_1)));
    CHECK(dies(encodes(Auth{}, Version::v3_1_1)));
    CHECK(dies([] { (void)decode(bytes_of("00 00"), Version::v5, Sender::client).value(); }));
}

TEST_CASE(
    "Encode: a packet above 268435455 bytes is our own mistake, and is seen before it is written") {
    Publish packet{.topic = "t", .payload = Buffer(kVariableByteIntegerMax)};
    CHECK(dies([&] { (void)encoded(packet, Version::v3_1_1); }));
}

}  // namespace spoke::mqtt
