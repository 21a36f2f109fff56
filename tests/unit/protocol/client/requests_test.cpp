#include <catch2/catch.hpp>

#include "tests/unit/protocol/client/client_script.hpp"

using namespace spoke;
using namespace spoke::mqtt;
using namespace spoke::test;

namespace {

Subscribe to(std::vector<std::string> const& filters) {
    Subscribe packet;
    for (auto const& filter : filters) packet.subscriptions.push_back({filter, {.qos = kQos1}});
    return packet;
}

using Failures = std::vector<std::pair<std::uint64_t, RequestFailure>>;

}  // namespace

TEST_CASE("requests: each answer finds its token",
          "[client][v3.1.1][MQTT-2.3.1-2][v5.0][MQTT-2.2.1-3]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    auto first = to({"a/+", "b/#"});
    if (version == Version::v5) first.subscription_identifier = 7;
    s.machine.subscribe(first, RequestToken{11}, s.now);
    s.machine.unsubscribe({.filters = {"c"}}, RequestToken{12}, s.now);
    s.machine.subscribe(to({"d"}), RequestToken{13}, s.now);
    auto packets = s.takes();
    REQUIRE(lines_of(packets) == Lines{"SUBSCRIBE 1", "UNSUBSCRIBE 2", "SUBSCRIBE 3"});
    first.id = PacketId{1};
    CHECK(std::get<Subscribe>(packets[0]) == first);
    CHECK(std::get<Unsubscribe>(packets[1]).filters == std::vector<std::string>{"c"});

    SubAck third{.id = PacketId{3}, .reasons = {ReasonCode::granted_qos_1}};
    SubAck one{.id = PacketId{1}, .reasons = {ReasonCode::granted_qos_1, ReasonCode{0x80}}};
    UnsubAck two{.id = PacketId{2}};
    if (version == Version::v5) two.reasons = {ReasonCode::no_subscription_existed};
    s.gives(third);
    s.gives(two);
    s.gives(one);
    REQUIRE(s.app.subacks.size() == 2);
    CHECK(s.app.subacks[0] == std::pair{std::uint64_t{13}, third});
    CHECK(s.app.subacks[1] == std::pair{std::uint64_t{11}, one});
    REQUIRE(s.app.unsubacks.size() == 1);
    CHECK(s.app.unsubacks[0] == std::pair{std::uint64_t{12}, two});
    CHECK(s.app.failures.empty());
}

TEST_CASE("requests: answers that fit nothing break the protocol", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version};
    s.connects();
    s.machine.subscribe(to({"a", "b"}), RequestToken{1}, s.now);
    s.machine.unsubscribe({.filters = {"c"}}, RequestToken{2}, s.now);
    static_cast<void>(s.takes());
    SubAck suback{.id = PacketId{1}, .reasons = {ReasonCode::success, ReasonCode::success}};
    SECTION("unknown id") {
        suback.id = PacketId{9};
    }
    SECTION("id of the UNSUBSCRIBE") {
        suback.id = PacketId{2};
    }
    SECTION("too few reasons") {
        suback.reasons.pop_back();
    }
    SECTION("too many reasons") {
        suback.reasons.push_back(ReasonCode::success);
    }
    s.gives(suback);
    REQUIRE(s.app.closed);
    CHECK(s.app.closed->reason == ReasonCode::protocol_error);
    CHECK(s.app.failures ==
          Failures{{1, RequestFailure::connection_lost}, {2, RequestFailure::connection_lost}});
}

TEST_CASE("requests: they end with the connection and free their ids", "[client]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    ClientScript s{version, {.requests_max = 2}};
    s.machine.subscribe(to({"a"}), RequestToken{1}, s.now);
    s.connects();
    s.machine.subscribe(to({"a"}), RequestToken{2}, s.now);
    s.machine.unsubscribe({.filters = {"a"}}, RequestToken{3}, s.now);
    s.machine.subscribe(to({"a"}), RequestToken{4}, s.now);
    s.drops();
    CHECK(s.app.failures == Failures{{1, RequestFailure::not_connected},
                                     {4, RequestFailure::too_many},
                                     {2, RequestFailure::connection_lost},
                                     {3, RequestFailure::connection_lost}});
    s.connects({.session_present = true});
    s.machine.subscribe(to({"a"}), RequestToken{5}, s.now);
    CHECK(lines_of(s.takes()) == Lines{"SUBSCRIBE 3"});
}

