// Wills: when they go out, when not, and what they carry (3.1.2.5, 3.1.3.2, 3.14.4).
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// A script with a client that watches "w".
struct Watched : Script {
    explicit Watched(mqtt::Qos qos = qos0) {
        link("watch").sends(connect(Version::v5)).gets(connack());
        link("watch").sends(subscribe(1, "w", qos)).gets(suback(1));
    }
    ScriptLink& watch() { return link("watch"); }
};

mqtt::Will delayed(std::uint32_t seconds) {
    auto value = will("w", "gone");
    value.will_delay_interval = seconds;
    return value;
}

}  // namespace

TEST_CASE("will: goes out when the connection breaks, once",
          "[v3.1.1][MQTT-3.1.2-8][MQTT-3.1.2-10][MQTT-3.1.2-12][v5.0][MQTT-3.1.2-7]"
          "[MQTT-3.1.2-8][MQTT-3.1.2-10]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Watched s;
    s.link("a").sends(connect(version).resume().will(will("w", "gone"))).gets(connack());
    s.watch().gets_nothing();
    s.link("a").drops();
    s.watch().gets(publish("w", "gone")).gets_nothing();
    // Back without a will.
    s.link("a").sends(connect(version).resume()).gets(connack().session_present()).drops();
    s.watch().gets_nothing();
}

