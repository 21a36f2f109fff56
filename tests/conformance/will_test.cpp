// The will (3.1.1: 3.1.2.5, 5.0: 3.1.2.5, 3.1.3.2): when it goes out, how, and when not.
#include <chrono>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;
using Clock = std::chrono::steady_clock;

namespace {

mqtt::Will delayed(mqtt::Will value, std::uint32_t seconds) {
    value.will_delay_interval = seconds;
    return value;
}

}  // namespace

TEST_CASE("will: it goes out when the connection breaks or is broken off",
          "[v3.1.1][MQTT-3.1.2-8][v5.0][MQTT-3.1.2-8]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a");
    auto begin = [&] {
        a.sends(connect(version).will(will(s.topic("w"), "gone"))).gets(connack());
    };
    auto const gone = publish(s.topic("w"), "gone");
    begin();
    a.drops();
    b.receives(gone);
    begin();
    a.sends_hex("00 00").is_cut(ReasonCode::malformed_packet);
    b.receives(gone);
    begin();
    auto& other = s.client("other").sends(connect(version).id(a.id())).gets(connack());
    a.is_cut(ReasonCode::session_taken_over);
    b.receives(gone).gets_nothing_of(other);
}

TEST_CASE("will: DISCONNECT takes it away",
          "[v3.1.1][MQTT-3.1.2-10][MQTT-3.14.4-3][v5.0]"
          "[MQTT-3.1.2-8][MQTT-3.1.2-10][MQTT-3.14.4-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a");
    for (int round = 0; round < 2; ++round) {
        a.sends(connect(version).resume().will(will(s.topic("w"), "gone")));
        (void)a.takes<mqtt::ConnAck>();
        a.sends_hex("E0 00").closes();
    }
    b.gets_nothing_of(a);
}

TEST_CASE("will: it goes out once", "[v3.1.1][MQTT-3.1.2-10][v5.0][MQTT-3.1.2-10]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a");
    a.sends(connect(version).resume().will(will(s.topic("w"), "gone"))).gets(connack()).drops();
    b.receives(publish(s.topic("w"), "gone"));
    a.sends(connect(version).resume()).gets(connack().session_present()).drops();
    b.gets_nothing_of(a);
}

TEST_CASE("will: without the flag none goes out", "[v3.1.1][MQTT-3.1.2-12]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v3_1_1);
    auto& a = s.connected("a", Version::v3_1_1).drops();
    b.gets_nothing_of(a);
}

TEST_CASE("will: it goes out with its own QoS", "[v3.1.1][MQTT-3.1.2-14][v5.0][MQTT-3.1.2-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1, qos2);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a").sends(connect(version).will(will(s.topic("w"), "gone", qos)));
    a.gets(connack()).drops();
    b.receives(publish(s.topic("w"), "gone", qos));
}

TEST_CASE("will: it is retained just if will retain says so",
          "[v3.1.1][MQTT-3.1.2-16][MQTT-3.1.2-17][v5.0][MQTT-3.1.2-14][MQTT-3.1.2-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto retain = GENERATE(false, true);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto value = will(s.topic("w"), "gone");
    value.retain = retain;
    s.client("a").sends(connect(version).will(value)).gets(connack()).drops();
    b.receives(publish(s.topic("w"), "gone"));  // RETAIN 0 over a subscription that is there
    auto& late = s.connected("late", version);
    late.sends(subscribe(1, s.topic("w"))).gets(suback(1));
    if (retain) late.receives(publish(s.topic("w"), "gone").retain());
    late.gets_nothing();
}

TEST_CASE("will: which DISCONNECT of MQTT 5 sets it free",
          "[v5.0][MQTT-3.1.2-8][MQTT-3.14.4-3][MQTT-4.13.2-1]") {
    struct Row {
        std::string_view bytes;
        bool published;
    };
    auto row = GENERATE(values<Row>({{"E0 00", false},
                                     {"E0 01 00", false},
                                     {"E0 02 00 00", false},
                                     {"E0 01 04", true},
                                     {"E0 01 80", true},
                                     {"E0 01 81", true},
                                     {"E0 01 82", true},
                                     {"E0 01 93", true}}));
    CAPTURE(row.bytes);
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto& a = s.client("a").sends(connect(Version::v5).will(will(s.topic("w"), "gone")));
    a.gets(connack()).sends_hex(row.bytes).closes();
    if (row.published) b.receives(publish(s.topic("w"), "gone"));
    b.gets_nothing_of(a);
}

