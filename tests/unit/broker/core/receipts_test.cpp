// Delivery receipts: who may ask, what a receipt says, and the steps of a delivery that succeeds.
#include <catch2/catch.hpp>

#include "tests/support/fake_auth.hpp"
#include "tests/unit/broker/core/receipt_bench.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};

/// Takes a PUBLISH and answers it as its QoS asks.
void answers(ScriptLink& link) {
    auto packet = link.takes<mqtt::Publish>();
    if (packet.qos == qos1) link.sends(puback(packet.id.value));
    if (packet.qos != qos2) return;
    link.sends(pubrec(packet.id.value)).gets(pubrel(packet.id.value));
    link.sends(pubcomp(packet.id.value));
}

std::function<void(mqtt::Connect&)> as_user(std::string const& name) {
    return [name](mqtt::Connect& packet) { packet.user_name = name; };
}

}  // namespace

TEST_CASE("receipts: each receiver's steps are told, at each QoS") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1, qos2);
    bool is_kept = GENERATE(false, true);
    ReceiptBench s;
    auto how = is_kept ? connect(version).resume() : connect(version);
    s.subscriber("b", how);
    s.subscriber("c", how);
    CHECK(s.publishes("x", qos) == ReasonCode::success);
    CHECK(s.steps() == Steps{"sent b", "sent c"});
    answers(s.link("b"));
    CHECK(s.steps() == (qos == qos0 ? Steps{} : Steps{"acked b"}));
    answers(s.link("c"));
    CHECK(s.steps() == (qos == qos0 ? Steps{} : Steps{"acked c"}));
    CHECK(s->count([](auto const& c) { return c.receipts.read(); }) == (qos == qos0 ? 2 : 4));
}

TEST_CASE("receipts: what one says") {
    ReceiptBench s;
    s.subscriber("b\"4\x01", connect(Version::v5).id("b\"4\x01"), qos1, "d/+/cmd");
    s->pass(77ms);
    mqtt::MessageProperties properties;
    properties.user_properties = {
        {"a", "1"}, {"spoke-receipt", "r"}, {"b", "2"}, {"spoke-receipt", "other"}};
    properties.correlation_data = to_buffer(std::string_view{"\x00\xFFid", 4});
    properties.content_type = "text/plain";
    s.publishes(publish("d/b/cmd", "x", qos1, 9).properties(properties).expiry(60));
    auto all = s.receipts();
    REQUIRE(all.size() == 1);
    CHECK(as_text(all[0].payload) ==
          R"({"step":"sent","client":"b\"4\u0001","topic":"d/b/cmd","qos":1,)"
          R"("at_us":1700000000200000,"id":"AP9pZA=="})");
    CHECK(all[0].topic == "r");
    CHECK(all[0].qos == qos0);
    CHECK_FALSE(all[0].retain);
    CHECK(all[0].properties.content_type == "application/json");
    CHECK(all[0].properties.correlation_data == properties.correlation_data);
    CHECK(all[0].properties.user_properties.empty());

    // The properties that ask for it do not go on, the others do.
    properties.user_properties = {{"a", "1"}, {"b", "2"}};
    s.link("b\"4\x01").gets(publish("d/b/cmd", "x", qos1, 1).properties(properties).expiry(60));
}

TEST_CASE("receipts: without correlation data the id is empty") {
    ReceiptBench s;
    s.subscriber("b", connect(Version::v3_1_1));
    mqtt::MessageProperties properties;
    properties.user_properties = {{"spoke-receipt", "r"}};
    s.publishes(publish("t", "x").properties(properties));
    auto all = s.receipts();
    REQUIRE(all.size() == 1);
    CHECK(field(as_text(all[0].payload), "id") == "\"\"");
    CHECK_FALSE(all[0].properties.correlation_data);
}

TEST_CASE("receipts: a receiver that refuses", "[v5.0][MQTT-4.4.0-2]") {
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(Version::v5).resume());
    s.publishes("x", qos);
    auto id = b.takes<mqtt::Publish>().id.value;
    if (qos == qos1) b.sends(puback(id, ReasonCode::not_authorized));
    if (qos == qos2) b.sends(pubrec(id, ReasonCode::not_authorized));
    CHECK(s.steps() == Steps{"sent b", "refused b reason=135"});
}

TEST_CASE("receipts: an answer that is no error but says more is told with its reason") {
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(Version::v5));
    s.publishes("x", qos1);
    b.sends(puback(b.takes<mqtt::Publish>().id.value, ReasonCode::no_matching_subscribers));
    CHECK(s.steps() == Steps{"sent b", "acked b reason=16"});
}

