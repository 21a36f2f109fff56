// Command topics: RETAIN is refused, nothing is kept there, and what has expired in flight may be
// dropped.
#include <catch2/catch.hpp>

#include "tests/unit/broker/core/receipt_bench.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

constexpr auto kBoth = {Version::v3_1_1, Version::v5};
constexpr auto kCommand = "d/b/cmd";

ScriptOptions with_commands(bool drop_expired_in_flight = false) {
    ScriptOptions options;
    options.settings.command_topics = {{"d/+/cmd", "g/#"}, drop_expired_in_flight};
    return options;
}

std::uint64_t retains_refused(Script const& s) {
    return s.count([](auto const& c) { return c.retains_refused.read(); });
}

ScriptLink& subscriber(Script& s, std::string const& filter) {
    auto& link = s.link("sub-" + filter);
    link.sends(connect(Version::v5)).gets(connack());
    return link.sends(subscribe(1, filter, qos2).retain_as_published()).gets(suback(1));
}

}  // namespace

TEST_CASE("command topics: RETAIN of an MQTT 5 publisher is refused, and its message with it",
          "[v5.0][MQTT-4.3.3-9]") {
    auto topic = GENERATE(as<std::string>{}, kCommand, "g", "g/all/cmd");
    Script s{with_commands()};
    auto& b = subscriber(s, "#");
    auto& a = s.link("a");
    a.sends(connect(Version::v5)).gets(connack());
    a.sends(publish(topic, "0").retain()).gets_nothing();
    a.sends(publish(topic, "1", qos1, 1).retain());
    auto answer = a.takes<mqtt::PubAck>();
    CHECK(answer.reason == ReasonCode::not_authorized);
    CHECK(answer.reason_string == "no RETAIN on a command topic");
    a.sends(publish(topic, "2", qos2, 2).retain()).gets(pubrec(2, ReasonCode::not_authorized));
    b.gets_nothing();
    CHECK(s.retained().count() == 0);
    CHECK(retains_refused(s) == 3);
    // The id of a PUBLISH that was refused is free; without RETAIN it goes its way.
    a.sends(publish(topic, "3", qos2, 2)).gets(pubrec(2)).sends(pubrel(2)).gets(pubcomp(2));
    b.gets(publish(topic, "3", qos2, 1));
    auto is_line = [](std::string const& line) {
        return line.find("with RETAIN, which is refused") != std::string::npos;
    };
    CHECK(std::ranges::count_if(s.log(), is_line) == 1);
}

TEST_CASE("command topics: what a 3.1.1 publisher sends with RETAIN is delivered, not retained",
          "[v3.1.1][MQTT-3.3.5-2]") {
    auto qos = GENERATE(qos0, qos1, qos2);
    auto receiver = GENERATE(values(kBoth));
    Script s{with_commands()};
    auto& b = s.link("b");
    b.sends(connect(receiver)).gets(connack());
    b.sends(receiver == Version::v5 ? subscribe(1, kCommand, qos2).retain_as_published()
                                    : subscribe(1, kCommand, qos2));
    b.gets(suback(1));
    auto& a = s.link("a");
    a.sends(connect(Version::v3_1_1)).gets(connack());
    a.sends(publish(kCommand, "x", qos, 1).retain());
    if (qos == qos1) a.gets(puback(1));
    if (qos == qos2) a.gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
    b.gets(publish(kCommand, "x", qos, 1));  // RETAIN is 0
    CHECK(s.retained().count() == 0);
    CHECK(retains_refused(s) == 1);
}

TEST_CASE("command topics: others are retained as ever") {
    auto version = GENERATE(values(kBoth));
    std::string topic = GENERATE("d/b/state", "d/cmd", "d/b/c/cmd", "d//cmd/", "x/d/b/cmd");
    Script s{with_commands()};
    s.link("a").sends(connect(version)).gets(connack());
    s.link("a").sends(publish(topic, "x", qos1, 1).retain()).gets(puback(1));
    CHECK(s.retained().count() == 1);
    CHECK(retains_refused(s) == 0);
}

TEST_CASE("command topics: an alias does not get round it", "[v5.0]") {
    Script s{with_commands()};
    auto& a = s.link("a");
    a.sends(connect(Version::v5)).gets(connack());
    a.sends(publish(kCommand, "1", qos1, 1).alias(3).retain())
        .gets(puback(1, ReasonCode::not_authorized));
    a.sends(publish("", "2", qos1, 1).alias(3).retain())
        .gets(puback(1, ReasonCode::not_authorized));
}

TEST_CASE("command topics: filters are about what clients behind a mount point see") {
    broker::LinkSettings inside;
    inside.mount_point = "site-7/";
    Script s{with_commands()};
    s.link("a").through(inside).sends(connect(Version::v5)).gets(connack());
    s.link("a")
        .sends(publish(kCommand, "x", qos1, 1).retain())
        .gets(puback(1, ReasonCode::not_authorized));
    s.link("out").sends(connect(Version::v5)).gets(connack());
    s.link("out").sends(publish("site-7/d/b/cmd", "x", qos1, 1).retain()).gets(puback(1));
    CHECK(s.retained().count() == 1);
}

