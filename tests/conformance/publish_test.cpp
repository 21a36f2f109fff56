// PUBLISH (3.3): flags, topic, retained messages, properties.
#include <fmt/format.h>

#include <map>
#include <set>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// A new subscriber of one topic, subscribed at QoS 2.
Peer& reads(Conversation& s, std::string const& name, Version version, std::string const& filter) {
    return s.connected(name, version).sends(subscribe(1, filter, qos2)).gets(suback(1));
}

void keeps(Peer& a, std::string const& topic, std::string_view payload) {
    a.sends(publish(topic, payload, qos1, 9).retain()).gets(puback(9));
}

mqtt::MessageProperties everything() {
    return {.payload_format_indicator = 1,
            .message_expiry_interval = std::nullopt,
            .content_type =
                "\xEF\xBB\xBF"
                "text/plain",
            .response_topic = "answers/\xC3\xA4",
            .correlation_data = bytes_of("00FF00 'x'"),
            .user_properties = {{"b", "1"}, {"a", "2"}, {"b", "1"}, {"b", "3"}, {"", ""}}};
}

}  // namespace

TEST_CASE("publish: QoS 0 with DUP and QoS 3 end the connection",
          "[v3.1.1][MQTT-3.3.1-2][MQTT-3.3.1-4][v5.0][MQTT-3.3.1-2][MQTT-3.3.1-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first = GENERATE("38", "39", "36", "37", "3E", "3F");
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& a = s.connected("a", version);
    a.sends_hex(fmt::format("{} ( s'{}' {} {} 'x' )", first, s.topic("t"),
                            std::string_view{first}.substr(1) < "A" ? "" : "0001",
                            version == Version::v5 ? "00" : ""));
    a.is_cut(ReasonCode::malformed_packet);
    b.gets_nothing_of(a);
}

TEST_CASE("publish: the topic comes first and ends within the packet",
          "[v3.1.1][MQTT-3.3.2-1][v5.0][MQTT-3.3.2-1][MQTT-2.2.2-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto bytes = GENERATE("30 00", "30 01 00", "30 ( 0005 'four' )", "30 ( FFFF 'four' )");
    s.connected("a", version).sends_hex(bytes).is_cut(ReasonCode::malformed_packet);
    if (version == Version::v3_1_1) return;
    s.connected("a", version).sends_hex("30 ( s'four' )").is_cut(ReasonCode::malformed_packet);
    s.connected("a", version).sends_hex("82 ( 0001 )").is_cut(ReasonCode::malformed_packet);
    auto& a = s.client("a").sends_hex("10 ( s'MQTT' 05 02 0000 )");
    a.is_refused(ReasonCode::malformed_packet);
}

TEST_CASE("publish: no wildcard stands in its topic",
          "[v3.1.1][MQTT-3.3.2-2][MQTT-4.7.1-1][v5.0][MQTT-3.3.2-2][MQTT-4.7.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& b = s.watcher("b", version);
    for (std::string topic : {s.topic("+"), s.topic("#"), s.topic("a/+"), s.topic("+/b"),
                              s.topic("a#"), s.topic("a+b")}) {
        CAPTURE(topic);
        auto& a = s.connected("a", version).sends(publish(topic, "x", qos1));
        a.is_cut(ReasonCode::topic_name_invalid);
    }
    s.connected("a", version).sends(publish("#", "x")).is_cut(ReasonCode::topic_name_invalid);
    b.gets_nothing_of(s.client("a"));
}

TEST_CASE("publish: what a subscriber gets matches its filter",
          "[v3.1.1][MQTT-3.3.2-3][v5.0][MQTT-3.3.2-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    std::vector<std::string> const topics{"a", "a/b", "a/b/c", "b", "a/", "/a", "A/b"};
    std::map<std::string, std::vector<std::string>> const matching{
        {"a", {"a"}},
        {"a/+", {"a/b", "a/"}},
        {"a/#", {"a", "a/b", "a/b/c", "a/"}},
        {"+/b", {"a/b", "A/b"}},
        {"+/a", {"/a"}},
        {"a/+/c", {"a/b/c"}}};
    for (auto const& [filter, matched] : matching) (void)reads(s, filter, version, s.topic(filter));
    auto& a = s.connected("publisher", version);
    for (auto const& topic : topics)
        a.sends(publish(s.topic(topic), topic, qos1, 1)).gets(puback(1));
    for (auto const& [filter, matched] : matching) {
        CAPTURE(filter);
        for (auto const& topic : matched) {
            s.client(filter).receives(publish(s.topic(topic), topic, qos1));
        }
        s.client(filter).gets_nothing_of(a);
    }
}

