// A store that has lost some of its records must not keep the broker from starting.
#include <catch2/catch.hpp>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "broker/storage/reference_store.hpp"
#include "tests/support/script.hpp"

using namespace spoke;
using namespace spoke::test;
using mqtt::Version;

namespace {

struct Deliveries final : broker::StoreVisitor {
    std::vector<std::pair<broker::StoredDelivery, broker::StoredProgress>> sent{};

    void on_session(broker::StoredSession) override {}
    void on_subscription(broker::SessionNumber, std::string_view,
                         broker::StoredSubscription const&) override {}
    void on_inbound(broker::SessionNumber, mqtt::PacketId) override {}
    void on_delivery(broker::StoredDelivery delivery,
                     std::optional<broker::StoredProgress> progress) override {
        if (progress) sent.emplace_back(std::move(delivery), *progress);
    }
    void on_retained(broker::MessagePtr) override {}
};

}  // namespace

TEST_CASE("damaged store: two deliveries that were sent with one number both come again") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    broker::ReferenceStore store;
    ScriptOptions options;
    options.store = &store;
    {
        Script s{options};
        s.link("sub").sends(connect(version).resume()).gets(connack());
        s.link("sub").sends(subscribe(1, "t", qos1)).gets(suback(1));
        s.link("pub").sends(connect(version)).gets(connack());
        for (std::uint16_t i = 1; i <= 3; ++i) {
            s.link("pub").sends(publish("t", std::to_string(i), qos1, i)).gets(puback(i));
            s.link("sub").gets(publish("t", std::to_string(i), qos1, i));
        }
    }
    store.crash();
    Deliveries deliveries;
    store.load(deliveries, WallTime{});
    REQUIRE(deliveries.sent.size() == 3);
    auto& shard = store.of_shard(0);
    for (auto& [delivery, progress] : deliveries.sent) {
        progress.send_number = 1;
        shard.put_progress(delivery, progress);
    }
    shard.submit();
    store.crash();

    Script s{options};
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    for (std::uint16_t i = 1; i <= 3; ++i)
        s.link("sub").gets(publish("t", std::to_string(i), qos1, i).dup());
    for (std::uint16_t i = 1; i <= 3; ++i) s.link("sub").sends(puback(i));
    CHECK(store.delivery_count() == 0);
}

TEST_CASE("QoS 2: what cannot be sent again is released, so that its id is free for both sides",
          "[v5.0][MQTT-4.3.3-8]") {
    Script s;
    s.link("sub").sends(connect(Version::v5).resume()).gets(connack());
    s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
    s.link("pub").sends(connect(Version::v5)).gets(connack());
    s.link("pub").sends(publish("t", std::string(100, 'x'), qos2, 1)).gets(pubrec(1));
    s.link("sub").takes<mqtt::Publish>();
    s.link("sub").drops();
    s.link("sub").sends(connect(Version::v5).resume().maximum_packet_size(50));
    s.link("sub").gets(connack().session_present()).gets(pubrel(1)).sends(pubcomp(1));
    CHECK(s.dropped().packet_too_large.read() == 1);
    CHECK(s.store().message_count() == 0);
}

TEST_CASE("damaged store: a QoS 2 delivery whose message is lost is released") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto qos = GENERATE(qos1, qos2);
    broker::ReferenceStore store;
    ScriptOptions options;
    options.store = &store;
    {
        Script s{options};
        s.link("sub").sends(connect(version).resume()).gets(connack());
        s.link("sub").sends(subscribe(1, "t", qos2)).gets(suback(1));
        s.link("pub").sends(connect(version)).gets(connack());
        s.link("pub").sends(publish("t", "x", qos, 1));
        s.link("sub").gets(publish("t", "x", qos, 1));
    }
    store.crash();
    store.lose_messages();
    Script s{options};
    s.link("sub").sends(connect(version).resume()).gets(connack().session_present());
    if (qos == qos2) s.link("sub").gets(pubrel(1)).sends(pubcomp(1));
    s.link("sub").gets_nothing();
    CHECK(s.dropped().damaged.read() == 1);
    CHECK(store.delivery_count() == 0);
}
