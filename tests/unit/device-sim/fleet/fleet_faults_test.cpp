#include <algorithm>
#include <catch2/catch.hpp>
#include <string>
#include <vector>

#include "device-sim/fleet/fleet.hpp"
#include "tests/support/scripted_server.hpp"

// Faults of bikes against a server of a few lines. What is certain (100%) is drawn for each order.

using namespace spoke;
using namespace spoke::sim;
using namespace spoke::test;
using namespace std::chrono_literals;

namespace {

namespace asio = boost::asio;

struct World {
    explicit World(std::string_view faults, std::string_view net = "perfect") {
        options.bikes = 1;
        options.port = server.port();
        options.reconnect_max = 1ms;
        options.boot = 7;
        options.v3_every = 0;
        options.model.motor_min = options.model.motor_max = 1ms;
        options.faults = std::get<FaultPlan>(parse_faults(faults));
        options.net = std::get<NetPlan>(parse_net(net));
        options.witness = [this](std::string_view, LockFact const& fact, Now) {
            facts.push_back(fact.kind);
        };
        fleet = std::make_unique<Fleet>(io, options);
        fleet->start();
        until([&] { return published("d/b1/state").size() == 1; });
    }

    template <class Predicate>
    void until(Predicate done) {
        run_until(io, done);
    }

    void order(std::string const& id, int n) {
        mqtt::Publish packet;
        packet.topic = "d/b1/cmd";
        packet.payload = to_buffer(R"({"id":")" + id + R"(","n":)" + std::to_string(n) +
                                   R"(,"do":"unlock","exp":9999999999999})");
        packet.qos = mqtt::Qos::at_least_once;
        packet.id = mqtt::PacketId{9};
        server.peers.back()->send(packet);
    }

    [[nodiscard]] std::vector<std::string> published(std::string const& topic,
                                                     std::size_t index = 0) const {
        std::vector<std::string> payloads;
        if (index >= server.peers.size()) return payloads;
        for (auto const& packet : server.peers[index]->packets) {
            auto const* publish = std::get_if<mqtt::Publish>(&packet);
            if (publish != nullptr && publish->topic == topic) {
                payloads.emplace_back(as_text(publish->payload));
            }
        }
        return payloads;
    }

    [[nodiscard]] std::size_t pubacks(std::size_t index = 0) const {
        auto const& packets = server.peers.at(index)->packets;
        return static_cast<std::size_t>(std::count_if(
            packets.begin(), packets.end(),
            [](auto const& packet) { return std::holds_alternative<mqtt::PubAck>(packet); }));
    }

    [[nodiscard]] auto facts_of(LockFact::Kind kind) const {
        return std::count(facts.begin(), facts.end(), kind);
    }
    [[nodiscard]] std::uint64_t struck(Fault fault) const {
        return fleet->fault_counts().of(fault);
    }

    asio::io_context io;
    ScriptedServer server{io};
    FleetOptions options;
    std::vector<LockFact::Kind> facts;
    std::unique_ptr<Fleet> fleet;
};

}  // namespace

TEST_CASE("Fleet: with time on the way an order is still taken, answered and acknowledged",
          "[sim][fleet][faults]") {
    World w{"none", "lte-m"};
    w.order("c1", 1);
    w.until([&] { return w.published("d/b1/ans").size() == 1 && w.pubacks() == 1; });
    CHECK(w.facts_of(LockFact::Kind::opened) == 1);
    CHECK(w.published("d/b1/ans")[0].find(R"("r":"ok")") != std::string::npos);
}

TEST_CASE("Fleet: an order handed over twice is carried out once", "[sim][fleet][faults]") {
    World w{"duplicate=100%"};
    constexpr int kOrders = 20;  // so many that one of them comes again soon
    for (int n = 1; n <= kOrders; ++n) {
        w.order("c" + std::to_string(n), n);
        w.until([&] { return w.facts_of(LockFact::Kind::opened) == n; });
    }
    w.until([&] { return w.published("d/b1/ans").size() == kOrders + 1; });
    CHECK(w.facts_of(LockFact::Kind::opened) == kOrders);
    CHECK(w.struck(Fault::duplicate) == kOrders);
}

