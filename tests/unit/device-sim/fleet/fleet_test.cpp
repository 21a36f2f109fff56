#include "device-sim/fleet/fleet.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "tests/support/scripted_server.hpp"

// A fleet against a server of a few lines, over real sockets of the loopback.

using namespace spoke;
using namespace spoke::sim;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

namespace asio = boost::asio;

struct World {
    World() {
        options.bikes = 1;
        options.port = server.port();
        options.reconnect_max = 1ms;
        options.boot = 7;
        options.v3_every = 0;
        options.model.motor_min = options.model.motor_max = 1ms;
    }

    void start() {
        fleet = std::make_unique<Fleet>(io, options);
        fleet->start();
    }
    template <class Predicate>
    void until(Predicate done) {
        run_until(io, done);
    }
    void until_online(std::size_t bikes) {
        until([&] { return fleet->counts().online == bikes; });
    }
    void stop() {
        bool stopped = false;
        fleet->stop([&] { stopped = true; });
        until([&] { return stopped; });
    }

    [[nodiscard]] ScriptedServer::Peer& peer(std::size_t index = 0) {
        return *server.peers.at(index);
    }

    /// Payloads of what the peer has published to `topic` so far.
    [[nodiscard]] std::vector<std::string> published(std::string const& topic,
                                                     std::size_t index = 0) {
        std::vector<std::string> payloads;
        for (auto const& publish : publishes(index)) {
            if (publish.topic == topic) payloads.emplace_back(as_text(publish.payload));
        }
        return payloads;
    }
    [[nodiscard]] std::vector<mqtt::Publish> publishes(std::size_t index = 0) {
        std::vector<mqtt::Publish> found;
        if (index >= server.peers.size()) return found;
        for (auto const& packet : peer(index).packets) {
            if (auto const* publish = std::get_if<mqtt::Publish>(&packet))
                found.push_back(*publish);
        }
        return found;
    }

    void order(std::string const& json, mqtt::UserProperties properties = {}) {
        mqtt::Publish packet;
        packet.topic = "d/b1/cmd";
        packet.payload = to_buffer(json);
        packet.qos = mqtt::Qos::at_least_once;
        packet.id = mqtt::PacketId{9};
        packet.properties.user_properties = std::move(properties);
        peer(server.peers.size() - 1).send(packet);
    }

    asio::io_context io;
    ScriptedServer server{io};
    FleetOptions options;
    std::unique_ptr<Fleet> fleet;
};

bool contains(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

/// Good for as long as the wall clock of this machine says less than the year 2286.
std::string unlock(std::string const& id, int n) {
    return R"({"id":")" + id + R"(","n":)" + std::to_string(n) +
           R"(,"do":"unlock","exp":9999999999999,"args":{"ride":"r1"}})";
}

}  // namespace

TEST_CASE("Fleet: a bike connects as the contract says", "[sim][fleet]") {
    World w;
    auto v3_every = GENERATE(std::size_t{0}, std::size_t{1});
    w.options.v3_every = v3_every;
    w.options.user_name = "fleet";
    w.options.password = "secret";
    w.start();
    w.until([&] { return w.published("d/b1/state").size() == 1; });

    auto const& connect = std::get<mqtt::Connect>(w.peer().packets.at(0));
    CHECK(connect.version == (v3_every == 0 ? mqtt::Version::v5 : mqtt::Version::v3_1_1));
    CHECK(connect.client_id == "b1");
    CHECK(connect.clean_start);
    CHECK(connect.keep_alive == 60);
    CHECK(connect.user_name == "fleet");
    CHECK(connect.password == to_buffer("secret"));
    CHECK(connect.session_expiry_interval.value_or(0) == 0);
    REQUIRE(connect.will);
    CHECK(connect.will->topic == "d/b1/up");
    CHECK(as_text(connect.will->payload) == R"({"on":false,"boot":7})");
    CHECK(connect.will->qos == mqtt::Qos::at_least_once);
    CHECK(connect.will->retain);
    CHECK(connect.will->will_delay_interval.value_or(0) == (v3_every == 0 ? 20U : 0U));

    // Subscribed before the birth is out: who sees that may send an order at once.
    auto const& subscribe = std::get<mqtt::Subscribe>(w.peer().packets.at(1));
    REQUIRE(subscribe.subscriptions.size() == 2);
    CHECK(subscribe.subscriptions[0].filter == "d/b1/cmd");
    CHECK(subscribe.subscriptions[1].filter == "d/b1/cfg");

    auto publishes = w.publishes();
    REQUIRE(publishes.size() == 2);
    CHECK(publishes[0].topic == "d/b1/up");
    CHECK(contains(w.published("d/b1/up")[0], R"({"on":true,"boot":7,)"));
    CHECK(publishes[1].topic == "d/b1/state");
    for (auto const& publish : publishes) {
        CHECK(publish.retain);
        CHECK(publish.qos == mqtt::Qos::at_least_once);
    }
}

