#include <catch2/catch.hpp>
#include <functional>
#include <string>

#include "protocol/codec/decode.hpp"
#include "protocol/codec/encode.hpp"
#include "tests/support/bad_utf8.hpp"
#include "tests/support/describe.hpp"

namespace spoke::mqtt {
namespace {

using test::describe;

/// A string field of a packet: builds a packet that holds `text` there. The encoder does not judge
/// strings.
struct StringField {
    char const* name;
    bool in_v5_only;
    Sender sender;
    std::function<Packet(Version, std::string)> packet_with;
};

Will will_with(MessageProperties properties) {
    return {.topic = "w", .properties = std::move(properties)};
}

std::vector<StringField> string_fields() {
    auto const client = Sender::client;
    auto const server = Sender::server;
    std::vector<StringField> fields{
        {"CONNECT client id", false, client,
         [](auto v, auto text) { return Connect{.version = v, .client_id = text}; }},
        {"CONNECT will topic", false, client,
         [](auto v, auto text) { return Connect{.version = v, .will = Will{.topic = text}}; }},
        {"CONNECT user name", false, client,
         [](auto v, auto text) { return Connect{.version = v, .user_name = text}; }},
        {"PUBLISH topic", false, client, [](auto, auto text) { return Publish{.topic = text}; }},
        {"SUBSCRIBE filter", false, client,
         [](auto, auto text) {
             return Subscribe{.id = PacketId{1}, .subscriptions = {{text, {}}}};
         }},
        {"UNSUBSCRIBE filter", false, client,
         [](auto, auto text) {
             return Unsubscribe{.id = PacketId{1}, .filters = {"a", text}};
         }},
        {"CONNECT authentication method", true, client,
         [](auto v, auto text) { return Connect{.version = v, .authentication_method = text}; }},
        {"CONNECT user property name", true, client,
         [](auto v, auto text) {
             return Connect{.version = v, .user_properties = {{text, "value"}}};
         }},
        {"CONNECT user property value", true, client,
         [](auto v, auto text) {
             return Connect{.version = v, .user_properties = {{"name", text}}};
         }},
        {"CONNECT will content type", true, client,
         [](auto v, auto text) {
             return Connect{.version = v, .will = will_with({.content_type = text})};
         }},
        {"CONNECT will response topic", true, client,
         [](auto v, auto text) {
             return Connect{.version = v, .will = will_with({.response_topic = text})};
         }},
        {"CONNECT will user property", true, client,
         [](auto v, auto text) {
             return Connect{.version = v, .will = will_with({.user_properties = {{"name", text}}})};
         }},
        {"CONNACK assigned client identifier", true, server,
         [](auto, auto text) { return ConnAck{.assigned_client_identifier = text}; }},
        {"CONNACK reason string", true, server,
         [](auto, auto text) { return ConnAck{.reason_string = text}; }},
        {"CONNACK response information", true, server,
         [](auto, auto text) { return ConnAck{.response_information = text}; }},
        {"CONNACK server reference", true, server,
         [](auto, auto text) { return ConnAck{.server_reference = text}; }},
        {"CONNACK authentication method", true, server,
         [](auto, auto text) { return ConnAck{.authentication_method = text}; }},
        {"PUBLISH content type", true, client,
         [](auto, auto text) {
             return Publish{.topic = "t", .properties = {.content_type = text}};
         }},
        {"PUBLISH response topic", true, client,
         [](auto, auto text) {
             return Publish{.topic = "t", .properties = {.response_topic = text}};
         }},
        {"PUBLISH user property name", true, client,
         [](auto, auto text) {
             return Publish{.topic = "t", .properties = {.user_properties = {{text, ""}}}};
         }},
        {"PUBLISH user property value", true, client,
         [](auto, auto text) {
             return Publish{.topic = "t", .properties = {.user_properties = {{"", text}}}};
         }},
        {"SUBSCRIBE user property", true, client,
         [](auto, auto text) {
             return Subscribe{.id = PacketId{1},
                              .subscriptions = {{"a", {}}},
                              .user_properties = {{text, text}}};
         }},
        {"UNSUBSCRIBE user property", true, client,
         [](auto, auto text) {
             return Unsubscribe{
                 .id = PacketId{1}, .filters = {"a"}, .user_properties = {{text, text}}};
         }},
        {"SUBACK reason string", true, server,
         [](auto, auto text) {
             return SubAck{
                 .id = PacketId{1}, .reasons = {ReasonCode::success}, .reason_string = text};
         }},
        {"UNSUBACK reason string", true, server,
         [](auto, auto text) {
             return UnsubAck{
                 .id = PacketId{1}, .reasons = {ReasonCode::success}, .reason_string = text};
         }},
        {"PUBACK reason string", true, client,
         [](auto, auto text) { return PubAck{.id = PacketId{1}, .reason_string = text}; }},
        {"PUBREC reason string", true, client,
         [](auto, auto text) { return PubRec{.id = PacketId{1}, .reason_string = text}; }},
        {"PUBREL reason string", true, client,
         [](auto, auto text) { return PubRel{.id = PacketId{1}, .reason_string = text}; }},
        {"PUBCOMP user property", true, client,
         [](auto, auto text) {
             return PubComp{.id = PacketId{1}, .user_properties = {{text, "x"}}};
         }},
        {"DISCONNECT reason string", true, client,
         [](auto, auto text) { return Disconnect{.reason_string = text}; }},
        {"DISCONNECT server reference", true, server,
         [](auto, auto text) { return Disconnect{.server_reference = text}; }},
        {"AUTH method", true, server,
         [](auto, auto text) {
             return Auth{.reason = ReasonCode::continue_authentication,
                         .authentication_method = text};
         }},
        {"AUTH reason string", true, client,
         [](auto, auto text) {
             return Auth{.reason = ReasonCode::continue_authentication,
                         .authentication_method = "m",
                         .reason_string = text};
         }},
    };
    return fields;
}

template <class Check>
void for_each_field(Check check) {
    for (auto const& field : string_fields()) {
        for (auto version : {Version::v3_1, Version::v3_1_1, Version::v5}) {
            if (field.in_v5_only && version != Version::v5) continue;
            CAPTURE(field.name, static_cast<int>(version));
            check(field, version);
        }
    }
}

}  // namespace

TEST_CASE(
    "Strings: no field takes ill-formed UTF-8 or NUL",
    "[v3.1.1][MQTT-1.5.3-1][MQTT-1.5.3-2][MQTT-3.1.3-4][MQTT-3.1.3-10][MQTT-3.1.3-11][MQTT-3.3.2-1]"
    "[MQTT-3.8.3-1][MQTT-3.10.3-1][MQTT-4.7.3-2]"
    "[v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2][MQTT-1.5.7-1][MQTT-3.1.3-4][MQTT-3.1.3-11][MQTT-3.1.3-12]"
    "[MQTT-3.3.2-1][MQTT-3.3.2-13][MQTT-3.3.2-19][MQTT-3.8.3-1][MQTT-3.10.3-1][MQTT-4.7.3-2][gotcha-20]") {
    for_each_field([](StringField const& field, Version version) {
        for (auto const& bad : test::bad_utf8()) {
            CAPTURE(test::hex_of(bad));
            Buffer frame;
            encode(field.packet_with(version, bad), version, frame);
            auto is_nul = bad.find('\0') != std::string::npos;
            std::string rule = version == Version::v5 ? "MQTT-1.5.4-" : "MQTT-1.5.3-";
            CHECK(describe(decode(frame, version, field.sender)) ==
                  "malformed packet: " + rule + (is_nul ? "2" : "1"));
        }
    });
}

TEST_CASE("Strings: every field gives well-formed UTF-8 back as it came",
          "[v3.1.1][MQTT-1.5.3-3][v5.0][MQTT-1.5.4-3][gotcha-20]") {
    for_each_field([](StringField const& field, Version version) {
        for (auto const& good : test::good_utf8()) {
            CAPTURE(test::hex_of(good));
            auto packet = field.packet_with(version, good);
            Buffer frame;
            encode(packet, version, frame);
            auto result = decode(frame, version, field.sender);
            REQUIRE(describe(result) == "good");
            CHECK(*result == packet);
        }
    });
}

TEST_CASE("Strings: the longest, of 65535 bytes, goes through every field",
          "[v3.1.1][MQTT-4.7.3-3][v5.0][MQTT-4.7.3-3]") {
    for_each_field([](StringField const& field, Version version) {
        auto packet = field.packet_with(version, std::string(65'535, 'x'));
        Buffer frame;
        encode(packet, version, frame);
        auto result = decode(frame, version, field.sender);
        REQUIRE(describe(result) == "good");
        CHECK(*result == packet);
    });
}

TEST_CASE("Strings: binary fields take any bytes", "[gotcha-20]") {
    Buffer any;
    for (auto byte = 0; byte < 256; ++byte) any.push_back(std::byte(byte));
    Connect connect{
        .client_id = "x",
        .will = Will{.topic = "w", .payload = any, .properties = {.correlation_data = any}},
        .password = any,
        .authentication_method = "m",
        .authentication_data = any};
    Publish publish{.topic = "t", .payload = any, .properties = {.correlation_data = any}};
    for (Packet const& packet : {Packet{connect}, Packet{publish}}) {
        Buffer frame;
        encode(packet, Version::v5, frame);
        auto result = decode(frame, Version::v5, Sender::client);
        REQUIRE(describe(result) == "good");
        CHECK(*result == packet);
    }
}

}  // namespace spoke::mqtt