TEST_CASE("receipts: nobody there, nothing told") {
    ReceiptBench s;
    CHECK(s.publishes("x", qos1) == ReasonCode::no_matching_subscribers);
    CHECK(s.steps().empty());
}

TEST_CASE("receipts: for others it is a property as any") {
    ReceiptBench s;
    auto& other = s.link("other");
    other.sends(connect(Version::v5).with(as_user("bridge"))).gets(connack());
    s.subscriber("b", connect(Version::v5));
    other.sends(ReceiptBench::asking("x", qos0)).gets_nothing();
    s.link("b").gets(ReceiptBench::asking("x", qos0));
    CHECK(s.steps().empty());
}

TEST_CASE("receipts: CONNACK says who may ask", "[v5.0]") {
    ScriptOptions options;
    options.settings.receipts = {.clients = {"bridge"}, .users = {"ann", "bob"}};
    Script s{options};
    auto told = [&](ConnectBuilder const& builder) {
        s.link("x").sends(builder);
        auto properties = s.link("x").takes<mqtt::ConnAck>().user_properties;
        s.link("x").drops();
        return properties == mqtt::UserProperties{{"spoke-receipts", "1"}};
    };
    CHECK(told(connect(Version::v5).id("bridge")));
    CHECK(told(connect(Version::v5).with(as_user("bob"))));
    CHECK_FALSE(told(connect(Version::v5).id("bridge2")));
    CHECK_FALSE(told(connect(Version::v5).with(as_user("bridge"))));
    CHECK_FALSE(told(connect(Version::v3_1_1).id("bridge")));
}

TEST_CASE("receipts: an MQTT 3.1.1 client gets them, and cannot ask") {
    ReceiptBench s;
    s.link("old").sends(connect(Version::v3_1_1)).gets(connack()).sends(subscribe(1, "r"));
    s.link("old").gets(suback(1));
    s.subscriber("b", connect(Version::v3_1_1));
    s.publishes("x", qos0);
    CHECK(in_short(s.link("old").takes<mqtt::Publish>()) == "sent b");
}

TEST_CASE("receipts: a topic for them that may not be refuses the message",
          "[v5.0][MQTT-4.3.3-9]") {
    struct Case {
        std::string topic;
        ReasonCode reason;
    };
    auto c = GENERATE(values<Case>({{"", ReasonCode::topic_name_invalid},
                                    {"r/+", ReasonCode::topic_name_invalid},
                                    {"#", ReasonCode::topic_name_invalid},
                                    {"$SYS/r", ReasonCode::not_authorized},
                                    {"not/mine", ReasonCode::not_authorized}}));
    CAPTURE(c.topic);
    FakeAuthorizer rules;
    rules.forbid("bridge/", {.publish = {"not/mine"}});
    ReceiptBench s{{.link = {.authorizer = &rules}}};
    auto& b = s.subscriber("b", connect(Version::v5));
    mqtt::MessageProperties properties;
    properties.user_properties = {{"spoke-receipt", c.topic}};
    s.publishes(publish("t", "0").properties(properties).retain());
    CHECK(s.publishes(publish("t", "1", qos1, 1).properties(properties).retain()) == c.reason);
    CHECK(s.publishes(publish("t", "2", qos2, 2).properties(properties).retain()) == c.reason);
    b.gets_nothing();
    CHECK(s->retained().count() == 0);
    CHECK(s.steps().empty());
    // After a PUBREC that refuses, the id is new again.
    CHECK(s.publishes(ReceiptBench::asking("3", qos2, 2)) == ReasonCode::success);
    CHECK(s.steps() == Steps{"sent b"});
}

TEST_CASE("receipts: overlapping subscriptions are one receiver", "[v5.0][MQTT-3.3.4-2]") {
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(Version::v5), qos0);
    b.sends(subscribe(2, "+", qos1).identifier(7)).gets(suback(2));
    s.publishes("x", qos1);
    answers(b);
    CHECK(s.steps() == Steps{"sent b", "acked b"});
}

TEST_CASE("receipts: a message of several segments is sent when its last byte is") {
    auto version = GENERATE(values(kBoth));
    auto size = GENERATE(1U, 8192U, 70'000U, 600'000U);  // inline, body apart, large
    auto qos = GENERATE(qos0, qos1);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version));
    b.socket_takes(size / 2 + 1);
    s.publishes(publish("t", std::string(size, 'x'), qos, 1)
                    .properties(ReceiptBench::asking("id", qos).value().properties));
    CHECK(s.steps().empty());
    b.socket_takes(size / 2);
    CHECK(s.steps().empty());
    b.socket_takes_all();
    CHECK(s.steps() == Steps{"sent b"});
    answers(b);
    CHECK(s.steps() == (qos == qos0 ? Steps{} : Steps{"acked b"}));
}

