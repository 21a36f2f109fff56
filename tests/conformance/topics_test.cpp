// Topic names and filters (4.7).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// SUBSCRIBE to a filter that is none: an error for it alone, or the end of the connection; 3.1.1
/// leaves the same choice. It never becomes a subscription.
void is_refused_filter(Conversation& s, Version version, std::string const& filter) {
    CAPTURE(filter);
    auto& a = s.connected("a", version).sends(subscribe(1, filter, qos1));
    auto packet = a.takes_or_ends();
    if (!packet) {
        CHECK_FALSE((is_own_broker() && version == Version::v5));
    } else if (auto* suback = std::get_if<mqtt::SubAck>(&*packet)) {
        REQUIRE(suback->reasons.size() == 1);
        CHECK(mqtt::is_error(suback->reasons[0]));
        CHECK_FALSE(is_own_broker());
    } else {
        REQUIRE(std::holds_alternative<mqtt::Disconnect>(*packet));
        if (is_own_broker()) {
            CHECK(std::get<mqtt::Disconnect>(*packet).reason == ReasonCode::malformed_packet);
        }
        a.closes();
    }
    a.drops();
}

/// Takes everything until a packet of this kind comes: a filter such as # brings what other tests
/// have left retained. Out: whether a message to `topic` was among it.
template <class Packet>
bool came_before(Peer& b, std::string const& topic) {
    bool came = false;
    for (auto packet = b.takes_any(); !std::holds_alternative<Packet>(packet);
         packet = b.takes_any()) {
        came |= std::get<mqtt::Publish>(packet).topic == topic;
    }
    return came;
}

/// Whether a message to `topic` comes to a subscriber of `filter`; both hold this run's word.
bool matches(Conversation& s, Version version, std::string const& filter,
             std::string const& topic) {
    auto const end = s.topic("the end");
    auto& b = s.connected("b", version).sends(subscribe(1, end)).gets(suback(1));
    b.sends(subscribe(2, filter));
    CHECK_FALSE(came_before<mqtt::SubAck>(b, topic));
    auto& p = s.connected("p", version);
    p.sends(publish(topic, "x")).sends(publish(end, "x"));
    bool came = false;
    for (auto message = b.takes<mqtt::Publish>(); message.topic != end;
         message = b.takes<mqtt::Publish>()) {
        came |= message.topic == topic;
    }
    b.drops();
    p.leaves();
    return came;
}

}  // namespace

TEST_CASE("topics: '#' stands alone or behind '/' and last",
          "[v3.1.1][MQTT-4.7.1-2][v5.0][MQTT-4.7.1-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (std::string filter : {"a#", "a/#/b", "#a", "##", "a/b#", "#/a", "a/#b", "#/"}) {
        is_refused_filter(s, version, s.topic(filter));
        is_refused_filter(s, version, filter);
    }
    CHECK(matches(s, version, s.topic("a/#"), s.topic("a")));
    CHECK(matches(s, version, s.topic("a/#"), s.topic("a/")));
    CHECK(matches(s, version, s.topic("a/#"), s.topic("a/b/c")));
    CHECK_FALSE(matches(s, version, s.topic("a/#"), s.topic("ab")));
    CHECK(matches(s, version, "#", s.topic("a")));
    CHECK(matches(s, version, "#", "/" + s.topic("a")));
}

TEST_CASE("topics: '+' fills a whole level, whichever",
          "[v3.1.1][MQTT-4.7.1-3][v5.0][MQTT-4.7.1-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    for (std::string filter : {"a+", "a/+b", "++", "+a/b", "a/b+/c"}) {
        is_refused_filter(s, version, s.topic(filter));
        is_refused_filter(s, version, filter);
    }
    auto const& word = s.word();
    CHECK(matches(s, version, "+", word));
    CHECK_FALSE(matches(s, version, "+", "/" + word));
    CHECK(matches(s, version, "/+", "/" + word));
    CHECK(matches(s, version, "+/+", "/" + word));
    CHECK(matches(s, version, "+/+", word + "/"));
    CHECK(matches(s, version, s.topic("a/+/b"), s.topic("a/x/b")));
    CHECK(matches(s, version, s.topic("a/+/b"), s.topic("a//b")));
    CHECK_FALSE(matches(s, version, s.topic("a/+/b"), s.topic("a/x/y/b")));
    CHECK(matches(s, version, "+/b/#", word + "/b/c/d"));
    CHECK(matches(s, version, "+/b/#", word + "/b"));
    CHECK(matches(s, version, s.topic("a/+"), s.topic("a/")));
    CHECK_FALSE(matches(s, version, s.topic("a/+"), s.topic("a")));
}