TEST_CASE("will: goes out after a keep alive timeout and after a protocol error",
          "[v3.1.1][MQTT-3.1.2-8][MQTT-3.1.2-24][v5.0][MQTT-3.1.2-8][MQTT-3.1.2-22]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Watched s;
    s.link("a").sends(connect(version).keep_alive(10).will(will("w", "gone"))).gets(connack());
    SECTION("keep alive") {
        s.pass(14'900ms);
        s.watch().gets_nothing();
        s.pass(200ms);
    }
    SECTION("protocol error") {
        s.link("a").sends_bytes(bytes_of("C1 00"));
    }
    SECTION("packet of the wrong direction") {
        s.link("a").sends_bytes(bytes_of("D0 00"));
    }
    s.watch().gets(publish("w", "gone")).gets_nothing();
    CHECK_FALSE(s.link("a").is_open());
}

TEST_CASE("will: DISCONNECT takes it away",
          "[v3.1.1][MQTT-3.14.4-3][MQTT-3.1.2-10][v5.0][MQTT-3.14.4-3][MQTT-3.1.2-10][gotcha-7]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Watched s;
    s.link("a").sends(connect(version).resume().will(will("w", "gone"))).gets(connack());
    s.link("a").sends(disconnect()).closes();
    s.pass(2h);
    s.watch().gets_nothing();
}

TEST_CASE("will: which DISCONNECT of MQTT 5 keeps it",
          "[v5.0][MQTT-3.14.4-3][MQTT-3.1.2-8][MQTT-3.1.2-10][MQTT-4.13.2-1][gotcha-7]") {
    struct Row {
        char const* packet;
        bool goes_out;
        bool is_error;  // closed by the broker for it
    };
    auto row = GENERATE(
        Row{"E0 00", false, false}, Row{"E0 01 00", false, false}, Row{"E0 02 00 00", false, false},
        Row{"E0 01 04", true, false}, Row{"E0 01 80", true, false}, Row{"E0 01 81", true, false},
        Row{"E0 01 82", true, false}, Row{"E0 01 83", true, false}, Row{"E0 01 90", true, false},
        Row{"E0 01 93", true, false}, Row{"E0 01 94", true, false}, Row{"E0 01 95", true, false},
        Row{"E0 01 96", true, false}, Row{"E0 01 97", true, false}, Row{"E0 01 98", true, false},
        Row{"E0 01 99", true, false},
        // Broken ones are no DISCONNECT: the will goes out.
        Row{"E0 01 8E", true, true}, Row{"E0 01 01", true, true}, Row{"E1 00", true, true},
        Row{"E0 03 00 00 00", true, true},
        Row{"E0 ( 00 ( 11 0000003C ) )", true, true});  // expiry raised from 0
    Watched s;
    s.link("a").sends(connect(Version::v5).will(will("w", "gone"))).gets(connack());
    s.link("a").sends_bytes(bytes_of(row.packet));
    CHECK((s.link("a").waiting() > 0) == row.is_error);
    if (row.is_error) {
        CHECK(mqtt::is_error(s.link("a").takes<mqtt::Disconnect>().reason));
    }
    s.link("a").closes();
    if (row.goes_out) s.watch().gets(publish("w", "gone"));
    s.watch().gets_nothing();
}

TEST_CASE("will: a DISCONNECT of 3.1.1 with flags is a violation",
          "[v3.1.1][MQTT-3.14.1-1][gotcha-7]") {
    Watched s;
    s.link("a").sends(connect(Version::v3_1_1).will(will("w", "gone"))).gets(connack());
    s.link("a").sends_bytes(bytes_of("E1 00")).closes();
    s.watch().gets(publish("w", "gone")).gets_nothing();
}

TEST_CASE("will: the delay and the end of the session, whichever comes first",
          "[v5.0][MQTT-3.1.2-8][MQTT-3.1.2-7][gotcha-5]") {
    struct Row {
        std::uint32_t delay;
        std::uint32_t expiry;
        int seconds;
    };
    auto row =
        GENERATE(Row{5, 0, 0}, Row{5, 2, 2}, Row{2, 5, 2}, Row{0, 5, 0},
                 Row{2, mqtt::kSessionNeverExpires, 2}, Row{7, 7, 7}, Row{0xFFFF'FFFF, 3, 3});
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(row.expiry).will(delayed(row.delay)));
    s.link("a").gets(connack()).drops();
    if (row.seconds > 0) {
        s.pass(std::chrono::seconds{row.seconds} - 1ms);
        s.watch().gets_nothing();
        s.pass(60ms);
    }
    s.watch().gets(publish("w", "gone"));
    s.pass(30s);
    s.watch().gets_nothing();
}

TEST_CASE("will: an expiry interval in DISCONNECT counts", "[v5.0][MQTT-3.1.2-8][gotcha-5]") {
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(60).will(delayed(30))).gets(connack());
    s.link("a").sends(disconnect(ReasonCode::disconnect_with_will_message, 5)).closes();
    s.pass(4s);
    s.watch().gets_nothing();
    s.pass(1'100ms);
    s.watch().gets(publish("w", "gone"));
}

TEST_CASE("will: coming back within the delay calls it off", "[v5.0][MQTT-3.1.3-9][gotcha-6]") {
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(60).will(delayed(5))).gets(connack()).drops();
    s.pass(4'900ms);
    s.link("a").sends(connect(Version::v5).clean(false).expiry(60));
    s.link("a").gets(connack().session_present());
    s.pass(60s);
    s.link("a").drops();
    s.pass(200s);
    s.watch().gets_nothing();
}

TEST_CASE("will: coming back when the delay is over does not call it off", "[gotcha-6]") {
    bool clean = GENERATE(false, true);
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(60).will(delayed(5))).gets(connack()).drops();
    s.jump(5s);  // the timer need not have run
    s.link("a").sends(connect(Version::v5).clean(clean).expiry(60).will(will("w", "second")));
    s.link("a").gets(connack().session_present(!clean));
    s.watch().gets(publish("w", "gone")).gets_nothing();
    s.link("a").drops();
    s.watch().gets(publish("w", "second")).gets_nothing();
}

TEST_CASE("will: coming back with clean start ends the old session, so it goes out now",
          "[v5.0][MQTT-3.1.2-8][MQTT-3.1.2-4][gotcha-6]") {
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(60).will(delayed(5))).gets(connack()).drops();
    s.pass(1s);
    s.watch().gets_nothing();
    s.link("a").sends(connect(Version::v5)).gets(connack());
    s.watch().gets(publish("w", "gone"));
    s.pass(60s);
    s.watch().gets_nothing();
}