TEST_CASE("publish: retained messages are kept for later subscribers, the last one of each topic",
          "[v3.1.1][MQTT-3.3.1-5][MQTT-3.3.1-6][MQTT-3.3.1-8][v5.0][MQTT-3.3.1-5]"
          "[MQTT-3.3.1-9]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    keeps(a, s.topic("a/1"), "old");
    keeps(a, s.topic("a/1"), "one");
    a.sends(publish(s.topic("a/2"), "two", qos2, 5).retain()).gets(pubrec(5));
    a.sends(pubrel(5)).gets(pubcomp(5));
    keeps(a, s.topic("other"), "other");
    auto& b = reads(s, "b", version, s.topic("a/1"));
    b.receives(publish(s.topic("a/1"), "one", qos1).retain()).gets_nothing();
    auto& c = s.connected("c", version).sends(subscribe(1, s.topic("a/+"), qos2)).gets(suback(1));
    std::map<std::string, mqtt::Publish> came;
    for (int i = 0; i < 2; ++i) {
        auto message = c.takes<mqtt::Publish>();
        came[std::string{as_text(message.payload)}] = message;
    }
    CHECK(came["one"].retain);
    CHECK(came["one"].qos == qos1);
    CHECK(came["two"].retain);
    CHECK(came["two"].qos == qos2);
    c.gets_nothing();
    auto& d = s.connected("d", version).sends(subscribe(1, s.topic("a/1"), qos0)).gets(suback(1));
    d.receives(publish(s.topic("a/1"), "one", qos0).retain()).gets_nothing();
}

TEST_CASE("publish: a retained message comes with its properties",
          "[v5.0][MQTT-3.3.1-5]"
          "[MQTT-3.3.2-17]") {
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    keeps(a, s.topic("t"), "without");
    auto message = publish(s.topic("t"), "x", qos1, 4).properties(everything()).retain();
    a.sends(message).gets(puback(4));
    reads(s, "b", Version::v5, s.topic("t")).receives(message);
}

TEST_CASE("publish: a retained message of QoS 0 throws out the one before",
          "[v3.1.1][MQTT-3.3.1-7][v5.0][MQTT-3.3.1-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    keeps(a, s.topic("t"), "x");
    a.sends(publish(s.topic("t"), "y").retain()).gets_nothing();
    auto& b = reads(s, "b", version, s.topic("t"));
    b.receives(publish(s.topic("t"), "y").retain()).gets_nothing();
}

TEST_CASE("publish: over a subscription that is there RETAIN is 0",
          "[v3.1.1][MQTT-3.3.1-9][v5.0][MQTT-3.3.1-12]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1);
    Conversation s;
    auto& b = s.watcher("b", version);
    auto& away = s.resuming("away", version);
    away.sends(subscribe(1, s.topic("#"), qos1)).gets(suback(1)).leaves();
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("t"), "x", qos, 2).retain());
    if (qos == qos1) a.gets(puback(2));
    b.receives(publish(s.topic("t"), "x", qos)).gets_nothing_of(a);
    if (qos == qos0) return;
    away.sends(connect(version).resume()).gets(connack().session_present());
    away.receives(publish(s.topic("t"), "x", qos)).gets_nothing();
}

TEST_CASE("publish: an empty retained message is delivered and removes what was kept",
          "[v3.1.1][MQTT-3.3.1-10][MQTT-3.3.1-11][v5.0][MQTT-3.3.1-6][MQTT-3.3.1-7]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    keeps(a, s.topic("t"), "x");
    auto& b = s.watcher("b", version);
    b.receives(publish(s.topic("t"), "x", qos1).retain());
    keeps(a, s.topic("t"), "");
    b.receives(publish(s.topic("t"), "", qos1));
    keeps(a, s.topic("fresh"), "");
    b.receives(publish(s.topic("fresh"), "", qos1));
    reads(s, "c", version, s.topic("t")).gets_nothing();
    reads(s, "d", version, s.topic("fresh")).gets_nothing();
}

