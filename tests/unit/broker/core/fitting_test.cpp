// What is left out of a packet that is too large for its client (3.1.2.11.4).
#include <catch2/catch.hpp>

#include "broker/core/send.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using broker::encode_fitting;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

template <class Packet>
std::uint32_t size_of(Packet const& packet) {
    Buffer bytes;
    mqtt::encode(packet, Version::v5, bytes);
    return static_cast<std::uint32_t>(bytes.size());
}

/// Tries every size: the explanation goes first, user properties next, and nothing else ever.
template <class Packet>
void check_parts(Packet const& whole) {
    auto without_reason = whole;
    without_reason.reason_string.reset();
    auto bare = without_reason;
    bare.user_properties.clear();
    for (std::uint32_t size = 1; size < size_of(whole) + 2; ++size) {
        auto packet = whole;
        Buffer bytes;
        bool fits = encode_fitting(packet, Version::v5, size, bytes);
        CHECK(fits == (size >= size_of(bare)));
        if (!fits) continue;
        auto const& expected = size >= size_of(whole)            ? whole
                               : size >= size_of(without_reason) ? without_reason
                                                                 : bare;
        CHECK(packet == expected);
        CHECK(bytes.size() == size_of(expected));
    }
}

mqtt::UserProperties const kProperties{{"key", "value"}, {"key", "again"}};

}  // namespace

TEST_CASE("too large: the reason string goes first, then the user properties",
          "[v5.0][MQTT-3.2.2-19][MQTT-3.2.2-20][MQTT-3.4.2-2][MQTT-3.4.2-3][MQTT-3.5.2-2]"
          "[MQTT-3.5.2-3][MQTT-3.6.2-2][MQTT-3.6.2-3][MQTT-3.7.2-2][MQTT-3.7.2-3][MQTT-3.9.2-1]"
          "[MQTT-3.9.2-2][MQTT-3.11.2-1][MQTT-3.11.2-2][MQTT-3.14.2-3][MQTT-3.14.2-4][gotcha-41]") {
    auto const id = mqtt::PacketId{7};
    auto const reason = ReasonCode::unspecified_error;
    check_parts(
        mqtt::ConnAck{.reason = reason, .reason_string = "why", .user_properties = kProperties});
    check_parts(mqtt::PubAck{id, reason, "why", kProperties});
    check_parts(mqtt::PubRec{id, reason, "why", kProperties});
    check_parts(mqtt::PubRel{id, ReasonCode::packet_identifier_not_found, "why", kProperties});
    check_parts(mqtt::PubComp{id, ReasonCode::packet_identifier_not_found, "why", kProperties});
    check_parts(mqtt::SubAck{
        .id = id, .reasons = {reason}, .reason_string = "why", .user_properties = kProperties});
    check_parts(mqtt::UnsubAck{
        .id = id, .reasons = {reason}, .reason_string = "why", .user_properties = kProperties});
    check_parts(
        mqtt::Disconnect{.reason = reason, .reason_string = "why", .user_properties = kProperties});
}

TEST_CASE("too large: CONNACK comes without response information before it does not come",
          "[v5.0][MQTT-3.1.2-24][gotcha-41][gotcha-43]") {
    auto asks = [](std::uint32_t size_max) {
        return connect(Version::v5).maximum_packet_size(size_max).with([](mqtt::Connect& packet) {
            packet.request_response_information = true;
        });
    };
    Script s;
    s.link("a").sends(asks(1000));
    CHECK(s.link("a").takes<mqtt::ConnAck>().response_information);
    auto whole = static_cast<std::uint32_t>(s.link("a").last_frame().size());
    s.link("a").drops().sends(asks(whole));
    CHECK(s.link("a").takes<mqtt::ConnAck>().response_information);
    s.link("a").drops().sends(asks(whole - 1));
    CHECK_FALSE(s.link("a").takes<mqtt::ConnAck>().response_information);
    auto bare = static_cast<std::uint32_t>(s.link("a").last_frame().size());
    s.link("a").gets_nothing().drops().sends(asks(bare - 1)).closes();
}

TEST_CASE("too large: a CONNECT whose CONNACK does not fit touches nothing",
          "[v5.0][MQTT-3.1.4-2][gotcha-14][gotcha-41]") {
    Script s;
    auto& online = s.link("online");
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, "w")).gets(suback(1));
    online.sends(connect(Version::v5).id("x").resume().will(will("w", "gone"))).gets(connack());
    online.sends(subscribe(1, "t", qos1)).gets(suback(1));
    bool clean = GENERATE(false, true);
    s.link("other").sends(connect(Version::v5).id("x").clean(clean).maximum_packet_size(5));
    s.link("other").closes();
    online.gets_nothing();
    s.link("watch").gets_nothing();
    CHECK(s.index().subscription_count() == 2);
    CHECK(s.count([](auto const& c) { return c.connects_refused.read(); }) == 1);
}
