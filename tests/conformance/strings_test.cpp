// UTF-8 strings and variable byte integers (3.1.1: 1.5, 5.0: 1.5), in every field that has one.
#include <fmt/format.h>

#include <functional>

#include "tests/conformance/harness/conversation.hpp"
#include "tests/support/bad_utf8.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// A string field of a packet: how a client sends it.
struct StringField {
    std::string_view name;
    std::function<void(Peer&, std::string const&)> sends;
};

ConnectBuilder changed(Version version, std::function<void(mqtt::Connect&)> const& change) {
    return connect(version).with(change);
}

mqtt::Will will_with(std::function<void(mqtt::Will&)> const& change) {
    auto value = will("w/x", "gone");
    change(value);
    return value;
}

std::vector<StringField> connect_fields(Version version) {
    return {{"client id", [=](Peer& a, auto& text) { a.sends(connect(version).id(text)); }},
            {"will topic",
             [=](Peer& a, auto& text) { a.sends(connect(version).will(will("w/" + text, "x"))); }},
            {"user name", [=](Peer& a, auto& text) {
                 a.sends(changed(version, [&](auto& packet) { packet.user_name = text; }));
             }}};
}

/// Those that MQTT 5 adds.
std::vector<StringField> connect_properties() {
    auto const v5 = Version::v5;
    auto in_connect = [=](auto change) {
        return [=](Peer& a, std::string const& text) {
            a.sends(changed(v5, [&](auto& packet) { change(packet, text); }));
        };
    };
    auto in_will = [=](auto change) {
        return [=](Peer& a, std::string const& text) {
            a.sends(
                connect(v5).will(will_with([&](auto& value) { change(value.properties, text); })));
        };
    };
    return {
        {"authentication method",
         in_connect([](auto& packet, auto& text) { packet.authentication_method = text; })},
        {"user property name", in_connect([](auto& packet, auto& text) {
             packet.user_properties = {{text, "v"}};
         })},
        {"user property value", in_connect([](auto& packet, auto& text) {
             packet.user_properties = {{"n", text}};
         })},
        {"will content type", in_will([](auto& will, auto& text) { will.content_type = text; })},
        {"will response topic",
         in_will([](auto& will, auto& text) { will.response_topic = text; })},
        {"will user property name", in_will([](auto& will, auto& text) {
             will.user_properties = {{text, "v"}};
         })},
        {"will user property value", in_will([](auto& will, auto& text) {
             will.user_properties = {{"n", text}};
         })},
    };
}

std::vector<StringField> topic_fields() {
    return {
        {"topic", [](Peer& a, auto& text) { a.sends(publish(a.id() + "/" + text, "x", qos1)); }},
        {"filter of SUBSCRIBE", [](Peer& a, auto& text) { a.sends(subscribe(1, "a/" + text)); }},
        {"filter of UNSUBSCRIBE",
         [](Peer& a, auto& text) { a.sends(unsubscribe(1, {"a/" + text})); }},
    };
}

