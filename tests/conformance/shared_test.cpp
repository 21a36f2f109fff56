// Shared subscriptions (5.0: 4.8.2): one member for each message.
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

void publish_at(Peer& a, std::string const& topic, std::string_view payload, mqtt::Qos qos) {
    a.sends(publish(topic, payload, qos, 3));
    if (qos == qos1) a.gets(puback(3));
    if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
}

}  // namespace

TEST_CASE("shared: each member gets a message with the QoS granted to it", "[v5.0][MQTT-4.8.2-3]") {
    Conversation s;
    auto const t = s.topic("t");
    auto& p = s.connected("p", Version::v5);
    // One after the other is the only member there.
    for (auto granted : {qos0, qos1, qos2}) {
        auto& member = s.connected("member", Version::v5);
        member.sends(subscribe(1, "$share/g/" + t, granted)).gets(suback(1));
        publish_at(p, t, "x", qos2);
        member.receives(publish(t, "x", granted)).gets_nothing().leaves();
    }
    // Two members: whoever gets a message, its QoS is that member's, and there is one copy.
    auto& zero = s.connected("zero", Version::v5);
    zero.sends(subscribe(1, "$share/g/" + t, qos0)).gets(suback(1));
    auto& two = s.connected("two", Version::v5);
    two.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    for (auto* member : {&zero, &two}) member->sends(subscribe(2, s.topic("end"))).gets(suback(2));
    constexpr int kMessages = 10;
    for (int i = 0; i < kMessages; ++i) publish_at(p, t, "x", qos2);
    p.sends(publish(s.topic("end"), "end"));
    int copies = 0;
    for (auto* member : {&zero, &two}) {
        for (auto came = member->takes<mqtt::Publish>(); came.topic == t;
             came = member->takes<mqtt::Publish>()) {
            ++copies;
            CHECK(came.qos == (member == &zero ? qos0 : qos2));
        }
    }
    CHECK(copies == kMessages);
}

TEST_CASE("shared: a QoS 2 delivery that began is finished with its member",
          "[v5.0][MQTT-4.8.2-4]") {
    auto released = GENERATE(false, true);
    Conversation s;
    auto const t = s.topic("t");
    auto& first = s.resuming("first", Version::v5);
    first.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    auto& p = s.connected("p", Version::v5);
    publish_at(p, t, "x", qos2);
    auto id = first.holds(publish(t, "x", qos2));
    if (released) first.sends(pubrec(id)).gets(pubrel(id));
    auto& other = s.connected("other", Version::v5);
    other.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    first.drops();
    other.gets_nothing_of(p);
    first.sends(connect(Version::v5).resume()).gets(connack().session_present());
    if (!released) first.gets(publish(t, "x", qos2, id).dup()).sends(pubrec(id));
    first.gets(pubrel(id)).sends(pubcomp(id)).gets_nothing();
    other.gets_nothing_of(p);
}

TEST_CASE("shared: if the session of that member ends nobody else gets the QoS 2 message",
          "[slow][v5.0][MQTT-4.8.2-5]") {
    auto ends = GENERATE(0U, 1U);
    Conversation s;
    auto const t = s.topic("t");
    auto value = will(s.topic("ended"), "ended");
    value.will_delay_interval = 60;  // the end of the session comes first
    auto& first = s.client("first").sends(connect(Version::v5).expiry(ends).will(value));
    first.gets(connack()).sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    auto& p = s.connected("p", Version::v5);
    publish_at(p, t, "x", qos2);
    (void)first.holds(publish(t, "x", qos2));
    auto& other = s.connected("other", Version::v5);
    other.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    other.sends(subscribe(2, s.topic("ended"))).gets(suback(2));
    first.drops();
    other.receives(publish(s.topic("ended"), "ended")).gets_nothing_of(p);
}

TEST_CASE("shared: a negative answer of a member discards the message for all",
          "[v5.0][MQTT-4.8.2-6][MQTT-4.4.0-2]") {
    auto qos = GENERATE(qos1, qos2);
    Conversation s;
    auto const t = s.topic("t");
    auto& first = s.resuming("first", Version::v5);
    first.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    auto& p = s.connected("p", Version::v5);
    publish_at(p, t, "x", qos);
    auto id = first.holds(publish(t, "x", qos));
    auto& other = s.connected("other", Version::v5);
    other.sends(subscribe(1, "$share/g/" + t, qos2)).gets(suback(1));
    if (qos == qos1) first.sends(puback(id, ReasonCode::unspecified_error));
    if (qos == qos2) first.sends(pubrec(id, ReasonCode::unspecified_error));
    first.gets_nothing();
    other.gets_nothing_of(p);
    first.drops().sends(connect(Version::v5).resume()).gets(connack().session_present());
    first.gets_nothing();
    other.gets_nothing_of(p);
}
