// CONNECT (3.1): what is accepted, what is refused, how a session begins.
#include <fmt/format.h>

#include <algorithm>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

std::string_view level_of(Version version) {
    return version == Version::v5 ? "05" : "04";
}

/// CONNECT by its flags and what stands behind the keep alive. No properties in MQTT 5.
std::string connect_text(Version version, std::string_view flags, std::string_view payload) {
    return fmt::format("10 ( s'MQTT' {} {} 0000 {} {} )", level_of(version), flags,
                       version == Version::v5 ? "00" : "", payload);
}

/// Will properties are there in MQTT 5 alone.
std::string_view no_will_properties(Version version) {
    return version == Version::v5 ? "00" : "";
}

}  // namespace

TEST_CASE("connect: anything else as the first packet ends the connection without a word",
          "[v3.1.1][MQTT-3.1.0-1][v5.0][MQTT-3.1.0-1][MQTT-3.14.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first =
        GENERATE("C0 00", "30 ( s'a' 00 'x' )", "32 ( s'a' 0001 00 'x' )", "82 ( 0001 00 s'a' 00 )",
                 "A2 ( 0001 00 s'a' )", "F0 00", "E0 00", "40 02 0001", "20 02 0000", "00 00");
    Conversation s;
    s.client("a").speaks(version).sends_hex(first).closes();
}

TEST_CASE("connect: a second CONNECT ends the connection and sets the will free",
          "[v3.1.1][MQTT-3.1.0-2][MQTT-3.1.2-8][v5.0][MQTT-3.1.0-2][MQTT-3.2.0-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto other_id = GENERATE(false, true);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a");
    a.sends(connect(version).will(will(s.topic("w"), "gone"))).gets(connack());
    a.sends(other_id ? connect(version).id(s.word() + "z") : connect(version));
    a.is_cut(ReasonCode::protocol_error);
    b.receives(publish(s.topic("w"), "gone"));
}

TEST_CASE("connect: an unknown protocol name is not accepted",
          "[v3.1.1][MQTT-3.1.2-1][v5.0][MQTT-3.1.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto name = GENERATE("MQTX", "mqtt", "MQT", "MQTTT", "", "HTTP");
    Conversation s;
    auto& a = s.client("a").speaks(version);
    a.sends_hex(fmt::format("10 ( s'{}' {} 02 0000 {} s'x' )", name, level_of(version),
                            no_will_properties(version)));
    if (is_own_broker()) {
        a.closes();
    } else {
        a.is_turned_away();
    }
}

TEST_CASE("connect: a level that is not spoken is refused",
          "[v3.1.1][MQTT-3.1.2-2][MQTT-3.2.2-5]") {
    auto level = GENERATE("00", "01", "02");
    Conversation s;
    auto& a = s.client("a").speaks(Version::v3_1_1);
    a.sends_hex(fmt::format("10 ( s'MQTT' {} 02 0000 s'x' )", level));
    a.gets_hex("20 02 00 01").closes();
}

TEST_CASE("connect: a level above 5 is refused in the form of MQTT 5", "[v5.0][MQTT-3.1.2-2]") {
    auto level = GENERATE("06", "07", "7F");
    Conversation s;
    auto& a = s.client("a").speaks(Version::v5);
    a.sends_hex(fmt::format("10 ( s'MQTT' {} 02 0000 00 s'x' )", level));
    if (is_own_broker()) {
        a.is_refused(ReasonCode::unsupported_protocol_version);
    } else {  // perhaps in the form of 3.1.1
        a.is_turned_away();
    }
}

TEST_CASE("connect: the user name is there just if its flag is set",
          "[v3.1.1][MQTT-3.1.2-18][MQTT-3.1.2-19][MQTT-3.1.3-1][v5.0][MQTT-3.1.2-16]"
          "[MQTT-3.1.2-17][MQTT-3.1.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a").speaks(version);
    a.sends_hex(connect_text(version, "02", "s'id' s'joe'"));
    a.is_refused(ReasonCode::malformed_packet);
    a.sends_hex(connect_text(version, "82", "s'id'")).is_refused(ReasonCode::malformed_packet);
    a.sends_hex(connect_text(version, "82", "s'id' s'joe'"));
    CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
}

TEST_CASE("connect: the password is there just if its flag is set",
          "[v3.1.1][MQTT-3.1.2-20][MQTT-3.1.2-21][MQTT-3.1.3-1][v5.0][MQTT-3.1.2-18]"
          "[MQTT-3.1.2-19][MQTT-3.1.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a").speaks(version);
    a.sends_hex(connect_text(version, "82", "s'id' s'joe' s'secret'"));
    a.is_refused(ReasonCode::malformed_packet);
    a.sends_hex(connect_text(version, "C2", "s'id' s'joe'"));
    a.is_refused(ReasonCode::malformed_packet);
    a.sends_hex(connect_text(version, "C2", "s'id' s'joe' s'secret' 00"));
    a.is_refused(ReasonCode::malformed_packet);
    a.sends_hex(connect_text(version, "C2", "s'id' s'joe' s'secret'"));
    CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
}