std::vector<StringField> properties() {
    auto in_publish = [](auto change) {
        return [=](Peer& a, std::string const& text) {
            mqtt::MessageProperties properties;
            change(properties, text);
            a.sends(publish(a.id() + "/x", "x", qos1).properties(properties));
        };
    };
    // What stands in ( ) is as long as its properties: the string goes into hex text, where it is
    // quoted.
    auto quoted = [](std::string_view name, std::string text) {
        return StringField{name, [=](Peer& a, std::string const& bad) {
                               auto whole = text;
                               whole.replace(whole.find('?'), 1, hex_of(bad));
                               auto size = fmt::format("{:04X}", bad.size());
                               whole.replace(whole.find("size"), 4, size);
                               a.sends_hex(whole);
                           }};
    };
    return {
        {"content type", in_publish([](auto& p, auto& text) { p.content_type = text; })},
        {"response topic", in_publish([](auto& p, auto& text) { p.response_topic = text; })},
        {"user property name", in_publish([](auto& p, auto& text) {
             p.user_properties = {{text, "v"}};
         })},
        {"user property value", in_publish([](auto& p, auto& text) {
             p.user_properties = {{"n", text}};
         })},
        quoted("user property name of SUBSCRIBE", "82 ( 0001 ( 26 size ? s'v' ) s'a' 00 )"),
        quoted("user property value of SUBSCRIBE", "82 ( 0001 ( 26 s'n' size ? ) s'a' 00 )"),
        quoted("user property name of UNSUBSCRIBE", "A2 ( 0001 ( 26 size ? s'v' ) s'a' )"),
        quoted("user property value of UNSUBSCRIBE", "A2 ( 0001 ( 26 s'n' size ? ) s'a' )"),
        quoted("reason string of PUBACK", "40 ( 0001 80 ( 1F size ? ) )"),
        quoted("user property value of PUBACK", "40 ( 0001 80 ( 26 s'n' size ? ) )"),
        quoted("reason string of PUBREC", "50 ( 0001 80 ( 1F size ? ) )"),
        quoted("user property value of PUBREC", "50 ( 0001 80 ( 26 s'n' size ? ) )"),
        quoted("reason string of PUBREL", "62 ( 0001 92 ( 1F size ? ) )"),
        quoted("user property name of PUBREL", "62 ( 0001 92 ( 26 size ? s'v' ) )"),
        quoted("reason string of PUBCOMP", "70 ( 0001 92 ( 1F size ? ) )"),
        quoted("user property value of PUBCOMP", "70 ( 0001 92 ( 26 s'n' size ? ) )"),
        quoted("reason string of DISCONNECT", "E0 ( 04 ( 1F size ? ) )"),
        quoted("user property name of DISCONNECT", "E0 ( 04 ( 26 size ? s'v' ) )"),
    };
}

std::vector<StringField> joined(std::vector<StringField> fields, std::vector<StringField> more) {
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
}

}  // namespace

TEST_CASE("strings: a bad one in CONNECT ends the connection",
          "[v3.1.1][MQTT-1.5.3-1][MQTT-1.5.3-2][MQTT-3.1.3-4][MQTT-3.1.3-10][MQTT-3.1.3-11]"
          "[MQTT-3.2.2-6][v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2][MQTT-3.1.3-4][MQTT-3.1.3-11]"
          "[MQTT-3.1.3-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto fields = connect_fields(version);
    if (version == Version::v5) fields = joined(fields, connect_properties());
    for (auto const& field : fields) {
        for (auto const& bad : bad_utf8()) {
            INFO(field.name << " " << hex_of(bad));
            field.sends(s.client("a"), bad);
            s.client("a").is_refused(ReasonCode::malformed_packet);
        }
    }
}

TEST_CASE("strings: a bad one in any later packet ends the connection",
          "[v3.1.1][MQTT-1.5.3-1][MQTT-1.5.3-2][MQTT-3.3.2-1][MQTT-3.8.3-1][MQTT-3.10.3-1]"
          "[MQTT-4.7.3-2][v5.0][MQTT-1.5.4-1][MQTT-1.5.4-2][MQTT-1.5.7-1][MQTT-3.3.2-1]"
          "[MQTT-3.8.3-1][MQTT-3.10.3-1][MQTT-3.3.2-13][MQTT-3.3.2-19][MQTT-4.7.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.client("a").id() + "/#", qos2)).gets(suback(1));
    auto fields = topic_fields();
    if (version == Version::v5) fields = joined(fields, properties());
    for (auto const& field : fields) {
        for (auto const& bad : bad_utf8()) {
            INFO(field.name << " " << hex_of(bad));
            auto& a = s.connected("a", version);
            field.sends(a, bad);
            a.is_cut(ReasonCode::malformed_packet);
        }
    }
    b.gets_nothing_of(s.client("a"));
}

