#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;

namespace {

constexpr auto kOk = ReasonCode::success;

void is_broken(ClientScript& s, ReasonCode reason) {
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->cause == CloseCause::server_error);
    CHECK(s.app.closed->reason == reason);
    auto lines = lines_of(s.takes());
    if (s.version == Version::v5) {
        REQUIRE_FALSE(lines.empty());
        CHECK(lines.back() == line_of(Disconnect{.reason = reason}));
    }
}

}  // namespace

TEST_CASE("receive: each QoS gets its answer",
          "[client][v3.1.1][MQTT-4.5.0-2][MQTT-4.3.2-2][v5.0][MQTT-4.5.0-2][MQTT-3.3.4-1]"
          "[MQTT-4.3.2-4][MQTT-4.3.3-8][MQTT-4.3.3-11]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    auto full = message("b", "1", kQos1, 7);
    full.retain = true;
    if (version == Version::v5) {
        full.properties.payload_format_indicator = 1;
        full.properties.message_expiry_interval = 9;
        full.properties.content_type = "text/plain";
        full.properties.response_topic = "re";
        full.properties.correlation_data = to_buffer("c");
        full.properties.user_properties = {{"k", "v"}};
        full.subscription_identifiers = {3, 400};
    }
    s.gives(message("a", "0"));
    s.gives(full);
    s.gives(message("c", "2", kQos2, 8));
    CHECK(lines_of(s.takes()) == Lines{"PUBACK 7", "PUBREC 8"});
    REQUIRE(s.app.messages.size() == 3);
    CHECK(s.app.messages[0].packet == message("a", "0"));
    CHECK(s.app.messages[0].token == AckToken{});
    CHECK(s.app.messages[1].packet == full);
    CHECK(s.app.messages[2].packet == message("c", "2", kQos2, 8));
    s.gives(PubRel{.id = PacketId{8}});
    CHECK(lines_of(s.takes()) == Lines{"PUBCOMP 8"});
}

TEST_CASE("receive: the same id is a new message once its exchange is over",
          "[client][v3.1.1][MQTT-4.3.2-2][MQTT-4.3.3-2][v5.0][MQTT-4.3.2-5][MQTT-4.3.3-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.gives(message("a", "1", kQos1, 5));
    s.gives(with_dup(message("a", "2", kQos1, 5)));
    CHECK(s.app.take_messages().size() == 2);
    s.gives(message("a", "3", kQos2, 5));
    s.gives(PubRel{.id = PacketId{5}});
    s.gives(with_dup(message("a", "4", kQos2, 5)));
    CHECK(s.app.take_messages().size() == 2);
}

TEST_CASE("receive: a repeated QoS 2 PUBLISH gets PUBREC and is not handed over again",
          "[client][v3.1.1][MQTT-4.3.3-2][v5.0][MQTT-4.3.3-10]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool dup = GENERATE(true, false);  // the id decides, not the flag
    ClientScript s{version};
    s.connects();
    s.gives(message("a", "1", kQos2, 5));
    static_cast<void>(s.takes());
    SECTION("on the same connection") {}
    SECTION("on the next one") {
        s.drops();
        s.connects({.session_present = true});
    }
    auto again = message("a", "1", kQos2, 5);
    again.dup = dup;
    s.gives(again);
    CHECK(lines_of(s.takes()) == Lines{"PUBREC 5"});
    CHECK(s.app.messages.size() == 1);
}

TEST_CASE("receive: without the session QoS 2 ids mean new messages",
          "[client][v5.0][MQTT-3.2.2-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.gives(message("a", "1", kQos2, 5));
    s.drops();
    s.connects();
    s.gives(message("a", "2", kQos2, 5));
    CHECK(s.app.messages.size() == 2);
}

TEST_CASE("receive: PUBREL is always answered, known or not",
          "[client][v3.1.1][MQTT-4.3.3-2][v5.0][MQTT-4.3.3-11]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.gives(PubRel{.id = PacketId{5}});
    auto unknown = version == Version::v5 ? Lines{"PUBCOMP 5 0x92"} : Lines{"PUBCOMP 5"};
    CHECK(lines_of(s.takes()) == unknown);
    s.gives(message("a", "1", kQos2, 6));
    static_cast<void>(s.takes());
    s.drops();
    s.connects({.session_present = true});
    s.gives(PubRel{.id = PacketId{6}});
    CHECK(lines_of(s.takes()) == Lines{"PUBCOMP 6"});
}