TEST_CASE("receipts: what is sent again after a resume is told as such",
          "[v3.1.1][MQTT-4.4.0-1][v5.0][MQTT-4.4.0-1]") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    s.publishes("x", qos);
    (void)b.takes<mqtt::Publish>();
    b.drops();
    CHECK(s.steps() == Steps{"sent b"});
    b.sends(connect(version).resume()).gets(connack().session_present());
    answers(b);
    CHECK(s.steps() == Steps{"sent b dup", "acked b"});
}

TEST_CASE("receipts: what waited for its client is told when it goes out") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version).resume());
    b.drops();
    CHECK(s.publishes("x", qos) == ReasonCode::success);
    CHECK(s.steps().empty());
    b.sends(connect(version).resume()).gets(connack().session_present());
    answers(b);
    CHECK(s.steps() == Steps{"sent b", "acked b"});
}

TEST_CASE("receipts: receivers on other shards tell from there", "[shards]") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1, qos2);
    ReceiptBench s{{.shards = 4}};
    Steps sent;
    Steps acked;
    for (std::uint8_t shard = 0; shard < 4; ++shard) {
        auto name = s->id_on_shard(shard, fmt::format("b{}-", shard));
        s.subscriber(name, connect(version));
        sent.push_back("sent " + name);
        acked.push_back("acked " + name);
    }
    s.publishes("x", qos);
    auto told = s.steps();
    std::ranges::sort(told);
    CHECK(told == sent);
    for (auto const& line : sent) answers(s.link(line.substr(5)));
    CHECK(s.steps() == (qos == qos0 ? Steps{} : acked));
}

TEST_CASE("receipts: a share group's member is the receiver") {
    auto version = GENERATE(values(kBoth));
    ReceiptBench s;
    auto& b = s.subscriber("b", connect(version), qos1, "$share/g/t");
    auto& c = s.subscriber("c", connect(version), qos1, "$share/g/t");
    s.publishes("x", qos1);
    s.publishes("y", qos1);
    answers(b);
    answers(c);
    auto told = s.steps();
    std::ranges::sort(told);
    CHECK(told == Steps{"acked b", "acked c", "sent b", "sent c"});
}

TEST_CASE("receipts: who subscribes later to what was retained makes none") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos0, qos1);
    ReceiptBench s;
    s.publishes(ReceiptBench::asking("x", qos).retain());
    auto& b = s.subscriber("b", connect(version).resume());
    answers(b);
    CHECK(s.steps().empty());
    s.publishes(ReceiptBench::asking("y", qos).retain());
    answers(b);
    CHECK(s.steps() == (qos == qos0 ? Steps{"sent b"} : Steps{"sent b", "acked b"}));
}

TEST_CASE("receipts: a will makes none") {
    ReceiptBench s;
    s.subscriber("b", connect(Version::v5));
    auto last = will("t", "gone", qos1);
    last.properties.user_properties = {{"spoke-receipt", "r"}};
    s.link("w").sends(connect(Version::v5).id("bridge").will(last));
    s.bridge().gets(disconnect(ReasonCode::session_taken_over)).closes();
    s.link("w").gets(connack()).sends(subscribe(1, "r")).gets(suback(1));
    s.link("watch").sends(connect(Version::v5)).gets(connack()).sends(subscribe(1, "r"));
    s.link("watch").gets(suback(1));
    s.link("w").drops();
    CHECK(s.link("b").takes<mqtt::Publish>().properties.user_properties ==
          last.properties.user_properties);
    s.link("watch").gets_nothing();
}

TEST_CASE("receipts: behind a mount point they come and speak as their publisher does") {
    broker::LinkSettings inside;
    inside.mount_point = "site-7/";
    ReceiptBench s;
    auto& b = s.link("b");
    b.through(inside).sends(connect(Version::v5)).gets(connack());
    b.sends(subscribe(1, "t", qos1)).gets(suback(1));
    s.bridge().drops();
    s.bridge().through(inside).sends(connect(Version::v5)).gets(connack());
    s.bridge().sends(subscribe(1, "r")).gets(suback(1));
    s.publishes("x", qos1);
    auto all = s.receipts();
    REQUIRE(all.size() == 1);
    CHECK(all[0].topic == "r");
    CHECK(field(as_text(all[0].payload), "topic") == "\"t\"");
}