TEST_CASE("publish: without RETAIN nothing is kept and what is kept stays",
          "[v3.1.1][MQTT-3.3.1-12][v5.0][MQTT-3.3.1-8]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto& a = s.connected("a", version);
    keeps(a, s.topic("t"), "x");
    for (std::string payload : {"y", ""}) {
        a.sends(publish(s.topic("t"), payload, qos1, 3)).gets(puback(3));
        a.sends(publish(s.topic("new"), payload, qos1, 3)).gets(puback(3));
    }
    reads(s, "b", version, s.topic("t")).receives(publish(s.topic("t"), "x", qos1).retain());
    s.client("b").gets_nothing();
    reads(s, "c", version, s.topic("new")).gets_nothing();
}

TEST_CASE("publish: retain handling says when retained messages come",
          "[v5.0][MQTT-3.3.1-9][MQTT-3.3.1-10][MQTT-3.3.1-11]") {
    using mqtt::RetainHandling;
    Conversation s;
    auto& a = s.connected("a", Version::v5);
    auto const t = s.topic("t");
    keeps(a, t, "x");
    auto const kept = publish(t, "x").retain();
    auto& b = s.resuming("b", Version::v5);
    auto again = [&](RetainHandling handling) -> Peer& {
        return b.sends(subscribe(1, t).retain_handling(handling)).gets(suback(1));
    };
    again(RetainHandling::send).gets(kept);
    again(RetainHandling::send).gets(kept).gets_nothing();
    again(RetainHandling::send_if_new).gets_nothing();
    b.sends(unsubscribe(2, {t})).gets(unsuback(2));
    again(RetainHandling::send_if_new).gets(kept);
    again(RetainHandling::send_if_new).gets_nothing();
    b.leaves().sends(connect(Version::v5).resume()).gets(connack().session_present());
    again(RetainHandling::send_if_new).gets_nothing();
    b.sends(unsubscribe(2, {t})).gets(unsuback(2));
    again(RetainHandling::do_not_send).gets_nothing();
    a.sends(publish(t, "live"));
    b.gets(publish(t, "live"));
}

TEST_CASE("publish: retain as published keeps the flag, else it is cleared",
          "[v5.0][MQTT-3.3.1-12][MQTT-3.3.1-13]") {
    auto as_published = GENERATE(false, true);
    auto away = GENERATE(false, true);
    Conversation s;
    auto& b = s.resuming("b", Version::v5);
    auto packet = subscribe(1, s.topic("#"), qos1);
    if (as_published) packet.retain_as_published();
    b.sends(packet).gets(suback(1));
    if (away) b.leaves();
    auto& a = s.connected("a", Version::v5);
    keeps(a, s.topic("kept"), "x");
    a.sends(publish(s.topic("plain"), "y", qos1, 3)).gets(puback(3));
    if (away) b.sends(connect(Version::v5).resume()).gets(connack().session_present());
    b.receives(publish(s.topic("kept"), "x", qos1).retain(as_published));
    b.receives(publish(s.topic("plain"), "y", qos1)).gets_nothing();
}

TEST_CASE("publish: all properties are passed on unchanged, on every way",
          "[v5.0][MQTT-3.3.2-4][MQTT-3.3.2-15][MQTT-3.3.2-16][MQTT-3.3.2-17][MQTT-3.3.2-18]"
          "[MQTT-3.3.2-20]") {
    auto qos = GENERATE(qos0, qos1, qos2);
    Conversation s;
    auto& away = s.resuming("away", Version::v5);
    away.sends(subscribe(1, s.topic("#"), qos2)).gets(suback(1)).leaves();
    auto& live = s.watcher("live", Version::v5);
    auto& old = s.watcher("old", Version::v3_1_1);
    auto& member = reads(s, "member", Version::v5, "$share/g/" + s.topic("t"));
    auto& a = s.connected("a", Version::v5);
    auto message = publish(s.topic("t"), "x", qos, 3).properties(everything());
    a.sends(message);
    if (qos == qos1) a.gets(puback(3));
    if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
    live.receives(message).gets_nothing_of(a);
    member.receives(message).gets_nothing_of(a);
    old.receives(publish(s.topic("t"), "x", qos)).gets_nothing_of(a);
    if (qos == qos0) return;
    away.sends(connect(Version::v5).resume()).gets(connack().session_present()).receives(message);
}