TEST_CASE("receive: acknowledged later, answers leave in the order of arrival",
          "[client][v3.1.1][MQTT-4.6.0-2][MQTT-4.6.0-3][v5.0][MQTT-4.6.0-2][MQTT-4.6.0-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    s.gives(message("a", "1", kQos1, 11));
    s.gives(message("a", "2", kQos2, 12));
    s.gives(message("a", "3", kQos1, 13));
    s.gives(message("a", "0"));
    s.gives(message("a", "4", kQos2, 14));
    CHECK(s.takes().empty());
    auto seen = s.app.take_messages();
    REQUIRE(seen.size() == 5);
    CHECK(s.machine.acknowledge(seen[1].token, kOk, s.now));
    CHECK(s.machine.acknowledge(seen[2].token, kOk, s.now));
    CHECK(s.takes().empty());  // 11 comes first
    CHECK_FALSE(s.machine.acknowledge(seen[1].token, kOk, s.now));
    CHECK(s.machine.acknowledge(seen[0].token, kOk, s.now));
    CHECK(lines_of(s.takes()) == Lines{"PUBACK 11", "PUBREC 12", "PUBACK 13"});
    CHECK_FALSE(s.machine.acknowledge(seen[0].token, kOk, s.now));
    s.app.acknowledges = Acknowledge::now;
    s.gives(message("a", "5", kQos1, 15));
    CHECK(s.takes().empty());
    CHECK(s.machine.acknowledge(seen[4].token, kOk, s.now));
    CHECK(lines_of(s.takes()) == Lines{"PUBREC 14", "PUBACK 15"});
}

TEST_CASE("receive: a message may be acknowledged out of its event", "[client]") {
    ClientScript s{Version::v5};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    s.app.then = [&] {
        s.machine.acknowledge(s.app.messages.back().token, ReasonCode::not_authorized, s.now);
    };
    s.gives(message("a", "1", kQos1, 1));
    CHECK(lines_of(s.takes()) == Lines{"PUBACK 1 0x87"});
}

TEST_CASE("receive: many late acknowledgements in any order", "[client]") {
    ClientScript s{Version::v3_1_1};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    Lines expected;
    for (std::uint16_t id = 1; id <= 500; ++id) {
        s.gives(message("a", "x", id % 3 == 0 ? kQos2 : kQos1, id));
        expected.push_back((id % 3 == 0 ? "PUBREC " : "PUBACK ") + std::to_string(id));
    }
    auto seen = s.app.take_messages();
    Lines lines;
    for (std::size_t i = 0; i < 500; ++i) {
        // Pairs swapped: each odd step releases two.
        CHECK(s.machine.acknowledge(seen[i ^ 1].token, kOk, s.now));
        for (auto& line : lines_of(s.takes())) lines.push_back(line);
    }
    CHECK(lines == expected);
}

TEST_CASE("receive: a QoS 1 message that was not acknowledged is too late after a cut",
          "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    s.gives(message("a", "1", kQos1, 5));
    s.drops();
    auto token = s.app.messages.at(0).token;
    CHECK_FALSE(s.machine.acknowledge(token, kOk, s.now));
    s.connects({.session_present = true});
    s.gives(with_dup(message("a", "1", kQos1, 5)));
    REQUIRE(s.app.messages.size() == 2);
    CHECK_FALSE(s.machine.acknowledge(token, kOk, s.now));
    CHECK(s.takes().empty());
    CHECK(s.machine.acknowledge(s.app.messages[1].token, kOk, s.now));
    CHECK(lines_of(s.takes()) == Lines{"PUBACK 5"});
}

TEST_CASE("receive: a QoS 2 message is handed over once even if acknowledged on a later connection",
          "[client][v5.0][MQTT-4.3.3-10]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    s.gives(message("a", "1", kQos2, 5));
    auto token = s.app.messages.at(0).token;
    s.drops();
    SECTION("before the repetition") {
        CHECK(s.machine.acknowledge(token, kOk, s.now));
        s.connects({.session_present = true});
        s.gives(with_dup(message("a", "1", kQos2, 5)));
        CHECK(lines_of(s.takes()) == Lines{"PUBREC 5"});
    }
    SECTION("after the repetition") {
        s.connects({.session_present = true});
        s.gives(with_dup(message("a", "1", kQos2, 5)));
        s.gives(with_dup(message("a", "1", kQos2, 5)));
        CHECK(s.takes().empty());
        CHECK(s.machine.acknowledge(token, kOk, s.now));
        CHECK(lines_of(s.takes()) == Lines{"PUBREC 5"});
    }
    SECTION("not once the session is gone") {
        s.connects();
        CHECK_FALSE(s.machine.acknowledge(token, kOk, s.now));
        s.gives(message("a", "new", kQos2, 5));
        CHECK(s.app.messages.size() == 2);
        return;
    }
    CHECK(s.app.messages.size() == 1);
    s.gives(PubRel{.id = PacketId{5}});
    CHECK(lines_of(s.takes()) == Lines{"PUBCOMP 5"});
}