TEST_CASE("Fleet: an order is taken, carried out and answered", "[sim][fleet]") {
    World w;
    w.start();
    w.until_online(1);
    w.order(unlock("c1", 1), {{"traceparent", "00-ab-cd-01"}});
    w.until([&] { return w.published("d/b1/ans").size() == 1; });
    w.until([&] { return w.published("d/b1/state").size() == 3; });

    CHECK(contains(w.published("d/b1/ans")[0], R"("id":"c1","n":1,"r":"ok")"));
    CHECK(contains(w.published("d/b1/state")[1], R"("lock":"unlocking")"));
    CHECK(contains(w.published("d/b1/state")[2], R"("lock":"unlocked","ride":"r1")"));
    CHECK(w.fleet->counts().orders == 1);
    CHECK(w.fleet->counts().ok == 1);
    auto publishes = w.publishes();
    auto answer = std::find_if(publishes.begin(), publishes.end(),
                               [](auto const& publish) { return publish.topic == "d/b1/ans"; });
    CHECK_FALSE(answer->retain);
    CHECK(answer->properties.user_properties ==
          mqtt::UserProperties{{"traceparent", "00-ab-cd-01"}});
    auto const& packets = w.peer().packets;
    CHECK(std::any_of(packets.begin(), packets.end(), [](auto const& packet) {
        auto const* puback = std::get_if<mqtt::PubAck>(&packet);
        return puback != nullptr && puback->id == mqtt::PacketId{9};
    }));
}

TEST_CASE("Fleet: to a 3.1.1 bike the trace comes in the JSON and goes back there",
          "[sim][fleet]") {
    World w;
    w.options.v3_every = 1;
    w.start();
    w.until_online(1);
    w.order(R"({"id":"c1","n":1,"do":"state","exp":9999999999999,"tp":"00-ab"})");
    w.until([&] { return w.published("d/b1/ans").size() == 1; });
    CHECK(contains(w.published("d/b1/ans")[0], R"("tp":"00-ab")"));
}

TEST_CASE("Fleet: wanted settings reach the lock", "[sim][fleet]") {
    World w;
    w.start();
    w.until_online(1);
    mqtt::Publish wanted;
    wanted.topic = "d/b1/cfg";
    wanted.payload = to_buffer(R"({"v":12})");
    w.peer().send(wanted);
    w.until([&] { return w.published("d/b1/state").size() == 2; });
    CHECK(contains(w.published("d/b1/state")[1], R"("cfg_v":12)"));
}

TEST_CASE("Fleet: a bike without a clock asks for the time", "[sim][fleet]") {
    World w;
    w.options.clockless_share = 1;
    w.start();
    w.until([&] { return w.published("d/b1/state").size() == 1; });
    CHECK_FALSE(contains(w.published("d/b1/state")[0], R"("at")"));
    auto const& subscribe = std::get<mqtt::Subscribe>(w.peer().packets.at(1));
    REQUIRE(subscribe.subscriptions.size() == 3);
    CHECK(subscribe.subscriptions[2].filter == "$time");

    mqtt::Publish time;
    time.topic = "$time";
    time.payload = to_buffer(R"({"now":1763838000123})");
    w.peer().send(time);
    w.order(R"({"id":"c1","n":1,"do":"state","ttl":60000})");
    w.until([&] { return w.published("d/b1/ans").size() == 1; });
    CHECK(contains(w.published("d/b1/ans")[0], R"("at":17638380)"));
}

