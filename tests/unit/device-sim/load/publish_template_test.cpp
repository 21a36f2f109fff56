#include "device-sim/load/publish_template.hpp"

#include <catch2/catch.hpp>
#include <string>

#include "device-sim/load/inbound.hpp"
#include "protocol/codec/publish_view.hpp"

using namespace spoke;
using namespace spoke::sim::load;
using mqtt::Qos;
using mqtt::Version;

namespace {

constexpr PayloadHead kHead{.flow = 7, .sequence = 0xDEADBEEF, .sent_at = 123'456'789'012};

}  // namespace

TEST_CASE("publish template: each message is a valid PUBLISH with its id and head", "[load]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(Qos::at_most_once, Qos::at_least_once, Qos::exactly_once);
    auto size = GENERATE(16U, 64U, 127U, 128U, 20'000U);
    PublishTemplate message{{.topic = "bench/p2p/7",
                             .version = version,
                             .qos = qos,
                             .retain = true,
                             .payload_size = size}};
    CHECK(message.topic() == "bench/p2p/7");

    Buffer out = to_buffer("before");
    message.append(out, mqtt::PacketId{0x1234}, kHead);
    CHECK(out.size() == 6 + message.size());
    auto publish = mqtt::decode_publish(Bytes{out}.subspan(6), version, mqtt::Sender::client);
    REQUIRE(publish.has_value());
    CHECK(publish->topic == "bench/p2p/7");
    CHECK(publish->qos == qos);
    CHECK(publish->retain);
    CHECK_FALSE(publish->dup);
    CHECK(publish->id.value == (qos == Qos::at_most_once ? 0 : 0x1234));
    CHECK(publish->payload.size() == size);
    CHECK(read_payload_head(publish->payload) == kHead);
}

TEST_CASE("publish template: messages do not change one another", "[load]") {
    PublishTemplate message{{.topic = "t", .qos = Qos::at_least_once, .payload_size = 20}};
    Buffer out;
    message.append(out, mqtt::PacketId{1}, {.flow = 1, .sequence = 1});
    auto first = out;
    message.append(out, mqtt::PacketId{2}, {.flow = 2, .sequence = 2});
    CHECK(std::equal(first.begin(), first.end(), out.begin()));
}

TEST_CASE("payload head: a payload too short to be ours has none", "[load]") {
    CHECK_FALSE(read_payload_head(as_bytes("fifteen bytes..")));
    CHECK(read_payload_head(as_bytes("sixteen bytes...")));
}