TEST_CASE("connect: a password without user name is for MQTT 5 alone",
          "[v3.1.1][MQTT-3.1.2-22][v5.0][MQTT-3.1.2-19]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a").speaks(version);
    a.sends_hex(connect_text(version, "42", "s'id' s'secret'"));
    if (version == Version::v3_1_1) {
        a.closes();
    } else {
        CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
    }
}

TEST_CASE("connect: with the will flag the payload has a will",
          "[v3.1.1][MQTT-3.1.2-9][v5.0][MQTT-3.1.2-9]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto payload = GENERATE("s'id'", "s'id' PROPERTIES", "s'id' PROPERTIES s'w'",
                            "s'id' PROPERTIES s'w' 0005 'four'", "s'id' PROPERTIES s'w' 00");
    Conversation s;
    std::string text = payload;
    if (auto at = text.find("PROPERTIES"); at != std::string::npos) {
        text.replace(at, 10, no_will_properties(version));
    }
    s.client("a").speaks(version).sends_hex(connect_text(version, "06", text));
    s.client("a").is_refused(ReasonCode::malformed_packet);
}

TEST_CASE("connect: the client id is the first field and always there",
          "[v3.1.1][MQTT-3.1.3-3][v5.0][MQTT-3.1.3-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto payload = GENERATE("", "00", "0002 'a'");
    Conversation s;
    s.client("a").speaks(version).sends_hex(connect_text(version, "02", payload));
    s.client("a").is_refused(ReasonCode::malformed_packet);
}

TEST_CASE("connect: one that breaks its format ends the connection, in 3.1.1 without a byte",
          "[v3.1.1][MQTT-3.1.4-1][MQTT-3.2.2-6][v5.0][MQTT-3.1.4-1][MQTT-3.14.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto whole = mqtt::Connect{};
    whole.version = version;
    whole.client_id = s.word();
    whole.will = will("w", "gone", qos1);
    whole.user_name = "joe";
    whole.password = to_buffer("secret");
    auto& a = s.client("a").speaks(version);
    auto const frame = a.encoded(connect(version).with([&](auto& packet) { packet = whole; }));
    auto const body = body_of(frame);
    constexpr std::size_t kNameAndLevel = 7;
    for (std::size_t size = kNameAndLevel; size < body.size(); ++size) {
        INFO("cut at " << size);
        a.sends_bytes(frame_of(0x10, body.first(size))).is_refused(ReasonCode::malformed_packet);
    }
    Buffer longer{body.begin(), body.end()};
    longer.push_back(std::byte{0});
    a.sends_bytes(frame_of(0x10, longer)).is_refused(ReasonCode::malformed_packet);
    a.sends_bytes(frame);
    CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
}

TEST_CASE("connect: properties that do not belong there or come twice are refused",
          "[v5.0][MQTT-3.1.4-1][MQTT-4.13.1-1]") {
    struct Row {
        std::string_view properties;
        ReasonCode reason;
    };
    auto malformed = ReasonCode::malformed_packet;
    auto error = ReasonCode::protocol_error;
    auto row = GENERATE_COPY(values<Row>({{"7F 00", malformed},  // unknown
                                          {"01 00", malformed},  // of PUBLISH
                                          {"24 01", malformed},  // of CONNACK
                                          {"11 00000001 11 00000001", error},
                                          {"21 0001 21 0001", error},
                                          {"17 01 17 01", error},
                                          {"21 0000", error},  // receive maximum 0
                                          {"27 00000000", error},
                                          {"17 02", error},
                                          {"19 02", error},
                                          {"16 s'data'", error}}));  // without a method
    CAPTURE(row.properties);
    Conversation s;
    auto& a = s.client("a").speaks(Version::v5);
    a.sends_hex(fmt::format("10 ( s'MQTT' 05 02 0000 ( {} ) s'x' )", row.properties));
    a.is_refused(row.reason);
}