TEST_CASE("Fleet: one bike waits for the broker, the others follow it", "[sim][fleet]") {
    World w;
    w.options.bikes = 5;
    w.options.first_number = 41;
    w.options.v3_every = 3;
    std::size_t refusals = 3;
    w.server.on_packet = [&](auto& peer, mqtt::Packet const& packet) {
        if (!std::holds_alternative<mqtt::Connect>(packet) || refusals == 0) {
            return ScriptedServer::answer(peer, packet);
        }
        --refusals;
        mqtt::ConnAck refusal;
        refusal.reason = mqtt::ReasonCode::server_unavailable;
        peer.send(refusal);
    };
    w.start();
    w.until([&] { return refusals == 0; });
    CHECK(w.server.peers.size() == 3);
    CHECK(w.fleet->counts().online == 0);
    CHECK(contains(std::string{w.fleet->trouble()}, "unavailable"));

    w.until_online(5);
    std::vector<std::string> ids;
    std::size_t v3 = 0;
    for (std::size_t i = 0; i < w.server.peers.size(); ++i) {
        auto const& connect = std::get<mqtt::Connect>(w.peer(i).packets.at(0));
        ids.push_back(connect.client_id);
        v3 += connect.version == mqtt::Version::v3_1_1 ? 1U : 0U;
    }
    CHECK(ids == std::vector<std::string>{"b41", "b41", "b41", "b41", "b42", "b43", "b44", "b45"});
    CHECK(v3 == 1);
    CHECK(w.fleet->counts().connects == 5);
}

TEST_CASE("Fleet: the end is a goodbye, then DISCONNECT", "[sim][fleet][stop]") {
    World w;
    w.options.bikes = 3;
    w.start();
    w.until_online(3);
    w.stop();
    for (std::size_t i = 0; i < 3; ++i) {
        auto goodbyes = w.published("d/b" + std::to_string(i + 1) + "/up", i);
        CHECK(goodbyes.back() == R"({"on":false,"boot":7})");
        CHECK(w.publishes(i).back().retain);
        CHECK(std::holds_alternative<mqtt::Disconnect>(w.peer(i).packets.back()));
    }
    CHECK(w.fleet->counts().online == 0);
    CHECK(w.fleet->counts().losses == 0);
    CHECK(w.fleet->counts().publishes_lost == 0);
}

TEST_CASE("Fleet: after its goodbye a bike takes no more orders", "[sim][fleet][stop]") {
    World w;
    bool stopped = false;
    w.server.on_packet = [&](auto& peer, mqtt::Packet const& packet) {
        auto const* publish = std::get_if<mqtt::Publish>(&packet);
        if (publish != nullptr &&
            contains(std::string{as_text(publish->payload)}, "false,\"boot")) {
            w.order(unlock("c1", 1));
        }
        ScriptedServer::answer(peer, packet);
    };
    w.start();
    w.until_online(1);
    w.fleet->stop([&] { stopped = true; });
    w.until([&] { return stopped; });
    CHECK(w.fleet->counts().orders == 0);
    for (auto const& packet : w.peer().packets) {
        CHECK_FALSE(std::holds_alternative<mqtt::PubAck>(packet));
    }
}

TEST_CASE("Fleet: it can be stopped while it waits, while it connects and before it began",
          "[sim][fleet][stop]") {
    World w;
    SECTION("before") {
        w.fleet = std::make_unique<Fleet>(w.io, w.options);
    }
    SECTION("while it connects: nobody answers CONNECT") {
        w.server.on_packet = nullptr;
        w.start();
        w.until([&] { return w.server.peers.size() == 1 && !w.peer().packets.empty(); });
    }
    SECTION("while it waits: nobody listens") {
        w.options.reconnect_max = 1h;
        w.server.stop_listening();
        w.start();
        w.until([&] { return w.fleet->counts().waiting == 1; });
    }
    w.stop();
    CHECK(w.fleet->counts().online + w.fleet->counts().waiting + w.fleet->counts().connecting == 0);
}

TEST_CASE("Fleet: a lost connection is counted and made anew", "[sim][fleet]") {
    World w;
    w.start();
    w.until_online(1);
    w.peer().reset();
    w.until([&] { return w.published("d/b1/state", 1).size() == 1; });
    CHECK(w.fleet->counts().losses == 1);
    CHECK(w.fleet->counts().connects == 2);
    CHECK(std::get<mqtt::Connect>(w.peer(1).packets.at(0)).will->payload ==
          to_buffer(R"({"on":false,"boot":7})"));
}