TEST_CASE("topics: a wildcard in front does not match what begins with $",
          "[v3.1.1][MQTT-4.7.2-1][v5.0][MQTT-4.7.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto const topic = "$t" + s.topic("x");  // "$tc17/x"
    auto const top = "$t" + s.word();
    CHECK_FALSE(matches(s, version, "#", topic));
    CHECK_FALSE(matches(s, version, "+/x", topic));
    CHECK_FALSE(matches(s, version, "+/#", topic));
    CHECK_FALSE(matches(s, version, "+/+", topic));
    if (version == Version::v5) {
        CHECK_FALSE(matches(s, version, "$share/" + s.word() + "/#", topic));
        CHECK(matches(s, version, "$share/" + s.word() + "/" + top + "/#", topic));
    }
    CHECK(matches(s, version, top + "/#", topic));
    CHECK(matches(s, version, top + "/+", topic));
    CHECK(matches(s, version, topic, topic));
    CHECK(matches(s, version, s.topic("+"), s.topic("$x")));  // only in front
    // Retained ones neither.
    auto& a = s.connected("a", version);
    a.sends(publish(topic, "kept", qos1, 3).retain()).gets(puback(3));
    auto& late = s.connected("late", version);
    late.sends(subscribe(1, "+/x")).sends(subscribe(2, "#")).sends(pingreq());
    bool came = came_before<mqtt::SubAck>(late, topic);
    came |= came_before<mqtt::SubAck>(late, topic);
    CHECK_FALSE((came_before<mqtt::PingResp>(late, topic) || came));
    late.sends(subscribe(3, topic)).gets(suback(3)).gets(publish(topic, "kept").retain());
    a.sends(publish(topic, "", qos1, 3).retain()).gets(puback(3));
}

TEST_CASE("topics: names and filters have at least one character",
          "[v3.1.1][MQTT-4.7.3-1][v5.0][MQTT-4.7.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    if (version == Version::v3_1_1) {
        s.connected("a", version).sends_hex("82 ( 0001 s'' 00 )").closes();
        s.connected("a", version).sends_hex("30 ( s'' 'x' )").closes();
    } else {
        is_refused_filter(s, version, "");
        s.connected("b", version).sends_hex("30 ( s'' 00 'x' )");
        s.client("b").is_cut(ReasonCode::protocol_error);
    }
}

TEST_CASE("topics: U+0000 stands in none", "[v3.1.1][MQTT-4.7.3-2][v5.0][MQTT-4.7.3-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool v5 = version == Version::v5;
    Conversation s;
    auto bytes = v5 ? std::vector<std::string_view>{"30 ( 0003 'a' 00 'b' 00 'x' )",
                                                    "82 ( 0001 00 0003 'a' 00 'b' 00 )"}
                    : std::vector<std::string_view>{"30 ( 0003 'a' 00 'b' 'x' )",
                                                    "82 ( 0001 0003 'a' 00 'b' 00 )"};
    for (auto packet : bytes) {
        s.connected("a", version).sends_hex(packet).is_cut(ReasonCode::malformed_packet);
    }
}

TEST_CASE("topics: one of 65535 bytes is delivered unchanged",
          "[v3.1.1][MQTT-4.7.3-3][v5.0][MQTT-4.7.3-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto deep = GENERATE(false, true);
    // Some brokers limit the levels of a topic.
    if (deep && !is_own_broker()) return;
    Conversation s;
    auto topic = s.topic("");
    while (topic.size() < 65'535) topic += deep && topic.size() % 2 == 0 ? '/' : 'x';
    auto& b = s.watcher("b", version, qos0);
    b.sends(subscribe(2, topic)).gets(suback(2));
    auto& a = s.connected("a", version).sends(publish(topic, "x"));
    auto came = b.takes<mqtt::Publish>();
    CHECK(came.topic == topic);
    a.gets_nothing();
}

TEST_CASE("topics: names are taken as they are", "[v3.1.1][MQTT-4.7.3-4][v5.0][MQTT-4.7.3-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    std::vector<std::string> const names{"\xC3\xA9",   // e with an accent, composed
                                         "e\xCC\x81",  // decomposed
                                         "A",         "a",  "/a", "a/", "a//b",
                                         "a/b",       " a", "a ", "."};
    for (auto const& name : names) {
        s.connected(name, version).sends(subscribe(1, s.topic(name), qos1)).gets(suback(1));
    }
    auto& p = s.connected("p", version);
    for (auto const& name : names) {
        p.sends(publish(s.topic(name), name, qos1, 3)).gets(puback(3));
    }
    for (auto const& name : names) {
        CAPTURE(name);
        s.client(name).receives(publish(s.topic(name), name, qos1)).gets_nothing_of(p);
    }
}

TEST_CASE("shared: the form of a shared subscription", "[v5.0][MQTT-4.8.2-1][MQTT-4.8.2-2]") {
    Conversation s;
    for (std::string filter : {"$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t",
                               "$share/+/t", "$share/", "$share", "$share/g#/t", "$share/g/a#"}) {
        // The first two words alone could be taken for an ordinary filter.
        if (!is_own_broker() && (filter == "$share" || filter == "$share/")) continue;
        is_refused_filter(s, Version::v5, filter);
    }
    CHECK(matches(s, Version::v5, "$share/g/" + s.topic("t"), s.topic("t")));
    CHECK(matches(s, Version::v5, "$share/g//" + s.word(), "/" + s.word()));
    CHECK_FALSE(matches(s, Version::v5, "$share/g//" + s.word(), s.word()));
    CHECK(matches(s, Version::v5, "$share/g/" + s.topic("#"), s.topic("t")));
    CHECK(matches(s, Version::v5, "$shared/" + s.word(), "$shared/" + s.word()));
}