TEST_CASE("requests: bad filters are not sent",
          "[client][v3.1.1][MQTT-4.7.1-2][MQTT-4.7.1-3][MQTT-4.7.3-1][v5.0][MQTT-4.7.1-1]"
          "[MQTT-4.7.1-2][MQTT-4.7.3-1]") {
    auto version = GENERATE(Version::v3_1_1, Version::v5);
    auto filter =
        GENERATE(as<std::string>{}, "", "a#", "a/#/b", "a+", std::string("a\0b", 3), "\xC3\x28");
    ClientScript s{version};
    s.connects();
    s.machine.subscribe(to({"good", filter}), RequestToken{1}, s.now);
    s.machine.unsubscribe({.filters = {filter}}, RequestToken{2}, s.now);
    CHECK(s.app.failures ==
          Failures{{1, RequestFailure::filter_invalid}, {2, RequestFailure::filter_invalid}});
    CHECK(s.takes().empty());
}

TEST_CASE("requests: no filter at all is not sent", "[client][v5.0][MQTT-3.8.3-2][MQTT-3.10.3-2]") {
    ClientScript s{Version::v5};
    s.connects();
    s.machine.subscribe({}, RequestToken{1}, s.now);
    s.machine.unsubscribe({}, RequestToken{2}, s.now);
    CHECK(s.app.failures.size() == 2);
    CHECK(s.takes().empty());
}

TEST_CASE("requests: shared subscriptions must be well formed",
          "[client][v5.0][MQTT-4.8.2-1][MQTT-4.8.2-2][MQTT-3.8.3-4]") {
    ClientScript s{Version::v5};
    s.connects();
    SECTION("good") {
        s.machine.subscribe(to({"$share/g/a/+"}), RequestToken{1}, s.now);
        CHECK(s.takes().size() == 1);
    }
    SECTION("bad") {
        auto filter = GENERATE(as<std::string>{}, "$share", "$share/g", "$share//a", "$share/+/a");
        s.machine.subscribe(to({filter}), RequestToken{1}, s.now);
        CHECK(s.app.failures == Failures{{1, RequestFailure::filter_invalid}});
    }
    SECTION("with no local") {
        auto packet = to({"$share/g/a"});
        packet.subscriptions[0].options.no_local = true;
        s.machine.subscribe(packet, RequestToken{1}, s.now);
        CHECK(s.app.failures == Failures{{1, RequestFailure::filter_invalid}});
    }
}

TEST_CASE("requests: what the server does not offer is not sent", "[client]") {
    ClientScript s{Version::v5};
    s.connects({.maximum_packet_size = 60,
                .wildcard_subscription_available = false,
                .subscription_identifiers_available = false,
                .shared_subscription_available = false});
    s.machine.subscribe(to({"a/+"}), RequestToken{1}, s.now);
    s.machine.subscribe(to({"$share/g/a"}), RequestToken{2}, s.now);
    auto with_id = to({"a"});
    with_id.subscription_identifier = 1;
    s.machine.subscribe(with_id, RequestToken{3}, s.now);
    s.machine.subscribe(to({std::string(60, 'x')}), RequestToken{4}, s.now);
    s.machine.unsubscribe({.filters = {std::string(60, 'x')}}, RequestToken{5}, s.now);
    CHECK(s.app.failures == Failures{{1, RequestFailure::not_supported},
                                     {2, RequestFailure::not_supported},
                                     {3, RequestFailure::not_supported},
                                     {4, RequestFailure::too_large},
                                     {5, RequestFailure::too_large}});
    s.machine.subscribe(to({"a"}), RequestToken{6}, s.now);
    CHECK(s.takes().size() == 1);
}
