// Options and circumstances in all their combinations, against what a few lines of model say.
#include <algorithm>
#include <catch2/catch.hpp>

#include "tests/support/packet_table.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using namespace std::chrono_literals;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

/// Options of one subscription, by number: QoS, no local, retain as published.
struct Options {
    mqtt::Qos qos;
    bool no_local;
    bool retain_as_published;
};
constexpr unsigned kOptionsEnd = 3 * 2 * 2;

Options options_of(unsigned number) {
    return {mqtt::Qos{static_cast<std::uint8_t>(number % 3)}, number / 3 % 2 == 1,
            number / 6 % 2 == 1};
}

SubscribeBuilder subscribe_with(std::uint16_t id, std::string filter, Options options,
                                std::uint32_t identifier) {
    auto packet = subscribe(id, std::move(filter), options.qos).identifier(identifier);
    if (options.no_local) packet.no_local();
    if (options.retain_as_published) packet.retain_as_published();
    return packet;
}

void publishes(ScriptLink& link, PublishBuilder const& packet) {
    link.sends(packet);
    if (packet.value().qos == qos2) {
        link.sends(pubrel(packet.value().id.value));
    }
}

}  // namespace

TEST_CASE("combinations: two overlapping subscriptions with every pair of options",
          "[v5.0][MQTT-3.3.4-2][MQTT-3.3.4-3][MQTT-3.3.4-4][MQTT-3.3.4-5][MQTT-3.8.3-3]"
          "[MQTT-3.3.1-12][MQTT-3.3.1-13][MQTT-3.8.4-8][gotcha-47][gotcha-48][gotcha-50]"
          "[gotcha-51]") {
    bool by_itself = GENERATE(false, true);
    for (unsigned first = 0; first < kOptionsEnd; ++first) {
        for (unsigned second = 0; second < kOptionsEnd; ++second) {
            CAPTURE(by_itself, first, second);
            Options const both[] = {options_of(first), options_of(second)};
            Script s;
            auto& a = s.link("a");
            auto& pub = by_itself ? a : s.link("pub");
            if (!by_itself) pub.sends(connect(Version::v5)).gets(connack());
            a.sends(connect(Version::v5)).gets(connack());
            a.sends(subscribe_with(1, "a/#", both[0], 11)).gets(suback(1));
            a.sends(subscribe_with(2, "a/b", both[1], 22)).gets(suback(2));
            for (auto published : {qos0, qos1, qos2}) {
                for (bool retain : {false, true}) {
                    auto packet = publish("a/b", retain ? "kept" : "x", published, 7);
                    publishes(pub, packet.retain(retain));
                    std::vector<std::uint32_t> identifiers;
                    auto qos = qos0;
                    bool kept = false;
                    for (int i = 0; i < 2; ++i) {
                        if (by_itself && both[i].no_local) continue;
                        identifiers.push_back(i == 0 ? 11 : 22);
                        qos = std::max(qos, std::min(published, both[i].qos));
                        kept = kept || (retain && both[i].retain_as_published);
                    }
                    std::vector<mqtt::Publish> got;
                    while (a.waiting() > 0) {
                        auto any = a.takes_any();
                        auto* message = std::get_if<mqtt::Publish>(&any);
                        if (message == nullptr) continue;  // answers to what it published itself
                        if (message->qos == qos1) a.sends(puback(message->id.value));
                        if (message->qos == qos2) {
                            a.sends(pubrec(message->id.value)).sends(pubcomp(message->id.value));
                        }
                        got.push_back(*message);
                    }
                    REQUIRE(got.size() == (identifiers.empty() ? 0U : 1U));
                    if (got.empty()) continue;
                    std::ranges::sort(got[0].subscription_identifiers);
                    CHECK(got[0].subscription_identifiers == identifiers);
                    CHECK(got[0].qos == qos);
                    CHECK(got[0].retain == kept);
                }
            }
        }
    }
}