TEST_CASE("receive: PUBREC with an error ends the exchange", "[client][v5.0][MQTT-4.3.3-9]") {
    ClientScript s{Version::v5};
    s.app.acknowledges = Acknowledge::later;
    s.connect.receive_maximum = 1;
    s.connects();
    s.gives(message("a", "1", kQos2, 5));
    s.machine.acknowledge(s.app.messages[0].token, ReasonCode::quota_exceeded, s.now);
    CHECK(lines_of(s.takes()) == Lines{"PUBREC 5 0x97"});
    s.gives(message("a", "2", kQos2, 5));
    CHECK(s.app.messages.size() == 2);
    CHECK_FALSE(s.app.closed);
}

TEST_CASE("receive: PUBREL for a message without PUBREC breaks the protocol", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.app.acknowledges = Acknowledge::later;
    s.connects();
    s.gives(message("a", "1", kQos2, 5));
    s.gives(PubRel{.id = PacketId{5}});
    is_broken(s, ReasonCode::protocol_error);
}

TEST_CASE("receive: no more than the own receive maximum may be open",
          "[client][v5.0][MQTT-3.3.4-9]") {
    ClientScript s{Version::v5};
    s.app.acknowledges = Acknowledge::later;
    s.connect.receive_maximum = 2;
    s.connects();
    s.gives(message("a", "1", kQos1, 1));
    s.gives(message("a", "2", kQos2, 2));
    s.gives(message("a", "0"));
    CHECK(s.app.messages.size() == 3);
    SECTION("one more is too many") {
        s.gives(message("a", "3", GENERATE(kQos1, kQos2), 3));
        CHECK(s.app.messages.size() == 3);
        is_broken(s, ReasonCode::receive_maximum_exceeded);
    }
    SECTION("PUBREC frees nothing, PUBCOMP does") {
        s.machine.acknowledge(s.app.messages[0].token, kOk, s.now);
        s.machine.acknowledge(s.app.messages[1].token, kOk, s.now);
        s.gives(message("a", "3", kQos1, 3));  // in place of 1
        CHECK_FALSE(s.app.closed);
        s.gives(PubRel{.id = PacketId{2}});
        s.gives(message("a", "4", kQos2, 4));
        CHECK_FALSE(s.app.closed);
        s.gives(message("a", "5", kQos1, 5));
        is_broken(s, ReasonCode::receive_maximum_exceeded);
    }
    SECTION("a repetition is not one more") {
        s.gives(with_dup(message("a", "2", kQos2, 2)));
        CHECK_FALSE(s.app.closed);
    }
    SECTION("the next connection begins anew, a repetition counts there") {
        s.drops();
        s.connects({.session_present = true});
        s.gives(with_dup(message("a", "1", kQos1, 1)));
        s.gives(with_dup(message("a", "2", kQos2, 2)));
        CHECK_FALSE(s.app.closed);
        s.gives(message("a", "3", kQos1, 3));
        is_broken(s, ReasonCode::receive_maximum_exceeded);
    }
    SECTION("ids open from before count only when they come again") {
        s.drops();
        s.connects({.session_present = true});
        s.gives(message("a", "3", kQos1, 3));
        s.gives(message("a", "4", kQos1, 4));
        CHECK_FALSE(s.app.closed);
    }
}

TEST_CASE("receive: automatic answers never fill the receive maximum", "[client]") {
    ClientScript s{Version::v5};
    s.connect.receive_maximum = 1;
    s.connects();
    for (std::uint16_t id = 1; id <= 100; ++id) s.gives(message("a", "x", kQos1, id));
    CHECK_FALSE(s.app.closed);
    CHECK(s.takes().size() == 100);
}

TEST_CASE("aliases: the server's are resolved", "[client][v5.0][MQTT-3.3.2-7][MQTT-3.3.2-10]") {
    ClientScript s{Version::v5};
    s.connect.topic_alias_maximum = 2;
    s.connects();
    auto with_alias = [](std::string topic, std::uint16_t alias) {
        auto packet = message(std::move(topic), "x");
        packet.topic_alias = alias;
        return packet;
    };
    auto topics = [&] {
        Lines result;
        for (auto const& seen : s.app.take_messages()) result.push_back(seen.packet.topic);
        return result;
    };
    s.gives(with_alias("first", 2));
    s.gives(with_alias("", 2));
    s.gives(with_alias("second", 1));
    s.gives(with_alias("", 2));
    s.gives(with_alias("third", 2));  // moves the alias
    s.gives(with_alias("", 2));
    CHECK(topics() == Lines{"first", "first", "second", "first", "third", "third"});
    SECTION("an unknown alias") {
        s.drops();
        s.connects({.session_present = true});  // mappings do not outlive the connection
        s.gives(with_alias("", 2));
        is_broken(s, ReasonCode::protocol_error);
    }
    SECTION("above the maximum") {
        s.gives(with_alias("x", 3));
        is_broken(s, ReasonCode::topic_alias_invalid);
    }
    SECTION("0") {
        Buffer bytes;
        encode(with_alias("x", 1), s.version, bytes);
        bytes[8] = std::byte{0};  // 30 len 0001'x' 03 23 0001
        s.gives_bytes(bytes);
        is_broken(s, ReasonCode::topic_alias_invalid);
    }
    SECTION("none announced") {
        s.drops();
        s.connect.topic_alias_maximum.reset();
        s.connects({.session_present = true});
        s.gives(with_alias("x", 1));
        is_broken(s, ReasonCode::topic_alias_invalid);
    }
    CHECK(topics().empty());
}