TEST_CASE("publish: the payload format indicator stays as it is, also where there is none",
          "[v5.0][MQTT-3.3.2-4]") {
    auto format = GENERATE(std::optional<std::uint8_t>{}, std::uint8_t{0}, std::uint8_t{1});
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    mqtt::MessageProperties properties;
    properties.payload_format_indicator = format;
    auto message = publish(s.topic("t"), "x").properties(properties);
    s.connected("a", Version::v5).sends(message);
    auto came = b.takes<mqtt::Publish>().properties.payload_format_indicator;
    if (is_own_broker() || format != 0) CHECK(came == format);
    if (came) CHECK(format == came);  // 0 is what none stands for
}

TEST_CASE("publish: a response topic has no wildcard", "[v5.0][MQTT-3.3.2-14]") {
    auto topic = GENERATE("#", "a/#", "+", "+/a", "a+");
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    mqtt::MessageProperties properties;
    properties.response_topic = topic;
    auto& a = s.connected("a", Version::v5);
    a.sends(publish(s.topic("t"), "x").properties(properties));
    a.is_cut(ReasonCode::protocol_error);
    b.gets_nothing_of(a);
}

TEST_CASE("publish: a client sends no subscription identifier", "[v5.0][MQTT-3.3.4-6]") {
    Conversation s;
    auto& b = s.watcher("b", Version::v5);
    auto& a = s.connected("a", Version::v5);
    a.sends_hex(fmt::format("30 ( s'{}' ( 0B 01 ) 'x' )", s.topic("t")));
    a.is_cut(ReasonCode::protocol_error);
    b.gets_nothing_of(a);
}

TEST_CASE("publish: overlapping subscriptions get it at the highest QoS among them",
          "[v3.1.1][MQTT-3.3.5-1][v5.0][MQTT-3.3.4-2]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto first = GENERATE(qos0, qos2);
    Conversation s;
    auto& b = s.connected("b", version);
    b.sends(subscribe(1, s.topic("a/#"), first)).gets(suback(1));
    b.sends(subscribe(2, s.topic("a/b"), first == qos0 ? qos2 : qos0)).gets(suback(2));
    b.sends(subscribe(3, s.topic("+/b"), qos1)).gets(suback(3));
    auto& a = s.connected("a", version);
    a.sends(publish(s.topic("a/b"), "x", qos2, 4))
        .gets(pubrec(4))
        .sends(pubrel(4))
        .gets(pubcomp(4));
    if (is_own_broker()) {
        b.receives(publish(s.topic("a/b"), "x", qos2)).gets_nothing_of(a);
        return;
    }
    while (b.takes<mqtt::Publish>().qos != qos2) {
    }
}

TEST_CASE("publish: a copy carries the identifiers of all subscriptions it is for",
          "[v5.0][MQTT-3.3.4-3][MQTT-3.3.4-4][MQTT-3.3.4-5]") {
    Conversation s;
    auto& b = s.resuming("b", Version::v5);
    b.sends(subscribe(1, s.topic("a/#"), qos1).identifier(1)).gets(suback(1));
    b.sends(subscribe(2, s.topic("a/b"), qos1).identifier(268'435'455)).gets(suback(2));
    b.sends(subscribe(3, s.topic("+/b"), qos1)).gets(suback(3));
    b.sends(subscribe(4, s.topic("a/+"), qos1).identifier(1)).gets(suback(4));
    auto& a = s.connected("a", Version::v5);
    std::multiset<std::uint32_t> const wanted{1, 1, 268'435'455};
    auto takes_ids = [&] {
        std::multiset<std::uint32_t> ids;
        std::size_t copies = 0;
        while (ids.size() < wanted.size()) {
            auto copy = b.takes<mqtt::Publish>();
            b.sends(puback(copy.id.value));
            ++copies;
            ids.insert(copy.subscription_identifiers.begin(), copy.subscription_identifiers.end());
            // Several copies: each has its own subscription's or none.
            if (copies > 1) CHECK(copy.subscription_identifiers.size() <= 1);
        }
        CHECK(ids == wanted);
        if (is_own_broker()) CHECK(copies == 1);
    };
    a.sends(publish(s.topic("a/b"), "live", qos1, 5)).gets(puback(5));
    takes_ids();
    // Other brokers may send a copy without an identifier more, for the subscription without one.
    if (!is_own_broker()) return;
    b.gets_nothing_of(a).leaves();
    a.sends(publish(s.topic("a/b"), "queued", qos1, 5)).gets(puback(5));
    b.sends(connect(Version::v5).resume()).gets(connack().session_present());
    takes_ids();
    b.gets_nothing_of(a);
}