TEST_CASE("command topics: a will with RETAIN") {
    auto version = GENERATE(values(kBoth));
    Script s{with_commands()};
    auto& b = subscriber(s, kCommand);
    auto last = will(kCommand, "gone", qos1);
    last.retain = true;
    auto& a = s.link("a");
    a.sends(connect(version).will(last));
    if (version == Version::v5) {
        a.gets(connack(ReasonCode::not_authorized)).closes();
        b.gets_nothing();
    } else {
        a.gets(connack()).drops();
        b.gets(publish(kCommand, "gone", qos1, 1));
    }
    CHECK(s.retained().count() == 0);
    CHECK(retains_refused(s) == 1);
    // Without RETAIN, or elsewhere, it is a will as any.
    last.retain = false;
    s.link("c").sends(connect(version).will(last)).gets(connack());
    last.topic = "d/b/up";
    last.retain = true;
    s.link("d").sends(connect(version).will(last)).gets(connack()).drops();
    CHECK(s.retained().count() == 1);
}

TEST_CASE("command topics: what was retained before goes at the start") {
    broker::ReferenceStore store;
    ScriptOptions options;
    options.store = &store;
    {
        Script before{options};
        before.link("a").sends(connect(Version::v5)).gets(connack());
        for (auto const* topic : {"d/1/cmd", "d/2/cmd", "d/1/state", "g", "site-7/d/3/cmd"}) {
            before.link("a").sends(publish(topic, "x", qos1, 1).retain()).gets(puback(1));
        }
    }
    store.crash();
    options.settings = with_commands().settings;
    auto is_mounted = GENERATE(false, true);
    if (is_mounted) options.link.mount_point = "site-7/";
    std::size_t left = is_mounted ? 4 : 2;
    for (int start = 0; start < 2; ++start) {  // the second time it is gone from the store
        Script s{options};
        CHECK(s.retained().count() == left);
        options.settings.command_topics.filters.clear();
        s.link("a").sends(connect(Version::v5)).gets(connack()).drops();
        store.crash();
    }
}

TEST_CASE("command topics: what expires in flight is sent again all the same",
          "[v3.1.1][MQTT-4.4.0-1][v5.0][MQTT-4.4.0-1]") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    ReceiptBench s{with_commands()};
    auto& b = s.subscriber("b", connect(version).resume(), qos2, kCommand);
    s.publishes(ReceiptBench::asking("x", qos, 9, kCommand).expiry(5));
    (void)b.takes<mqtt::Publish>();
    b.drops();
    s->pass(6s);
    b.sends(connect(version).resume()).gets(connack().session_present());
    CHECK(b.takes<mqtt::Publish>().dup);
    CHECK(s.steps() == Steps{"sent b", "sent b dup"});
}

TEST_CASE("command topics: what expires in flight is dropped if so configured") {
    auto version = GENERATE(values(kBoth));
    auto qos = GENERATE(qos1, qos2);
    auto restarts = GENERATE(false, true);
    ReceiptBench s{with_commands(true)};
    auto* b = &s.subscriber("b", connect(version).resume(), qos2, "#");
    s.publishes(ReceiptBench::asking("command", qos, 9, kCommand).expiry(5));
    s.publishes(ReceiptBench::asking("in time", qos, 10, kCommand).expiry(50));
    s.publishes(ReceiptBench::asking("state", qos, 11, "d/b/state").expiry(5));
    std::vector<mqtt::Publish> first;
    for (auto& packet : b->takes_all<mqtt::Publish>()) {
        if (packet.topic.starts_with("d/")) first.push_back(std::move(packet));
    }
    REQUIRE(first.size() == 3);
    b->drops();
    (void)s.steps();
    if (restarts) s.restarts(6s);
    if (!restarts) s->pass(6s);
    b = &s.link("b");
    b->sends(connect(version).resume()).gets(connack().session_present());
    Steps again;
    while (b->waiting() > 0) {
        auto packet = b->takes_any();
        if (auto* publish = std::get_if<mqtt::Publish>(&packet)) {
            if (publish->topic.starts_with("d/")) again.emplace_back(as_text(publish->payload));
        } else {
            // A client that has it completes it, one that has not knows no such id.
            CHECK(std::get<mqtt::PubRel>(packet).id == first[0].id);
            CHECK(qos == qos2);
        }
    }
    CHECK(again == Steps{"in time", "state"});
    auto told = s.steps();
    CHECK(std::ranges::count(told, "dropped b expired sent=true") == 1);
    if (qos == qos2) b->sends(pubcomp(first[0].id.value));
    CHECK(s.steps().empty());
}
