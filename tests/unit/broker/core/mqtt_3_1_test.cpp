// What MQTT 3.1 does in another way than 3.1.1 (MQTT V3.1 Protocol Specification, 2010).
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

TEST_CASE("MQTT 3.1: needs a client id, whatever clean session says", "[gotcha-11][gotcha-12]") {
    bool clean = GENERATE(false, true);
    Script s;
    s.link("a").sends(connect(Version::v3_1).id("").clean(clean));
    s.link("a").gets(connack(ReasonCode::client_identifier_not_valid));
    CHECK(s.link("a").last_frame() == bytes_of("20 02 00 02"));
    s.link("a").closes();
    CHECK(s.core().sessions().size() == 0);
}

TEST_CASE("MQTT 3.1: ids of 1 to 23 characters are taken, and longer ones too", "[gotcha-12]") {
    auto size = GENERATE(1U, 23U, 24U, 1024U);
    Script s;
    s.link("a").sends(connect(Version::v3_1).id(std::string(size, 'x'))).gets(connack());
    s.link("b").sends(connect(Version::v3_1).id(std::string(1025, 'x')));
    s.link("b").gets(connack(ReasonCode::client_identifier_not_valid)).closes();
}

TEST_CASE("MQTT 3.1: connect flags that say nothing are not looked at", "[gotcha-12][gotcha-13]") {
    // Bit 0 is not used; QoS and RETAIN of a will count only if there is one.
    auto flags = GENERATE(range(0U, 256U));
    auto mark = [&](unsigned bit) { return (flags & bit) != 0; };
    Buffer body = bytes_of("s'MQIsdp' 03");
    auto add = [&](Buffer const& more) { body.insert(body.end(), more.begin(), more.end()); };
    add({static_cast<std::byte>(flags)});
    add(bytes_of("0000 s'a'"));
    if (mark(0x04)) add(bytes_of("s'w' s'will'"));
    if (mark(0x80)) add(bytes_of("s'user'"));
    if (mark(0x40)) add(bytes_of("s'password'"));
    bool good = !(mark(0x04) && (flags >> 3 & 3) == 3) && !(mark(0x40) && !mark(0x80));
    CAPTURE(flags);
    Script s;
    s.link("a").sends_bytes(frame_of(0x10, body));
    if (good) {
        s.link("a").gets(connack()).gets_nothing();
        CHECK((s.session("a")->will != nullptr) == mark(0x04));
    } else {
        s.link("a").closes();
    }
}

TEST_CASE("MQTT 3.1: DUP on PUBREL, SUBSCRIBE and UNSUBSCRIBE is legal there alone",
          "[v3.1.1][MQTT-2.2.2-2][MQTT-3.6.1-1][MQTT-3.8.1-1][MQTT-3.10.1-1][v5.0][MQTT-3.6.1-1]"
          "[MQTT-3.8.1-1][MQTT-3.10.1-1][gotcha-12][gotcha-22]") {
    auto version = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    struct Row {
        char const* bytes;
        char const* in_5;
        char const* answer;
    };
    auto row = GENERATE(Row{"6A 02 0007", "6A 02 0007", "70 02 0007"},
                        Row{"8A ( 0007 s'a' 01 )", "8A ( 0007 00 s'a' 01 )", "90 03 0007 01"},
                        Row{"AA ( 0007 s'a' )", "AA ( 0007 00 s'a' )", "B0 02 0007"});
    bool v5 = version == Version::v5;
    Script s;
    s.link("a").sends(connect(version)).gets(connack());
    s.link("a").sends_bytes(bytes_of(v5 ? row.in_5 : row.bytes));
    if (version == Version::v3_1) {
        (void)s.link("a").takes_any();
        CHECK(s.link("a").last_frame() == bytes_of(row.answer));
        s.link("a").gets_nothing();
    } else {
        if (v5) s.link("a").gets(disconnect(ReasonCode::malformed_packet));
        s.link("a").closes();
    }
}

TEST_CASE("MQTT 3.1: SUBACK has no code for a failure", "[gotcha-12]") {
    Script s{{.settings = {.subscriptions_per_session_max = 1}}};
    s.link("a").sends(connect(Version::v3_1)).gets(connack());
    s.link("a").sends(subscribe(1, "a", qos1).also("b", qos1));
    s.link("a").gets(suback(1, {ReasonCode::granted_qos_1, ReasonCode::granted_qos_0}));
    CHECK(s.index().subscription_count() == 1);
}

TEST_CASE("MQTT 3.1: messages, wills and sessions work as in 3.1.1", "[gotcha-12]") {
    auto other = GENERATE(Version::v3_1, Version::v3_1_1, Version::v5);
    Script s;
    s.link("old").sends(connect(Version::v3_1).resume().will(will("w", "gone", qos1)));
    s.link("old").gets(connack());
    s.link("old").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("b").sends(connect(other)).gets(connack());
    s.link("b").sends(subscribe(1, "w", qos2)).gets(suback(1));
    for (auto qos : {qos0, qos1, qos2}) {
        s.link("b").sends(publish("t", "x", qos, 1));
        if (qos == qos1) s.link("b").gets(puback(1));
        if (qos == qos2) s.link("b").gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    }
    CHECK(answer_all(s.link("old")).size() == 3);
    s.link("old").drops();
    s.link("b").gets(publish("w", "gone", qos1, 1));
    // Session present came with 3.1.1; the byte is reserved in 3.1, whose clients do not look.
    s.link("old").sends(connect(Version::v3_1).resume());
    (void)s.link("old").takes_any();
    CHECK(s.session("old")->subscriptions.size() == 1);
}