TEST_CASE("connect: all fields at once do what each does alone",
          "[v3.1.1][MQTT-3.1.3-1][v5.0][MQTT-3.1.3-1][MQTT-3.1.3-10][MQTT-3.3.2-17]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto value = will(s.topic("w"), "gone", qos1);
    if (version == Version::v5) {
        value.properties = {.payload_format_indicator = 1,
                            .message_expiry_interval = 600,
                            .content_type = "text",
                            .response_topic = "r",
                            .correlation_data = bytes_of("00FF"),
                            .user_properties = {{"a", "1"}, {"b", "2"}, {"a", "3"}}};
    }
    auto& a = s.client("a");
    a.sends(connect(version).will(value).keep_alive(60).with([&](auto& packet) {
        packet.user_name = "joe";
        packet.password = to_buffer("secret");
        packet.user_properties = {{"x", "y"}};
    }));
    a.gets(connack()).gets_nothing().drops();
    b.receives(publish(s.topic("w"), "gone", qos1).properties(value.properties));
}

TEST_CASE("connect: client ids of 1 to 23 letters and digits are taken",
          "[v3.1.1][MQTT-3.1.3-5][v5.0][MQTT-3.1.3-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto id = GENERATE("a", "0", "Z", "abcdefghijklmnopqrstuvw", "xyzABCDEFGHIJKLMNOPQRST",
                       "UVWXYZ0123456789");
    Conversation s;
    auto& a = s.client("a").sends(connect(version).id(id)).gets(connack());
    a.gets_nothing().leaves();
}

TEST_CASE("connect: the client id is the key of the session, byte by byte",
          "[v3.1.1][MQTT-3.1.3-2][v5.0][MQTT-3.1.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto lower = "bike" + s.word();
    auto upper = "Bike" + s.word();
    for (auto const& id : {lower, upper}) {
        auto& a = s.client(id).sends(connect(version).resume().id(id)).gets(connack());
        a.sends(subscribe(1, s.topic(id), qos1)).gets(suback(1));
        a.sends(subscribe(2, s.topic("both"), qos1)).gets(suback(2)).leaves();
    }
    auto& p = s.connected("p", version);
    for (auto const& name : {lower, upper, std::string{"both"}}) {
        p.sends(publish(s.topic(name), name, qos1, 9)).gets(puback(9));
    }
    for (auto const& id : {lower, upper}) {
        auto& a = s.client(id).sends(connect(version).resume().id(id));
        a.gets(connack().session_present());
        a.receives(publish(s.topic(id), id, qos1));
        a.receives(publish(s.topic("both"), "both", qos1)).gets_nothing();
    }
}

TEST_CASE("connect: an empty client id gets one of its own in 3.1.1", "[v3.1.1][MQTT-3.1.3-6]") {
    Conversation s;
    auto& one = s.client("one").sends(connect(Version::v3_1_1).id("")).gets(connack());
    auto& two = s.client("two").sends(connect(Version::v3_1_1).id("")).gets(connack());
    two.sends(subscribe(1, s.topic("t"))).gets(suback(1));
    one.gets_nothing();
    one.sends(publish(s.topic("t"), "x"));
    two.gets(publish(s.topic("t"), "x")).gets_nothing();
}

TEST_CASE("connect: an empty client id in 3.1.1 needs clean session",
          "[v3.1.1][MQTT-3.1.3-8][MQTT-3.2.2-5]") {
    Conversation s;
    auto& a = s.client("a").sends(connect(Version::v3_1_1).id("").clean(false));
    a.gets_hex("20 02 00 02").closes();
}

TEST_CASE("connect: an empty client id gets an id which CONNACK tells",
          "[v5.0][MQTT-3.1.3-6][MQTT-3.1.3-7][MQTT-3.2.2-16]") {
    auto clean = GENERATE(false, true);
    Conversation s;
    std::vector<std::string> ids;
    for (std::string name : {"one", "two", "three"}) {
        auto& a = s.client(name).sends(connect(Version::v5).id("").clean(clean).expiry(60));
        auto connack = a.takes<mqtt::ConnAck>();
        CHECK(connack.reason == ReasonCode::success);
        CHECK_FALSE(connack.session_present);
        REQUIRE(connack.assigned_client_identifier);
        CHECK(!connack.assigned_client_identifier->empty());
        CHECK(std::find(ids.begin(), ids.end(), *connack.assigned_client_identifier) == ids.end());
        ids.push_back(*connack.assigned_client_identifier);
    }
    s.client("one").gets_nothing();
    s.client("two").gets_nothing();
    // The third one's session is stored only: its id is taken all the same.
    s.client("three").leaves();
    auto& more = s.client("more").sends(connect(Version::v5).id("").clean(false).expiry(60));
    auto assigned = more.takes<mqtt::ConnAck>().assigned_client_identifier.value();
    CHECK(std::find(ids.begin(), ids.end(), assigned) == ids.end());
    s.client("back").sends(connect(Version::v5).id(ids.back()).clean(false));
    s.client("back").gets(connack().session_present());
}

