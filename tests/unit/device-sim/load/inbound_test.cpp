#include "device-sim/load/inbound.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"

using namespace spoke;
using namespace spoke::sim::load;
using mqtt::PacketType;
using mqtt::Qos;
using mqtt::Version;

namespace {

Buffer encoded(mqtt::Publish const& publish, Version version) {
    Buffer out;
    mqtt::encode(publish, version, out);
    return out;
}

Buffer raw(std::initializer_list<int> bytes) {
    Buffer out;
    for (int byte : bytes) out.push_back(static_cast<std::byte>(byte));
    return out;
}

Frame cut_whole(Buffer const& bytes) {
    Frame frame;
    REQUIRE(cut_frame(bytes, frame) == Cut::whole);
    return frame;
}

}  // namespace

TEST_CASE("frames: two packets in one read are cut apart", "[load]") {
    auto input = raw({0xD0, 0, 0x40, 2, 0, 9});
    Frame frame;
    REQUIRE(cut_frame(input, frame) == Cut::whole);
    CHECK(frame.type() == PacketType::pingresp);
    CHECK(frame.bytes.size() == 2);
    REQUIRE(cut_frame(Bytes{input}.subspan(2), frame) == Cut::whole);
    CHECK(frame.type() == PacketType::puback);
    CHECK(frame.body().size() == 2);
}

TEST_CASE("frames: a packet cut anywhere waits for the rest", "[load]") {
    mqtt::Publish publish;
    publish.topic = "a/b";
    publish.payload = Buffer(300, std::byte{'x'});
    auto bytes = encoded(publish, Version::v3_1_1);
    Frame frame;
    for (std::size_t size = 0; size < bytes.size(); ++size) {
        CAPTURE(size);
        REQUIRE(cut_frame(Bytes{bytes}.first(size), frame) == Cut::more_needed);
    }
    CHECK(cut_whole(bytes).header_size == 3);
}

TEST_CASE("frames: a length of five bytes is malformed", "[load]") {
    Frame frame;
    CHECK(cut_frame(raw({0x30, 0x80, 0x80, 0x80, 0x80, 1}), frame) == Cut::malformed);
    CHECK(cut_frame(raw({0x30, 0xFF, 0xFF, 0xFF}), frame) == Cut::more_needed);
}

TEST_CASE("deliveries: all fields are read, properties are stepped over", "[load]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(Qos::at_most_once, Qos::at_least_once, Qos::exactly_once);
    mqtt::Publish publish;
    publish.topic = "d/1/cmd";
    publish.payload = to_buffer("unlock");
    publish.qos = qos;
    publish.retain = true;
    if (qos != Qos::at_most_once) publish.id = mqtt::PacketId{513};
    if (version == Version::v5) {
        publish.properties.content_type = std::string(200, 'c');  // a length of two bytes
    }
    auto bytes = encoded(publish, version);
    auto delivery = read_delivery(cut_whole(bytes), version);
    REQUIRE(delivery);
    CHECK(delivery->topic == "d/1/cmd");
    CHECK(as_text(delivery->payload) == "unlock");
    CHECK(delivery->qos == qos);
    CHECK(delivery->retain);
    CHECK_FALSE(delivery->dup);
    CHECK(delivery->id == publish.id);
}

TEST_CASE("deliveries: lengths that do not fit are refused", "[load]") {
    CHECK_FALSE(read_delivery(cut_whole(raw({0x30, 1, 0})), Version::v3_1_1));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x30, 3, 0, 2, 'a'})), Version::v3_1_1));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x32, 4, 0, 1, 'a', 0})), Version::v3_1_1));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x36, 5, 0, 1, 'a', 0, 1})), Version::v3_1_1));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x30, 3, 0, 1, 'a'})), Version::v5));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x30, 4, 0, 1, 'a', 1})), Version::v5));
    CHECK_FALSE(read_delivery(cut_whole(raw({0x30, 4, 0, 1, 'a', 0x80})), Version::v5));
}

TEST_CASE("acknowledgements: id, and the reason where there is one", "[load]") {
    auto plain = read_acknowledgement(cut_whole(raw({0x40, 2, 1, 2})));
    REQUIRE(plain);
    CHECK(plain->id.value == 0x0102);
    CHECK(plain->reason == 0);
    auto refused = read_acknowledgement(cut_whole(raw({0x50, 4, 1, 2, 0x97, 0})));
    REQUIRE(refused);
    CHECK(refused->reason == 0x97);
    CHECK_FALSE(read_acknowledgement(cut_whole(raw({0x40, 1, 1}))));
}

TEST_CASE("acknowledgements: what is written, the codec reads in both versions", "[load]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto type =
        GENERATE(PacketType::puback, PacketType::pubrec, PacketType::pubrel, PacketType::pubcomp);
    Buffer out;
    append_acknowledgement(type, mqtt::PacketId{0xABCD}, out);
    auto packet = mqtt::decode(out, version, mqtt::Sender::client);
    REQUIRE(packet.has_value());
    CHECK(packet->index() + 1 == static_cast<std::size_t>(type));
    CHECK(cut_whole(out).type() == type);
    CHECK(read_acknowledgement(cut_whole(out))->id.value == 0xABCD);
}