TEST_CASE("will: QoS and RETAIN as in CONNECT",
          "[v3.1.1][MQTT-3.1.2-14][MQTT-3.1.2-16][MQTT-3.1.2-17][v5.0][MQTT-3.1.2-12]"
          "[MQTT-3.1.2-14][MQTT-3.1.2-15]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1, qos2);
    bool retain = GENERATE(false, true);
    Watched s{qos2};
    auto gone = will("w", "gone", qos);
    gone.retain = retain;
    s.link("a").sends(connect(version).will(gone)).gets(connack()).drops();
    s.watch().gets(publish("w", "gone", qos, 1)).gets_nothing();
    s.link("late").sends(connect(version)).gets(connack());
    s.link("late").sends(subscribe(1, "w", qos2)).gets(suback(1));
    if (retain) s.link("late").gets(publish("w", "gone", qos, 1).retain());
    s.link("late").gets_nothing();
}

TEST_CASE("will: its properties go with it, the delay does not, and its expiry begins when it does",
          "[v5.0][MQTT-3.1.3-10][MQTT-3.3.2-17][MQTT-3.3.2-18][gotcha-8]") {
    Watched s;
    auto gone = delayed(3);
    gone.properties.payload_format_indicator = 1;
    gone.properties.message_expiry_interval = 10;
    gone.properties.content_type = "text";
    gone.properties.response_topic = "re";
    gone.properties.correlation_data = to_buffer(std::string_view{"\0\xFF", 2});
    gone.properties.user_properties = {{"b", "1"}, {"a", "2"}, {"b", "1"}, {"", ""}};
    s.link("a").sends(connect(Version::v5).expiry(60).will(gone)).gets(connack()).drops();
    s.pass(3'100ms);
    s.watch().gets(publish("w", "gone").properties(gone.properties));
}

TEST_CASE("will: an empty retained will removes what is retained") {
    Watched s;
    s.link("p").sends(connect(Version::v5)).gets(connack());
    s.link("p").sends(publish("w", "here").retain()).gets_nothing();
    s.watch().gets(publish("w", "here"));
    CHECK(s.retained().count() == 1);
    auto gone = will("w", "");
    gone.retain = true;
    s.link("a").sends(connect(Version::v5).will(gone)).gets(connack()).drops();
    s.watch().gets(publish("w", ""));
    CHECK(s.retained().count() == 0);
}

TEST_CASE("will: counts as published by its client for no local",
          "[v5.0][MQTT-3.8.3-3][gotcha-51]") {
    Watched s;
    s.link("a").sends(connect(Version::v5).expiry(60).will(delayed(3))).gets(connack());
    s.link("a").sends(subscribe(1, "w", qos1).no_local()).gets(suback(1)).drops();
    s.link("b").sends(connect(Version::v5)).gets(connack());
    s.link("b").sends(subscribe(1, "w", qos1).no_local()).gets(suback(1));
    s.pass(3'100ms);
    s.watch().gets(publish("w", "gone"));
    s.link("b").gets(publish("w", "gone"));
    s.link("a").sends(connect(Version::v5).clean(false).expiry(60));
    s.link("a").gets(connack().session_present()).gets_nothing();
}

TEST_CASE("will: reaches subscribers on other shards") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.shards = 2}};
    auto watcher = s.id_on_shard(0, "watch");
    auto dying = s.id_on_shard(1, "a");
    s.link(watcher).sends(connect(version)).gets(connack());
    s.link(watcher).sends(subscribe(1, "w", qos1)).gets(suback(1));
    s.link(dying).sends(connect(version).will(will("w", "gone", qos1))).gets(connack()).drops();
    s.link(watcher).gets(publish("w", "gone", qos1, 1));
}
