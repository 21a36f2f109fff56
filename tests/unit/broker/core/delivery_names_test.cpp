// Deliveries that are known by name, so that whoever has one knows it when it comes again.
#include <catch2/catch.hpp>
#include <memory>
#include <string>

#include "broker/storage/reference_store.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::Version;

namespace {

constexpr auto kNoName = "0000000000000000";

void asks(mqtt::Connect& packet) {
    packet.user_properties = {{"spoke-deliveries", "1"}};
}

/// A broker that can be killed, whose "bridge" may know the names of its deliveries.
struct NamesBench {
    NamesBench() {
        options.settings.receipts.clients = {"bridge"};
        options.store = &store;
        script = std::make_unique<Script>(options);
    }
    void restarts() {
        script.reset();
        store.crash();
        script = std::make_unique<Script>(options);
    }
    ScriptLink& bridge() { return script->link("bridge"); }
    ScriptLink& pub() { return script->link("pub"); }

    void connects(ConnectBuilder builder = connect(Version::v5).resume()) {
        bridge().sends(builder.id("bridge").with(asks));
        static_cast<void>(bridge().takes<mqtt::ConnAck>());
    }
    void subscribes(mqtt::Qos qos = qos2) {
        bridge().sends(subscribe(1, "t", qos)).gets(suback(1));
        pub().sends(connect(Version::v5)).gets(connack());
    }

    ScriptOptions options;
    broker::ReferenceStore store;
    std::unique_ptr<Script> script;
};

/// The name of a delivery, which stands before the properties of its publisher.
std::string name_of(mqtt::Publish const& packet) {
    auto const& properties = packet.properties.user_properties;
    if (properties.empty() || properties.front().name != "spoke-delivery") return "none";
    return properties.front().value;
}

}  // namespace

TEST_CASE("delivery names: CONNACK grants them to who asks and may ask for receipts", "[v5.0]") {
    NamesBench s;
    auto granted = [&](ConnectBuilder const& builder) {
        s.script->link("x").sends(builder);
        auto properties = s.script->link("x").takes<mqtt::ConnAck>().user_properties;
        s.script->link("x").drops();
        return !properties.empty() &&
               properties.back() == mqtt::UserProperty{"spoke-deliveries", "1"};
    };
    CHECK(granted(connect(Version::v5).id("bridge").with(asks)));
    CHECK_FALSE(granted(connect(Version::v5).id("bridge")));
    CHECK_FALSE(granted(connect(Version::v5).id("other").with(asks)));
    CHECK_FALSE(granted(connect(Version::v5).id("bridge").with([](mqtt::Connect& packet) {
        packet.user_properties = {{"spoke-deliveries", "0"}};
    })));
}

TEST_CASE("delivery names: at QoS 1 and 2, before what the publisher says", "[v5.0]") {
    NamesBench s;
    s.connects();
    s.subscribes();
    mqtt::MessageProperties forged;
    forged.user_properties = {{"spoke-delivery", "forged"}, {"a", "1"}};
    auto takes = [&](mqtt::Qos qos) {
        s.pub().sends(publish("t", "x", qos, 1).properties(forged));
        if (qos == qos1) s.pub().gets(puback(1));
        if (qos == qos2) s.pub().gets(pubrec(1)).sends(pubrel(1)).gets(pubcomp(1));
        return s.bridge().takes<mqtt::Publish>();
    };
    CHECK(takes(qos0).properties.user_properties == forged.user_properties);
    auto first = takes(qos1);
    CHECK(name_of(first).size() == 16);
    CHECK(first.properties.user_properties.size() == 3);
    auto second = takes(qos2);
    CHECK(name_of(second).size() == 16);
    CHECK(name_of(second) != name_of(first));
    CHECK(name_of(second) != kNoName);
}

TEST_CASE("delivery names: others have none", "[v5.0]") {
    NamesBench s;
    s.bridge().sends(connect(Version::v5).id("bridge").resume());
    static_cast<void>(s.bridge().takes<mqtt::ConnAck>());
    s.subscribes();
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
    CHECK(name_of(s.bridge().takes<mqtt::Publish>()) == "none");
}

TEST_CASE("delivery names: the same whenever a delivery comes again", "[v5.0]") {
    NamesBench s;
    s.connects();
    s.subscribes();
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
    auto first = s.bridge().takes<mqtt::Publish>();
    CHECK_FALSE(first.dup);

    s.bridge().drops();
    s.connects();
    auto second = s.bridge().takes<mqtt::Publish>();
    CHECK(second.dup);
    CHECK(name_of(second) == name_of(first));

    s.restarts();
    s.connects();
    auto third = s.bridge().takes<mqtt::Publish>();
    CHECK(third.dup);
    CHECK(name_of(third) == name_of(first));
}

TEST_CASE("delivery names: the same where a crash has forgotten that it was sent", "[v5.0]") {
    NamesBench s;
    s.connects();
    s.subscribes();
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
    auto acknowledged = s.bridge().takes<mqtt::Publish>();
    s.store.hold();
    s.bridge().sends(puback(acknowledged.id.value)).gets_nothing();
    s.pub().sends(publish("t", "y", qos1, 2)).gets_nothing();
    auto first = s.bridge().takes<mqtt::Publish>();
    auto submits = GENERATE(as<std::size_t>{}, 1, 2, 3);  // the message; that it is sent; more
    s.store.release_some(submits);

    s.restarts();
    s.connects();
    std::vector<std::string> names;
    for (auto const& packet : s.bridge().takes_all<mqtt::Publish>()) {
        names.push_back(name_of(packet));
    }
    CAPTURE(names);
    for (auto const& name : names) {
        CHECK((name == name_of(acknowledged) || name == name_of(first)));
    }
    s.pub().sends(connect(Version::v5)).gets(connack());
    s.pub().sends(publish("t", "z", qos1, 3)).gets(puback(3));
    auto other = name_of(s.bridge().takes<mqtt::Publish>());
    CHECK(other != name_of(first));
    CHECK(other != name_of(acknowledged));
}

TEST_CASE("delivery names: zeros where a session is not stored", "[v5.0]") {
    NamesBench s;
    s.connects(connect(Version::v5));
    s.subscribes();
    s.pub().sends(publish("t", "x", qos1, 1)).gets(puback(1));
    CHECK(name_of(s.bridge().takes<mqtt::Publish>()) == kNoName);
}

TEST_CASE("delivery names: they count for the maximum packet size", "[v5.0][MQTT-3.1.2-24]") {
    constexpr std::uint32_t kSize = 1 + 1 + 3 + 2 + 1 + (1 + 2 + 14 + 2 + 16) + 40;
    auto room = GENERATE(as<std::uint32_t>{}, 0, 1);
    NamesBench s;
    s.connects(connect(Version::v5).resume().maximum_packet_size(kSize - 1 + room));
    s.subscribes();
    s.pub().sends(publish("t", std::string(40, 'x'), qos1, 1)).gets(puback(1));
    if (room == 0) {
        s.bridge().gets_nothing();
    } else {
        CHECK(name_of(s.bridge().takes<mqtt::Publish>()).size() == 16);
    }
}
