// DISCONNECT and how connections end (3.14, 4.8 / 4.13), keep alive (3.1.2.10).
#include <fmt/format.h>

#include <chrono>
#include <map>
#include <set>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;
using Clock = std::chrono::steady_clock;

TEST_CASE("disconnect: the server closes too and takes nothing behind it",
          "[v3.1.1][MQTT-3.14.4-3][v5.0][MQTT-3.14.4-1][MQTT-3.14.4-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.client("a").sends(connect(version).will(will(s.topic("w"), "gone")));
    a.gets(connack());
    a.sends_together(publish(s.topic("before"), "x"), disconnect(),
                     publish(s.topic("behind"), "x", qos1).retain(),
                     subscribe(3, s.topic("behind")), pingreq());
    a.closes();
    b.receives(publish(s.topic("before"), "x")).gets_nothing_of(a);
}

TEST_CASE("disconnect: behind one of the server comes the end of the stream and nothing else",
          "[v5.0][MQTT-3.14.4-1][MQTT-3.14.4-2][MQTT-4.13.1-1][MQTT-4.13.2-1]") {
    Conversation s;
    auto& other = s.watcher("other", Version::v5);
    auto& a = s.connected("a", Version::v5);
    // Much is still on its way to the server: the reason must arrive all the same.
    Buffer flood;
    for (std::uint16_t i = 1; i <= 2000; ++i) {
        auto one = a.encoded(publish(s.topic("t"), std::string(500, 'x'), qos1, i));
        flood.insert(flood.end(), one.begin(), one.end());
    }
    a.sends_together(bytes_of("C0 80 00"), flood).is_cut(ReasonCode::malformed_packet);
    other.gets_nothing_of(a);
}

TEST_CASE("disconnect: the server says why, with a code of its table and no expiry",
          "[v5.0][MQTT-3.14.2-1][MQTT-3.14.2-2][MQTT-4.13.1-1][MQTT-4.13.2-1]") {
    // Peer refuses any other code, and the session expiry property.
    struct Row {
        std::string_view bytes;
        ReasonCode reason;
    };
    auto malformed = ReasonCode::malformed_packet;
    auto error = ReasonCode::protocol_error;
    auto row = GENERATE_COPY(values<Row>({{"00 00", malformed},
                                          {"20 03 00 00 00", error},    // CONNACK
                                          {"90 04 0001 00 00", error},  // SUBACK
                                          {"B0 04 0001 00 00", error},  // UNSUBACK
                                          {"D0 00", error},             // PINGRESP
                                          {"C0 01 00", malformed},
                                          {"30 ( s'a' ( 01 01 01 01 ) )", error},  // twice
                                          {"30 ( s'a' ( 7F 00 ) )", malformed},    // unknown
                                          {"30 ( s'a' ( 11 00000001 ) )", malformed},
                                          {"30 ( s'' 00 'x' )", error},
                                          {"30 ( s'a/#' 00 'x' )", ReasonCode::topic_name_invalid},
                                          {"50 03 0001 05", error},
                                          {"E0 01 8E", error},
                                          {"30 FF FF FF FF 01", malformed}}));
    CAPTURE(row.bytes);
    Conversation s;
    auto& other = s.connected("other", Version::v5);
    // With a session that does have an expiry, and one that has none.
    s.resuming("a", Version::v5).sends_hex(row.bytes).is_cut(row.reason);
    s.connected("b", Version::v5).sends_hex(row.bytes).is_cut(row.reason);
    other.gets_nothing();
}

TEST_CASE("disconnect: in 3.1.1 a violation ends its own connection without a word",
          "[v3.1.1][MQTT-4.8.0-1][MQTT-2.2.2-2]") {
    auto bytes = GENERATE("00 00", "F0 00", "90 03 0001 00", "20 02 00 00", "B0 02 0001", "D0 00",
                          "C1 00", "C0 01 00", "41 02 0001", "60 02 0001", "E0 01 00",
                          "40 03 0001 00", "40 01 00", "30 FF FF FF FF 01");
    CAPTURE(bytes);
    Conversation s;
    auto& other = s.watcher("other", Version::v3_1_1);
    auto& a = s.client("a");
    a.sends(connect(Version::v3_1_1).will(will(s.topic("w"), "gone"))).gets(connack());
    a.sends_hex(bytes).closes();
    other.receives(publish(s.topic("w"), "gone")).gets_nothing_of(a);
}