TEST_CASE("will: a DISCONNECT in error leaves it",
          "[v3.1.1][MQTT-3.14.1-1][v5.0][MQTT-3.14.1-1][MQTT-3.14.2-1][MQTT-3.1.2-10]") {
    struct Row {
        std::string_view bytes;
        ReasonCode reason;
    };
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    std::vector<Row> rows{{"E1 00", ReasonCode::malformed_packet},
                          {"E2 00", ReasonCode::malformed_packet},
                          {"E8 00", ReasonCode::malformed_packet}};
    if (version == Version::v5) {
        rows.push_back({"E0 01 8E", ReasonCode::protocol_error});  // a server's code
        rows.push_back({"E0 01 05", ReasonCode::protocol_error});  // nobody's code
        rows.push_back({"E0 ( 00 ( 11 0000003C ) )", ReasonCode::protocol_error});  // 0 to 60
        rows.push_back({"E0 ( 00 ( 7F 00 ) )", ReasonCode::malformed_packet});
    }
    Conversation s;
    auto& b = s.watcher("b", version);
    for (auto const& row : rows) {
        CAPTURE(row.bytes);
        auto& a = s.client("a").sends(connect(version).will(will(s.topic("w"), "gone")));
        a.gets(connack()).sends_hex(row.bytes).is_cut(row.reason);
        b.receives(publish(s.topic("w"), "gone"));
    }
}

TEST_CASE("will: at a takeover it goes out unless the session goes on and it has a delay",
          "[v5.0][MQTT-3.1.3-9][MQTT-3.1.4-3][MQTT-3.1.2-8]") {
    auto delay = GENERATE(0U, 60U);
    auto expiry = GENERATE(0U, 3600U);
    auto clean = GENERATE(false, true);
    CAPTURE(delay, expiry, clean);
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto& old = s.client("old");
    old.sends(connect(Version::v5)
                  .id(s.word())
                  .clean(false)
                  .expiry(expiry)
                  .will(delayed(will(s.topic("w"), "gone"), delay)));
    old.gets(connack());
    auto& newer = s.client("new").sends(connect(Version::v5).id(s.word()).clean(clean).expiry(60));
    newer.gets(connack().session_present(expiry > 0 && !clean));
    old.is_cut(ReasonCode::session_taken_over);
    if (delay == 0 || expiry == 0 || clean) b.receives(publish(s.topic("w"), "gone"));
    b.gets_nothing_of(newer);
}

TEST_CASE("will: user properties keep their order", "[v5.0][MQTT-3.1.3-10][MQTT-3.3.2-18]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto value = will(s.topic("w"), "gone");
    value.properties.user_properties = {{"a", "1"}, {"b", "2"}, {"a", "3"}, {"", ""}};
    s.client("a").sends(connect(Version::v5).will(value)).gets(connack()).drops();
    b.receives(publish(s.topic("w"), "gone").properties(value.properties));
}

TEST_CASE("will: a topic with a wildcard is refused",
          "[v3.1.1][MQTT-4.7.1-1][v5.0][MQTT-4.7.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto topic = GENERATE("#", "+", "a/#", "+/b", "a/+/b", "a#");
    Conversation s;
    s.client("a").sends(connect(version).will(will(topic, "x")));
    s.client("a").is_refused(ReasonCode::topic_name_invalid);
}

TEST_CASE("will: delay and session expiry, side by side",
          "[slow][v5.0][MQTT-3.1.2-7][MQTT-3.1.2-8][MQTT-3.1.3-9][MQTT-3.1.2-10]") {
    struct Row {
        std::string name;
        std::uint32_t delay;
        std::uint32_t expiry;
        std::chrono::seconds due;
    };
    std::vector<Row> const rows{{"session ends", 60, 2, 2s},
                                {"delay ends", 2, 60, 2s},
                                {"delay ends earlier", 1, 3, 1s},
                                {"never expires", 3, 0xFFFF'FFFF, 3s},
                                {"no session", 60, 0, 0s}};
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto leaves_with_will = [&](std::string const& name, std::uint32_t delay,
                                std::uint32_t expiry) {
        auto value = delayed(will(s.topic(name), "gone"), delay);
        s.client(name).sends(connect(Version::v5).resume().expiry(expiry).will(value));
        s.client(name).gets(connack()).drops();
    };
    auto const begin = Clock::now();
    // These come back in time, or leave for good: their wills must never come.
    leaves_with_will("back", 3, 60);
    s.client("back").sends(connect(Version::v5).resume()).gets(connack().session_present());
    s.client("gone").sends(
        connect(Version::v5).resume().will(delayed(will(s.topic("gone"), "gone"), 1)));
    s.client("gone").gets(connack()).leaves();
    // This one starts its session anew: the old one ends, and its will comes at once.
    leaves_with_will("anew", 60, 60);
    s.client("anew").sends(connect(Version::v5)).gets(connack());
    b.receives(publish(s.topic("anew"), "gone"));
    CHECK(Clock::now() - begin < 50s);

    std::map<std::string, std::chrono::seconds> due;
    for (auto const& row : rows) {
        leaves_with_will(row.name, row.delay, row.expiry);
        due[s.topic(row.name)] = row.due;
    }
    auto const left = Clock::now();
    while (!due.empty()) {
        auto came = b.takes<mqtt::Publish>();
        INFO(came.topic);
        REQUIRE(due.contains(came.topic));
        auto waited = Clock::now() - begin;
        CHECK(waited >= due[came.topic]);
        // The upper bound tells delay 60 from expiry 2; a busy machine may be late.
        CHECK(Clock::now() - left < due[came.topic] + 10s);
        due.erase(came.topic);
    }
    b.gets_nothing_of(s.client("back"));
}