TEST_CASE("Fleet: a lost PUBACK is one whose connection ends", "[sim][fleet][faults]") {
    World w{"puback-lost=100%"};
    w.order("c1", 1);
    w.until([&] { return w.published("d/b1/state", 1).size() == 1; });
    CHECK(w.pubacks() == 0);
    CHECK(w.published("d/b1/state", 1)[0].find(R"(["c1","ok",1])") != std::string::npos);
    CHECK(w.struck(Fault::puback_lost) == 1);
}

TEST_CASE("Fleet: an answer may come before the PUBACK", "[sim][fleet][faults]") {
    World w{"puback-late=100%"};
    w.order("c1", 1);
    w.until([&] { return w.published("d/b1/ans").size() == 1; });
    CHECK(w.pubacks() == 0);
    w.until([&] { return w.pubacks() == 1; });
}

TEST_CASE("Fleet: without its answer an order is told of by the state", "[sim][fleet][faults]") {
    World w{"answer-lost=100%"};
    w.order("c1", 1);
    w.until([&] { return w.published("d/b1/state").size() == 3; });
    CHECK(w.published("d/b1/ans").empty());
    CHECK(w.published("d/b1/state").back().find(R"(["c1","ok",1])") != std::string::npos);
    CHECK(w.struck(Fault::answer_lost) == 1);
}

TEST_CASE("Fleet: faults of the lock befall the order", "[sim][fleet][faults]") {
    SECTION("a crash") {
        World w{"crash=100%"};
        w.order("c1", 1);
        w.until([&] { return w.published("d/b1/state", 1).size() == 1; });
        CHECK(w.published("d/b1/state", 1)[0].find(R"(["c1","fail:reboot",1])") !=
              std::string::npos);
        CHECK(w.facts_of(LockFact::Kind::opened) == 0);
    }
    SECTION("a jam") {
        World w{"jam=100%"};
        w.order("c1", 1);
        w.until([&] { return w.published("d/b1/ans").size() == 1; });
        CHECK(w.published("d/b1/ans")[0].find(R"("why":"jam")") != std::string::npos);
    }
    SECTION("no battery to speak of, no clock") {
        World w{"low-battery=100%,clock-none=100%"};
        CHECK(w.published("d/b1/state")[0].find(R"("pct":3)") != std::string::npos);
        CHECK(w.published("d/b1/state")[0].find(R"("at":)") == std::string::npos);
        CHECK(w.struck(Fault::low_battery) == 1);
    }
}

TEST_CASE("Fleet: connections end, with a word and without", "[sim][fleet][faults]") {
    SECTION("a storm") {
        World w{"storm=100%@1ms"};
        w.until([&] { return w.published("d/b1/state", 1).size() == 1; });
        CHECK(w.struck(Fault::storm) == 1);
    }
}

TEST_CASE("Fleet: what stalls reads nothing and says nothing until it is calm",
          "[sim][fleet][faults]") {
    // 100% a minute is once a minute: many bikes, so that one is struck soon.
    World w{"none"};
    w.options.bikes = 200;
    w.options.faults = std::get<FaultPlan>(parse_faults("stall=100%"));
    Fleet fleet{w.io, w.options};
    fleet.start();
    w.until([&] { return fleet.fault_counts().of(Fault::stall) >= 1; });
    fleet.calm();
    w.until([&] { return fleet.counts().online == 200; });
}

TEST_CASE("Fleet: a twin takes the connection of its bike", "[sim][fleet][faults]") {
    World w{"twin=100%"};
    w.until([&] {
        auto is_twin = [](auto const& peer) {
            auto const* connect =
                peer->packets.empty() ? nullptr : std::get_if<mqtt::Connect>(&peer->packets[0]);
            return connect != nullptr && connect->client_id == "b1" && !connect->will;
        };
        return std::any_of(w.server.peers.begin(), w.server.peers.end(), is_twin);
    });
    CHECK(w.struck(Fault::twin) == 1);
}