TEST_CASE("disconnect: wrong flags in a fixed header end the connection",
          "[v3.1.1][MQTT-2.2.2-2][MQTT-3.6.1-1][MQTT-3.14.1-1][v5.0][MQTT-2.1.3-1]"
          "[MQTT-3.6.1-1][MQTT-3.14.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto bytes =
        GENERATE("41 02 0001", "48 02 0001", "51 02 0001", "60 02 0001", "61 02 0001", "63 02 0001",
                 "66 02 0001", "6A 02 0001", "71 02 0001", "C1 00", "C8 00", "E1 00", "E2 00");
    CAPTURE(bytes);
    Conversation s;
    s.connected("a", version).sends_hex(bytes).is_cut(ReasonCode::malformed_packet);
}

TEST_CASE("keep alive: silence of 1.5 times of it ends the connection, a packet keeps it open",
          "[slow][v3.1.1][MQTT-3.1.2-24][MQTT-3.1.2-8][MQTT-4.1.0-2][v5.0][MQTT-3.1.2-22]"
          "[MQTT-3.2.2-22]") {
    Conversation s;
    auto& b = s.connected("b", Version::v5);
    b.sends(subscribe(1, s.topic("w/#"))).gets(suback(1));
    std::vector<std::string> names;
    auto begins = [&](std::string const& name, Version version, std::uint16_t seconds) -> Peer& {
        names.push_back(name);
        auto& a = s.client(name);
        a.sends(connect(version).keep_alive(seconds).will(will(s.topic("w/" + name), "gone")));
        auto told = a.takes<mqtt::ConnAck>().server_keep_alive;
        if (is_own_broker()) CHECK_FALSE(told);
        return a;
    };
    auto const begin = Clock::now();
    (void)begins("old", Version::v3_1_1, 2);
    (void)begins("new", Version::v5, 2);
    // Half a packet is none.
    begins("half", Version::v5, 2).sends_hex("30 7F 00 01 'a'");
    // What comes from the server is none either.
    begins("listens", Version::v5, 2).sends(subscribe(1, s.topic("w/#"))).gets(suback(1));
    auto& off = begins("off", Version::v5, 0);
    auto& off_old = begins("off_old", Version::v3_1_1, 0);
    auto& long_one = begins("long", Version::v5, 0xFFFF);
    auto& slower = begins("slower", Version::v5, 10);
    auto& pings = begins("pings", Version::v3_1_1, 4);

    // The will of `old` or another of the four comes after 3 s.
    std::set<std::string> ended;
    std::map<std::string, Clock::duration> after;
    for (int i = 0; i < 4; ++i) {
        auto came = b.takes<mqtt::Publish>();
        after[came.topic] = Clock::now() - begin;
        ended.insert(came.topic);
        if (i == 0) pings.gets_nothing();
    }
    CHECK(ended == std::set<std::string>{s.topic("w/old"), s.topic("w/new"), s.topic("w/half"),
                                         s.topic("w/listens")});
    for (auto const& [topic, time] : after) {
        CAPTURE(topic);
        CHECK(time >= 2900ms);
        CHECK(time < 4s + 4s);  // a busy machine may be late; keep alive 10 is later still
    }
    s.client("old").closes();
    s.client("new").is_cut(ReasonCode::keep_alive_timeout);
    s.client("half").is_cut(ReasonCode::keep_alive_timeout);
    // The slower one is still there and goes on if it says something.
    slower.gets_nothing();
    // `pings` spoke at 3 s: silent since then, it ends at 9 s, not at 6 s.
    auto pinged = b.takes<mqtt::Publish>();
    CHECK(pinged.topic == s.topic("w/pings"));
    CHECK(Clock::now() - begin >= 8500ms);
    pings.closes();
    off.gets_nothing();
    off_old.gets_nothing();
    long_one.gets_nothing();
}

TEST_CASE("keep alive: one the server sets itself counts instead",
          "[slow][own][v5.0][MQTT-3.2.2-22]") {
    Conversation s{Setup{.more = "limits.keep_alive_max = \"2 s\""}};
    auto& b = s.connected("b", Version::v3_1_1);
    auto const begin = Clock::now();
    std::vector<Peer*> held;
    for (auto seconds : {std::uint16_t{0}, std::uint16_t{60}}) {
        auto& a = s.client(fmt::format("a{}", seconds));
        a.sends(connect(Version::v5).keep_alive(seconds));
        CHECK(a.takes<mqtt::ConnAck>().server_keep_alive == 2);
        held.push_back(&a);
    }
    auto& lower = s.client("lower").sends(connect(Version::v5).keep_alive(1));
    CHECK_FALSE(lower.takes<mqtt::ConnAck>().server_keep_alive);
    lower.is_cut(ReasonCode::keep_alive_timeout);
    CHECK(Clock::now() - begin >= 1400ms);
    b.gets_nothing();
    for (auto* a : held) a->is_cut(ReasonCode::keep_alive_timeout);
    CHECK(Clock::now() - begin >= 2900ms);
    CHECK(Clock::now() - begin < 3s + 5s);
}