TEST_CASE("Fleet: a power cut breaks the connection; the next is of the next boot",
          "[sim][fleet]") {
    World w;
    w.options.model.crash_share = 1;
    w.start();
    w.until_online(1);
    w.order(unlock("c1", 1));
    w.until([&] { return w.published("d/b1/state", 1).size() == 1; });
    CHECK(w.peer().ended);
    CHECK_FALSE(std::holds_alternative<mqtt::Disconnect>(w.peer().packets.back()));
    CHECK(w.published("d/b1/ans").empty());
    CHECK(std::get<mqtt::Connect>(w.peer(1).packets.at(0)).will->payload ==
          to_buffer(R"({"on":false,"boot":8})"));
    CHECK(contains(w.published("d/b1/state", 1)[0], R"(["c1","fail:reboot",1])"));
    CHECK(w.fleet->counts().power_cycles == 1);
}

TEST_CASE("Fleet: a bike sleeps as announced and comes back of itself", "[sim][fleet][sleep]") {
    World w;
    w.start();
    w.until_online(1);
    w.order(R"({"id":"c1","n":1,"do":"sleep","exp":9999999999999,"args":{"after_s":0,"for_s":1}})");
    w.until([&] { return w.fleet->counts().online == 0; });
    CHECK(contains(w.published("d/b1/up").back(), R"({"on":false,"wake":)"));
    w.until([&] { return w.published("d/b1/up", 1).size() == 1; });
    CHECK(std::holds_alternative<mqtt::Disconnect>(w.peer().packets.back()));
    CHECK(contains(w.published("d/b1/up", 1).back(), R"({"on":true,"boot":7,)"));
    CHECK(w.fleet->counts().losses == 0);
}

TEST_CASE("Fleet: an event is published again until its PUBACK", "[sim][fleet][event]") {
    World w;
    w.options.model.ride_min = w.options.model.ride_max = 1ms;
    bool acknowledges = false;
    w.server.on_packet = [&](auto& peer, mqtt::Packet const& packet) {
        auto const* publish = std::get_if<mqtt::Publish>(&packet);
        if (publish != nullptr && publish->topic == "d/b1/evt" && !acknowledges) {
            return peer.reset();
        }
        ScriptedServer::answer(peer, packet);
    };
    w.start();
    w.until_online(1);
    w.order(unlock("c1", 1));
    w.until([&] { return w.published("d/b1/evt").size() == 1; });
    acknowledges = true;
    w.until([&] { return w.published("d/b1/evt", 1).size() == 1; });
    CHECK(w.published("d/b1/evt", 1) == w.published("d/b1/evt", 0));

    // A later order's answer shows that the PUBACK before it has been read.
    w.order(unlock("c1", 1));
    w.until([&] { return w.published("d/b1/ans", 1).size() == 1; });
    w.peer(1).reset();
    w.until([&] { return w.published("d/b1/state", 2).size() == 1; });
    CHECK(w.published("d/b1/evt", 2).empty());
}

TEST_CASE("Fleet: what the broker refuses is counted", "[sim][fleet]") {
    World w;
    w.server.on_packet = [&](auto& peer, mqtt::Packet const& packet) {
        if (auto const* subscribe = std::get_if<mqtt::Subscribe>(&packet)) {
            mqtt::SubAck refusal;
            refusal.id = subscribe->id;
            refusal.reasons = {mqtt::ReasonCode::not_authorized, mqtt::ReasonCode::granted_qos_1};
            return peer.send(refusal);
        }
        auto const* publish = std::get_if<mqtt::Publish>(&packet);
        if (publish != nullptr && publish->topic == "d/b1/state") {
            mqtt::PubAck refusal;
            refusal.id = publish->id;
            refusal.reason = mqtt::ReasonCode::quota_exceeded;
            return peer.send(refusal);
        }
        ScriptedServer::answer(peer, packet);
    };
    w.start();
    w.until([&] { return w.fleet && w.fleet->counts().publishes_refused == 1; });
    CHECK(w.fleet->counts().subscriptions_refused == 1);
    CHECK(w.fleet->counts().publishes_lost == 0);
}