TEST_CASE("combinations: RETAIN by retain as published, on every way",
          "[v5.0][MQTT-3.3.1-12][MQTT-3.3.1-13][MQTT-3.3.1-8][v3.1.1][MQTT-3.3.1-8]"
          "[MQTT-3.3.1-9][gotcha-50]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool as_published = GENERATE(false, true);
    bool retain = GENERATE(false, true);
    auto qos = GENERATE(qos1, qos2);
    bool shared = GENERATE(false, true);
    std::string way = GENERATE("live", "queued", "sent again", "replayed");
    bool v5 = version == Version::v5;
    if (!v5 && as_published) return;
    if (way == "replayed" && (shared || !retain)) return;
    Script s;
    auto& a = s.link("a");
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    a.sends(connect(version).resume()).gets(connack());
    auto packet = subscribe(1, shared ? "$share/g/t" : "t", qos);
    if (as_published) packet.retain_as_published();
    if (way != "replayed") a.sends(packet).gets(suback(1));
    if (way == "queued") a.drops();
    publishes(s.link("pub"), publish("t", "x", qos, 1).retain(retain));
    if (way == "queued") a.sends(connect(version).resume()).gets(connack().session_present());
    if (way == "replayed") a.sends(packet).gets(suback(1));
    bool expected = way == "replayed" || (retain && as_published);
    a.gets(publish("t", "x", qos, 1).retain(expected));
    if (way == "sent again") {
        a.drops().sends(connect(version).resume()).gets(connack().session_present());
        a.gets(publish("t", "x", qos, 1).retain(expected).dup());
    }
    a.gets_nothing();
}

TEST_CASE("combinations: retain handling over the life of a subscription",
          "[v5.0][MQTT-3.3.1-9][MQTT-3.3.1-10][MQTT-3.3.1-11][gotcha-49]") {
    auto handling = GENERATE(mqtt::RetainHandling::send, mqtt::RetainHandling::send_if_new,
                             mqtt::RetainHandling::do_not_send);
    bool shared = GENERATE(false, true);
    std::string const filter = shared ? "$share/g/t" : "t";
    Script s;
    auto& a = s.link("a");
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", "kept").retain());
    auto subscribes = [&](std::uint16_t id, int copies, bool is_new) {
        auto packet = subscribe(id, filter).retain_handling(handling);
        for (int i = 1; i < copies; ++i) packet.also(filter).retain_handling(handling);
        a.sends(packet).gets(suback(id));
        int expected = 0;
        if (handling == mqtt::RetainHandling::send) expected = copies;
        if (handling == mqtt::RetainHandling::send_if_new) expected = is_new ? 1 : 0;
        if (shared) expected = 0;
        for (int i = 0; i < expected; ++i) a.gets(publish("t", "kept").retain());
        a.gets_nothing();
    };
    a.sends(connect(Version::v5).resume()).gets(connack());
    subscribes(1, 1, true);
    subscribes(2, 1, false);
    a.drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    subscribes(3, 1, false);  // a resumed session has it
    // Other options make no new subscription of it.
    a.sends(subscribe(4, filter, qos2).retain_handling(mqtt::RetainHandling::do_not_send));
    a.gets(suback(4));
    subscribes(5, 1, false);
    a.sends(unsubscribe(6, {filter})).gets(unsuback(6));
    subscribes(7, 2, true);  // twice in one packet: the second is not new
    a.sends(connect(Version::v5)).takes<mqtt::Disconnect>();
    a.sends(connect(Version::v5).resume().clean(true)).gets(connack());
    subscribes(8, 1, true);
}

TEST_CASE("combinations: a return in both orders, with will delay, expiry and clean start",
          "[v5.0][MQTT-3.1.4-3][MQTT-3.1.2-4][MQTT-3.1.2-5][MQTT-3.1.2-6][MQTT-3.1.2-8]"
          "[MQTT-3.1.3-9][MQTT-3.2.2-2][MQTT-3.2.2-3][v3.1.1][MQTT-3.1.4-2][gotcha-3][gotcha-4]"
          "[gotcha-5][gotcha-6]") {
    // The old connection's end is noticed before the new CONNECT, or by it.
    bool noticed = GENERATE(false, true);
    auto before = GENERATE(Version::v3_1_1, Version::v5);
    auto after = GENERATE(Version::v3_1_1, Version::v5);
    bool clean = GENERATE(false, true);
    std::uint32_t delay = GENERATE(0U, 2U, 9U);
    std::uint32_t expiry = GENERATE(0U, 5U, mqtt::kSessionNeverExpires);
    int returns_at = GENERATE(0, 1, 3, 6);  // seconds behind the end
    if (before != Version::v5 && (delay > 0 || expiry == 5)) return;
    if (!noticed && returns_at > 0) return;
    Script s;
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, "w")).gets(suback(1));
    auto gone = will("w", "gone");
    if (delay > 0) gone.will_delay_interval = delay;
    auto first = connect(before).id("x").clean(expiry == 0).will(gone);
    if (before == Version::v5) first.clean(true).expiry(expiry);
    s.link("old").sends(first).gets(connack());
    s.link("old").sends(subscribe(1, "t", qos1)).gets(suback(1));
    if (noticed) s.link("old").drops();
    s.pass(std::chrono::seconds{returns_at});

    auto at = static_cast<std::uint32_t>(returns_at);
    bool lives = expiry > 0 && at < expiry;
    bool due = at >= std::min(delay, expiry);
    bool present = lives && !clean;
    bool called_off = present && !due;
    if (s.link("watch").waiting() > 0) CHECK(due);
    auto second = connect(after).id("x").clean(clean);
    if (after == Version::v5) second.expiry(60);
    s.link("new").sends(second).gets(connack().session_present(present));
    if (!noticed) {
        if (before == Version::v5) s.link("old").gets(disconnect(ReasonCode::session_taken_over));
        s.link("old").closes();
    }
    if (!called_off) s.link("watch").gets(publish("w", "gone"));
    s.pass(100s);
    s.link("watch").gets_nothing();
    s.link("watch").sends(publish("t", "x"));
    if (present) s.link("new").gets(publish("t", "x"));
    s.link("new").gets_nothing();
}