TEST_CASE("strings: a good one is taken in every field",
          "[v3.1.1][MQTT-1.5.3-1][v5.0][MQTT-1.5.4-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.connected("a", version);
    for (auto const& good : good_utf8()) {
        // Control characters and noncharacters may be refused: that is a choice.
        bool chosen = good[0] == '\x01' || good.starts_with("\xC2\x80") ||
                      good.starts_with("\xEF\xBF\xBE") || good.starts_with("\xF4\x8F\xBF\xBF");
        if (chosen && !is_own_broker()) continue;
        INFO(hex_of(good));
        auto name = s.topic(good);
        a.sends(publish(name, good, qos1, 5)).gets(puback(5));
        b.receives(publish(name, good, qos1));
        auto& c = s.client("c");
        c.sends(connect(version).id(s.word() + good).will(will(name, "x")).with([&](auto& packet) {
            packet.user_name = good;
        }));
        c.gets(connack()).sends(subscribe(1, name)).gets(suback(1)).leaves();
    }
}

TEST_CASE("strings: EF BB BF stays where it is", "[v3.1.1][MQTT-1.5.3-3][v5.0][MQTT-1.5.4-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    std::string const bom = "\xEF\xBB\xBF";
    auto with = bom + s.word();
    auto& all = s.connected("all", version);
    all.sends(subscribe(1, with)).gets(suback(1));
    auto& without = s.connected("without", version);
    without.sends(subscribe(1, s.word())).gets(suback(1));
    auto& a = s.connected("a", version);
    auto message = publish(with, "x");
    if (version == Version::v5) {
        mqtt::MessageProperties properties;
        properties.content_type = bom + "text";
        properties.user_properties = {{bom, bom + bom}};
        message.properties(properties);
    }
    a.sends(message);
    all.gets(message);
    auto const topic = "EFBBBF '" + s.word() + "'";
    auto size = fmt::format("{:04X}", with.size());
    auto const& frame = all.last_frame();
    auto expected = bytes_of(size + topic);
    CHECK(std::equal(expected.begin(), expected.end(), frame.begin() + 2));
    without.gets_nothing_of(a);
}

TEST_CASE("strings: a variable byte integer is written in the fewest bytes",
          "[v5.0][MQTT-1.5.5-1]") {
    Conversation s;
    auto bytes =
        GENERATE("C0 80 00",                   // remaining length
                 "82 ( 0001 80 00 s'a' 00 )",  // property length
                 "82 ( 0001 ( 0B 81 00 ) s'a' 00 )", "30 ( s'a' 80 00 'x' )", "E0 ( 00 80 00 )");
    auto& a = s.connected("a", Version::v5);
    a.sends_hex(bytes).is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("strings: the server's lengths have the fewest bytes", "[v5.0][MQTT-1.5.5-1]") {
    // Peer refuses any other; these are lengths around the borders of one, two and three bytes.
    Conversation s;
    auto& b = s.watcher("b", Version::v5, qos0);
    auto& a = s.connected("a", Version::v5);
    for (std::size_t size :
         {50U, 90U, 100U, 110U, 127U, 128U, 16'000U, 16'383U, 16'384U, 20'000U}) {
        std::string payload(size, 'x');
        a.sends(publish(s.topic("t"), payload));
        b.gets(publish(s.topic("t"), payload));
    }
}

TEST_CASE("strings: a remaining length of five bytes ends the connection at its fourth byte",
          "[v3.1.1][MQTT-4.8.0-1][v5.0][MQTT-1.5.5-1][MQTT-4.13.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& other = s.connected("other", version);
    // Another broker may wait for the fifth.
    auto* bytes = is_own_broker() ? "30 FF FF FF FF" : "30 FF FF FF FF 01";
    s.connected("a", version).sends_hex(bytes).is_cut(ReasonCode::malformed_packet);
    other.gets_nothing();
}