TEST_CASE("aliases: the topic of a message stays good while its event runs", "[client]") {
    ClientScript s{Version::v5};
    s.connect.topic_alias_maximum = 1;
    s.connects();
    auto packet = message("topic/that/is/long/enough", "x");
    packet.topic_alias = 1;
    s.gives(packet);
    packet.topic.clear();
    CHECK(s.app.messages.at(0).packet.topic == "topic/that/is/long/enough");
    s.app.then = [&] { s.machine.disconnect({}, s.now); };
    s.gives(packet);
    CHECK(s.app.messages.at(1).packet.topic == "topic/that/is/long/enough");
}

TEST_CASE("aliases: the client uses as many as both sides allow",
          "[client][v5.0][MQTT-3.2.2-17][MQTT-3.2.2-18][MQTT-3.3.2-8][MQTT-3.3.2-9]") {
    auto ours = GENERATE(std::uint16_t{0}, std::uint16_t{2}, std::uint16_t{100});
    auto servers = GENERATE(std::uint16_t{0}, std::uint16_t{2}, std::uint16_t{100});
    ClientScript s{Version::v5, {.topic_aliases_max = ours}};
    s.connects({.topic_alias_maximum = servers});
    for (auto const* topic : {"t1", "t2", "t3", "t1", "t2", "t3"}) s.publish(message(topic, "x"));
    auto lines = lines_of(s.takes());
    auto count = std::min(ours, servers);
    if (count == 0) {
        CHECK(lines == Lines{"PUBLISH t1 x", "PUBLISH t2 x", "PUBLISH t3 x", "PUBLISH t1 x",
                             "PUBLISH t2 x", "PUBLISH t3 x"});
    } else if (count == 2) {
        CHECK(lines == Lines{"PUBLISH t1 x alias1", "PUBLISH t2 x alias2", "PUBLISH t3 x",
                             "PUBLISH - x alias1", "PUBLISH - x alias2", "PUBLISH t3 x"});
    } else {
        CHECK(lines == Lines{"PUBLISH t1 x alias1", "PUBLISH t2 x alias2", "PUBLISH t3 x alias3",
                             "PUBLISH - x alias1", "PUBLISH - x alias2", "PUBLISH - x alias3"});
    }
}

TEST_CASE("aliases: a new connection begins without any", "[client][v5.0][MQTT-3.3.2-7]") {
    ClientScript s{Version::v5, {.topic_aliases_max = 10}};
    s.connects({.topic_alias_maximum = 10});
    s.publish(message("t", "0"));
    s.publish(message("t", "1", kQos1));
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH t 0 alias1", "PUBLISH - 1 qos1 id1 alias1"});
    s.drops();
    SECTION("with aliases") {
        s.connects({.session_present = true, .topic_alias_maximum = 10});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH t 1 qos1 id1 dup alias1"});
    }
    SECTION("without") {
        s.connects({.session_present = true});
        CHECK(lines_of(s.takes()) == Lines{"PUBLISH t 1 qos1 id1 dup"});
    }
}

TEST_CASE("aliases: a packet that does not fit sets none", "[client]") {
    ClientScript s{Version::v5, {.topic_aliases_max = 10}};
    s.connects({.maximum_packet_size = 30, .topic_alias_maximum = 10});
    // 2 fixed header, 6 topic, 1 property length
    s.publish(message("topi", std::string(22, 'x')), 1);
    CHECK(s.takes().empty());
    s.publish(message("topi", std::string(21, 'x')), 2);  // fits without an alias only
    s.publish(message("topi", "small"), 3);
    s.publish(message("topi", std::string(21, 'x')), 4);  // and now with it
    CHECK(lines_of(s.takes()) == Lines{"PUBLISH topi " + std::string(21, 'x'),
                                       "PUBLISH topi small alias1",
                                       "PUBLISH - " + std::string(21, 'x') + " alias1"});
    CHECK(s.app.outcomes.front() == Outcome{1, kNotSent, NotSent::too_large});
}