TEST_CASE("connect: a client id which the server refuses",
          "[own][v3.1.1][MQTT-3.1.3-9][MQTT-3.2.2-5][MQTT-3.1.4-5][v5.0][MQTT-3.1.3-8]"
          "[MQTT-3.1.4-6][MQTT-3.2.2-7][MQTT-4.13.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s{Setup{.more = "limits.client_id_size_max = 30"}};
    auto& b = s.watcher("b", version);
    s.client("good").sends(connect(version).id(std::string(30, 'x'))).gets(connack());
    auto& a = s.client("a");
    a.sends_together(connect(version).id(std::string(31, 'x')),
                     publish(s.topic("t"), "x", qos1).retain(), subscribe(2, s.topic("t")));
    if (version == Version::v3_1_1) {
        a.gets_hex("20 02 00 02").closes();
    } else {
        a.is_refused(ReasonCode::client_identifier_not_valid);
    }
    b.gets_nothing_of(a);
    s.connected("c", version).sends(subscribe(1, s.topic("t"))).gets(suback(1));
    s.client("c").gets_nothing();
}

TEST_CASE("connect: the new connection of a client id throws the old one out",
          "[v3.1.1][MQTT-3.1.4-2][v5.0][MQTT-3.1.4-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto newer = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& old = s.client("old").sends(connect(version).id(s.word())).gets(connack());
    s.client("new").sends(connect(newer).id(s.word())).gets(connack());
    old.is_cut(ReasonCode::session_taken_over);
    s.client("new").gets_nothing();
}

TEST_CASE("connect: a valid CONNECT is answered with code 0",
          "[v3.1.1][MQTT-3.1.4-4][v5.0][MQTT-3.1.4-5][MQTT-3.2.2-1]") {
    Conversation s;
    auto& old = s.client("old").speaks(Version::v3_1_1);
    old.sends_hex(connect_text(Version::v3_1_1, "02", "s'" + s.word() + "'"));
    old.gets_hex("20 02 00 00");
    auto& a = s.client("a").sends(connect(Version::v5).resume());
    CHECK(a.takes<mqtt::ConnAck>().reason == ReasonCode::success);
    auto const first = a.last_frame();
    CHECK(first.at(2) == std::byte{0});
    CHECK(first.at(3) == std::byte{0});
    a.leaves().sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto const second = a.last_frame();
    CHECK(second.at(2) == std::byte{1});
    CHECK(second.at(3) == std::byte{0});
}

TEST_CASE("connect: clean start decides what becomes of a session that is there",
          "[v3.1.1][MQTT-3.1.4-3][MQTT-3.2.2-1][MQTT-3.2.2-2][MQTT-3.2.2-3][v5.0]"
          "[MQTT-3.1.4-4][MQTT-3.2.2-2][MQTT-3.2.2-3][MQTT-3.1.2-6]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a");
    a.sends(connect(version).resume()).gets(connack());
    a.sends(subscribe(1, s.topic("t"))).gets(suback(1)).leaves();
    a.sends(connect(version).resume()).gets(connack().session_present()).leaves();
    a.sends(connect(version)).gets(connack()).leaves();
    a.sends(connect(version).resume()).gets(connack()).leaves();
    // A session counts without a subscription too.
    a.sends(connect(version).resume()).gets(connack().session_present()).leaves();
}

TEST_CASE("connect: packets right behind CONNECT are answered behind CONNACK",
          "[v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.client("a");
    a.sends_together(connect(version), subscribe(1, s.topic("t"), qos1),
                     publish(s.topic("t"), "x", qos1, 2), pingreq());
    a.gets(connack()).gets(suback(1));
    bool acknowledged = false;
    bool delivered = false;
    while (!acknowledged || !delivered) {  // in either order
        auto packet = a.takes_any();
        acknowledged |= std::holds_alternative<mqtt::PubAck>(packet);
        delivered |= std::holds_alternative<mqtt::Publish>(packet);
        REQUIRE_FALSE(std::holds_alternative<mqtt::ConnAck>(packet));
        if (std::holds_alternative<mqtt::PingResp>(packet)) break;
    }
    CHECK(acknowledged);
}

TEST_CASE("connect: CONNACK comes before what waited",
          "[v3.1.1][MQTT-3.2.0-1][v5.0][MQTT-3.2.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.resuming("a", version);
    a.sends(subscribe(1, s.topic("t"), qos1)).gets(suback(1)).leaves();
    s.connected("p", version).sends(publish(s.topic("t"), "x", qos1, 2)).gets(puback(2));
    a.sends(connect(version).resume()).gets(connack().session_present());
    a.receives(publish(s.topic("t"), "x", qos1)).gets_nothing();
}