TEST_CASE("combinations: one packet id in every state, with different payloads",
          "[v3.1.1][MQTT-4.3.2-2][MQTT-4.3.3-2][v5.0][MQTT-4.3.2-5][MQTT-4.3.3-10][gotcha-26]"
          "[gotcha-28]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    bool dup = GENERATE(false, true);
    Script s;
    s.link("watch").sends(connect(Version::v5)).gets(connack());
    s.link("watch").sends(subscribe(1, "t")).gets(suback(1));
    auto& a = s.link("a");
    a.sends(connect(version)).gets(connack());
    a.sends(publish("t", "1", qos1, 5).dup(dup)).gets(puback(5));
    a.sends(publish("t", "2", qos1, 5).dup(dup)).gets(puback(5));
    a.sends(publish("t", "3", qos2, 5).dup(dup)).gets(pubrec(5));
    a.sends(publish("t", "not new", qos2, 5).dup(dup)).gets(pubrec(5));
    // QoS 1 with the id of an unfinished QoS 2 publish is taken, and does not disturb it.
    a.sends(publish("t", "4", qos1, 5).dup(dup)).gets(puback(5));
    a.sends(publish("t", "not new", qos2, 5).dup(dup)).gets(pubrec(5));
    a.sends(pubrel(5)).gets(pubcomp(5, ReasonCode::success));
    a.sends(publish("t", "5", qos2, 5).dup(dup)).gets(pubrec(5));
    std::string got;
    for (auto const& packet : s.link("watch").takes_all<mqtt::Publish>()) {
        got += as_text(packet.payload);
    }
    CHECK(got == "12345");
}

TEST_CASE(
    "combinations: what waits for a filter that is unsubscribed still comes, nothing new does",
    "[v3.1.1][MQTT-3.10.4-2][v5.0][MQTT-3.10.4-2][gotcha-57]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Script s{{.link = {.inflight_max = 1}}};
    auto& a = s.link("a");
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    a.sends(connect(version)).gets(connack()).sends(subscribe(1, "t", qos1)).gets(suback(1));
    for (std::string payload : {"in flight", "waits"}) {
        s.link("pub").sends(publish("t", payload, qos1, 1)).gets(puback(1));
    }
    a.gets(publish("t", "in flight", qos1, 1));
    a.sends(unsubscribe(2, {"t"})).gets(unsuback(2));
    s.link("pub").sends(publish("t", "new", qos1, 1)).gets(puback(1));
    a.sends(puback(1)).gets(publish("t", "waits", qos1, 2)).sends(puback(2)).gets_nothing();
    // A filter that nobody can hold is one that nobody holds.
    a.sends(unsubscribe(3, {"a#", "", "$share/g"}));
    auto none = ReasonCode::no_subscription_existed;
    a.gets(unsuback(3, version == Version::v5 ? std::vector(3, none) : std::vector<ReasonCode>{}));
}

TEST_CASE("combinations: content is not held against its payload format indicator", "[gotcha-44]") {
    Script s;
    s.link("a").sends(connect(Version::v5)).gets(connack());
    s.link("a").sends(subscribe(1, "t")).gets(suback(1));
    mqtt::MessageProperties properties;
    properties.payload_format_indicator = 1;
    auto packet = publish("t", "\xFF\xC3(", qos0).properties(properties);
    s.link("a").sends(packet).gets(packet);
}
