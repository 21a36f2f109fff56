// Order of messages and of acknowledgements (4.6).
#include <fmt/format.h>

#include "tests/conformance/harness/conversation.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::ReasonCode;
using mqtt::Version;

namespace {

Buffer stream_of(Peer& a, std::string const& topic, int first, int last, mqtt::Qos qos) {
    Buffer bytes;
    for (int i = first; i <= last; ++i) {
        auto one = a.encoded(publish(topic, std::to_string(i), qos, static_cast<std::uint16_t>(i)));
        bytes.insert(bytes.end(), one.begin(), one.end());
    }
    return bytes;
}

}  // namespace

TEST_CASE("order: resends come in the order of the first sends",
          "[v3.1.1][MQTT-4.6.0-1][v5.0][MQTT-4.6.0-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.resuming("b", version).sends(subscribe(1, t, qos2)).gets(suback(1));
    auto& a = s.connected("a", version);
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < 10; ++i) {
        auto qos = i % 3 == 0 ? qos2 : qos1;
        a.sends(publish(t, std::to_string(i), qos, 3));
        if (qos == qos1) a.gets(puback(3));
        if (qos == qos2) a.gets(pubrec(3)).sends(pubrel(3)).gets(pubcomp(3));
        ids.push_back(b.holds(publish(t, std::to_string(i), qos)));
    }
    b.drops().sends(connect(version).resume()).gets(connack().session_present());
    for (std::size_t i = 0; i < 10; ++i) {
        auto qos = i % 3 == 0 ? qos2 : qos1;
        b.gets(publish(t, std::to_string(i), qos, ids[i]).dup());
    }
    b.gets_nothing();
}

TEST_CASE("order: PUBREL come in the order of the PUBRECs",
          "[v3.1.1][MQTT-4.6.0-4][v5.0][MQTT-4.6.0-4]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.resuming("b", version).sends(subscribe(1, t, qos2)).gets(suback(1));
    auto& a = s.connected("a", version);
    std::vector<std::uint16_t> ids;
    for (int i = 0; i < 3; ++i) {
        a.sends(publish(t, std::to_string(i), qos2, 3)).gets(pubrec(3));
        a.sends(pubrel(3)).gets(pubcomp(3));
        ids.push_back(b.holds(publish(t, std::to_string(i), qos2)));
    }
    b.sends_together(pubrec(ids[2]), pubrec(ids[0]), pubrec(ids[1]));
    b.gets(pubrel(ids[2])).gets(pubrel(ids[0])).gets(pubrel(ids[1])).gets_nothing();
}

TEST_CASE("order: a subscriber gets what one publisher sent on a topic in its order",
          "[v3.1.1][MQTT-4.6.0-5][MQTT-4.6.0-6][v5.0][MQTT-4.6.0-5][MQTT-4.6.0-6]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos0, qos1, qos2);
    Conversation s;
    auto const t = s.topic("t");
    auto& b = s.watcher("b", version);
    auto& a = s.connected("a", version);
    constexpr int kMessages = 1000;
    constexpr int kAtOnce = 20;  // no receiver's maximum is smaller
    for (int sent = 0; sent < kMessages; sent += kAtOnce) {
        a.sends_bytes(stream_of(a, t, sent + 1, sent + kAtOnce, qos));
        for (int i = sent + 1; i <= sent + kAtOnce; ++i) {
            auto id = static_cast<std::uint16_t>(i);
            if (qos == qos1) a.gets(puback(id));
            if (qos == qos2) a.gets(pubrec(id));
        }
        for (int i = sent + 1; qos == qos2 && i <= sent + kAtOnce; ++i) {
            auto id = static_cast<std::uint16_t>(i);
            a.sends(pubrel(id)).gets(pubcomp(id));
        }
        std::vector<std::uint16_t> ids;
        for (int i = sent + 1; i <= sent + kAtOnce; ++i) {
            ids.push_back(b.holds(publish(t, std::to_string(i), qos)));
        }
        for (auto id : ids) {
            if (qos == qos1) b.sends(puback(id));
            if (qos == qos2) b.sends(pubrec(id)).gets(pubrel(id)).sends(pubcomp(id));
        }
    }
    b.gets_nothing_of(a);
}

TEST_CASE("order: it is kept over reconnects and with a window of one",
          "[v3.1.1][MQTT-4.6.0-6][v5.0][MQTT-4.6.0-5]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    Conversation s;
    auto const t = s.topic("t");
    auto hello = connect(version).resume();
    if (version == Version::v5) hello.receive_maximum(1);
    auto& b = s.client("b").sends(hello).gets(connack());
    b.sends(subscribe(1, t, qos1)).gets(suback(1));
    auto& a = s.connected("a", version);
    constexpr int kMessages = 90;  // no usual queue of a session is shorter
    a.sends_bytes(stream_of(a, t, 1, kMessages, qos1));
    int next = 1;
    int since = 0;
    while (next <= kMessages) {
        auto came = b.takes<mqtt::Publish>();
        auto number = std::stoi(std::string{as_text(came.payload)});
        if (number == next) ++next;  // a first copy
        REQUIRE(number < next);
        if (++since == 10) {
            since = 0;
            b.drops().sends(hello).gets(connack().session_present());
        } else {
            b.sends(puback(came.id.value));
        }
    }
    for (std::uint16_t i = 1; i <= kMessages; ++i) a.gets(puback(i));
}