TEST_CASE("publish: expiry runs while a message waits, and ends it",
          "[slow][v5.0][MQTT-3.3.2-5][MQTT-3.3.2-6][MQTT-4.3.3-7][MQTT-4.3.3-13]") {
    Conversation s;
    auto& b = s.resuming("b", Version::v5);
    b.sends(subscribe(1, s.topic("q/#"), qos2)).gets(suback(1)).leaves();
    auto& begun = s.resuming("begun", Version::v5);
    begun.sends(subscribe(1, s.topic("begun"), qos2)).gets(suback(1));
    auto& one = s.client("one").sends(connect(Version::v5).resume().receive_maximum(1));
    one.gets(connack()).sends(subscribe(1, s.topic("one/#"), qos1)).gets(suback(1));
    auto& a = s.resuming("a", Version::v5);
    auto publishes = [&](std::string const& topic, std::uint32_t expiry, bool retain) {
        a.sends(publish(s.topic(topic), "x", qos1, 5).expiry(expiry).retain(retain));
        a.gets(puback(5));
    };
    publishes("q/short", 1, false);
    publishes("q/long", 100, false);
    publishes("kept/short", 1, true);
    publishes("kept/long", 100, true);
    publishes("one/first", 100, false);
    publishes("one/short", 1, false);
    publishes("one/long", 100, false);
    // These have begun: they do not expire any more.
    a.sends(publish(s.topic("begun"), "x", qos2, 7).expiry(3)).gets(pubrec(7));
    a.sends(pubrel(7)).gets(pubcomp(7));
    a.sends(publish(s.topic("unreleased"), "x", qos2, 6).expiry(3)).gets(pubrec(6));
    auto id = begun.holds(publish(s.topic("begun"), "x", qos2).expiry(3));
    auto first = one.holds(publish(s.topic("one/first"), "x", qos1).expiry(100));

    auto value = will(s.topic("later"), "x");
    value.will_delay_interval = 4;
    auto& watch = s.connected("watch", Version::v5);
    watch.sends(subscribe(1, s.topic("later"))).gets(suback(1));
    s.client("clock").sends(connect(Version::v5).expiry(60).will(value)).gets(connack());
    s.client("clock").drops();
    watch.receives(publish(s.topic("later"), "x"));

    auto check_long = [&](Peer& peer, std::string const& topic) {
        auto came = peer.takes<mqtt::Publish>();
        CHECK(came.topic == s.topic(topic));
        auto left = came.properties.message_expiry_interval.value_or(0);
        CHECK(left <= 96);
        CHECK(left >= 60);  // a busy machine may be late
        peer.sends(puback(came.id.value));
    };
    b.sends(connect(Version::v5).resume()).gets(connack().session_present());
    check_long(b, "q/long");
    b.gets_nothing();
    one.sends(puback(first));
    check_long(one, "one/long");
    one.gets_nothing();
    auto& late = s.connected("late", Version::v5);
    late.sends(subscribe(1, s.topic("kept/#"), qos1)).gets(suback(1));
    check_long(late, "kept/long");
    late.gets_nothing();
    auto& old = s.connected("old", Version::v3_1_1);
    old.sends(subscribe(1, s.topic("kept/#"), qos1)).gets(suback(1));
    old.receives(publish(s.topic("kept/long"), "x", qos1).retain()).gets_nothing();
    begun.drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    auto again = begun.takes<mqtt::Publish>();
    CHECK(again.id.value == id);
    CHECK(again.dup);
    begun.sends(pubrec(id)).gets(pubrel(id)).sends(pubcomp(id)).gets_nothing();
    a.sends(pubrel(6)).gets(pubcomp(6, ReasonCode::success));
}
