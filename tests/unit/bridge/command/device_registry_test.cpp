#include "bridge/command/device_registry.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

struct Fleet {
    FakeClock clock;
    DeviceRegistry registry{{.devices_max = 3, .quiet_after = 90s, .offline_after = 1h}};

    bool up(bool on, std::optional<std::uint64_t> boot, bool retained = false) {
        Birth birth;
        birth.on = on;
        birth.boot = boot;
        return registry.on_birth("b42", birth, {clock.now, retained});
    }
    bool state(std::uint64_t boot, std::optional<std::uint64_t> uptime, bool retained = false,
               bool backlog = false) {
        StateReport report;
        report.boot = boot;
        report.up = uptime;
        report.document = "{}";
        return registry.on_state("b42", report, {clock.now, retained, backlog});
    }
    bool sign() { return registry.on_sign_of_life("b42", {clock.now}); }
    Presence presence() { return registry.presence(*registry.find("b42"), clock.now.steady); }
    std::optional<std::uint64_t> uptime_in(std::chrono::milliseconds ahead) {
        return DeviceRegistry::uptime_at(*registry.find("b42"), clock.now.steady + ahead);
    }
};

}  // namespace

TEST_CASE("presence: births and wills", "[bridge][presence]") {
    Fleet f;
    CHECK(f.up(true, 7));
    CHECK(f.presence() == Presence::online);
    CHECK(f.up(true, 7));  // a new connection, though the end of the old one was not told
    CHECK_FALSE(f.up(false, 7));
    CHECK(f.presence() == Presence::offline);
    CHECK(f.sign());  // the will was that of an older connection
    CHECK(f.presence() == Presence::online);
    CHECK_FALSE(f.sign());
}

TEST_CASE("presence: what is of an older boot is ignored", "[bridge][presence]") {
    Fleet f;
    f.up(true, 8);
    CHECK_FALSE(f.up(false, 7));  // the will of the connection before the reboot came late
    CHECK(f.presence() == Presence::online);
    f.up(false, 8);
    CHECK_FALSE(f.up(true, 7));
    CHECK(f.presence() == Presence::offline);
    CHECK_FALSE(f.state(7, 5));
    CHECK(f.presence() == Presence::offline);
    CHECK(f.registry.find("b42")->state.empty());
    CHECK(f.up(true, 9));
    CHECK(f.presence() == Presence::online);
}

TEST_CASE("presence: silence makes quiet, then offline", "[bridge][presence]") {
    Fleet f;
    f.up(true, 1);
    f.clock.advance(90s);
    CHECK(f.presence() == Presence::online);
    f.clock.advance(1ms);
    CHECK(f.presence() == Presence::quiet);
    f.clock.advance(1h);
    CHECK(f.presence() == Presence::offline);
    CHECK(f.sign());  // reachable again: orders that wait must hear of it
    CHECK(f.presence() == Presence::online);
}

TEST_CASE("presence: unanswered is quiet, unreachable is offline", "[bridge][presence]") {
    Fleet f;
    f.up(true, 1);
    f.registry.on_unanswered("b42");
    CHECK(f.presence() == Presence::quiet);
    CHECK_FALSE(f.sign());
    CHECK(f.presence() == Presence::online);
    f.registry.on_unreachable("b42");
    CHECK(f.presence() == Presence::offline);
    CHECK(f.sign());
}

TEST_CASE("presence: sleep is announced, with its end", "[bridge][presence]") {
    Fleet f;
    Birth farewell;
    farewell.boot = 7;
    farewell.wake = WallTime{5s};
    f.registry.on_birth("b42", farewell, {f.clock.now});
    CHECK(f.presence() == Presence::asleep);
    CHECK_FALSE(f.registry.is_reachable(*f.registry.find("b42"), f.clock.now.steady));
    CHECK(f.registry.find("b42")->wake == WallTime{5s});
    f.up(true, 7);
    CHECK_FALSE(f.registry.find("b42")->wake);
}

TEST_CASE("presence: a retained birth is worth less than a live one", "[bridge][presence]") {
    Fleet f;
    CHECK(f.up(true, 7, true));
    CHECK(f.presence() == Presence::quiet);
    CHECK_FALSE(f.registry.find("b42")->last_seen);
    CHECK_FALSE(f.state(7, 5, true));
    CHECK(f.presence() == Presence::quiet);
    CHECK_FALSE(f.sign());
    CHECK(f.presence() == Presence::online);
    CHECK(f.registry.find("b42")->last_seen == f.clock.now.wall);
}

TEST_CASE("uptime: the fastest heartbeat of the boot counts", "[bridge][presence]") {
    Fleet f;
    f.up(true, 7);
    CHECK_FALSE(f.uptime_in(0s));
    f.state(7, 10'000);
    CHECK(f.uptime_in(8s) == 18'000);
    f.clock.advance(5s);
    f.state(7, 14'000);  // a second late: not believed
    CHECK(f.uptime_in(8s) == 23'000);
    f.clock.advance(5s);
    f.state(7, 20'500);  // the first one was late too
    CHECK(f.uptime_in(8s) == 28'500);
    f.state(8, std::nullopt);  // a reboot voids all of it
    CHECK_FALSE(f.uptime_in(8s));
}

TEST_CASE("uptime: neither replays nor backlog are heartbeats", "[bridge][presence]") {
    Fleet f;
    f.state(7, 10'000, true);
    CHECK_FALSE(f.uptime_in(0s));
    f.state(7, 10'000, false, true);
    CHECK_FALSE(f.uptime_in(0s));
    f.state(7, ~std::uint64_t{0});
    CHECK_FALSE(f.uptime_in(0s));
}

TEST_CASE("registry: bounded, in order, and a device can be taken out", "[bridge][presence]") {
    Fleet f;
    for (auto const* id : {"c", "a", "b", "d"}) {
        f.registry.on_sign_of_life(id, {f.clock.now});
    }
    CHECK(f.registry.size() == 3);
    CHECK(f.registry.counters().refused == 1);
    std::string seen;
    f.registry.visit("a", [&](Device const& device) {
        seen += device.id;
        return true;
    });
    CHECK(seen == "bc");
    f.registry.forget("b");
    CHECK(f.registry.find("b") == nullptr);
    CHECK(f.registry.take_n("a") == 1);
    CHECK(f.registry.take_n("a") == 2);
}

TEST_CASE("registry: sequence numbers go on behind what the device reports", "[bridge][presence]") {
    Fleet f;
    StateReport report;
    report.last_n = {{"lock", 117}, {"info", 97}};
    f.registry.on_state("b42", report, {f.clock.now, true});
    CHECK(f.registry.take_n("b42") == 118);
}

TEST_CASE("presence: a will of an older connection comes after the birth of the next",
          "[bridge][presence][row-9]") {
    Fleet f;
    auto event = [&](bool connected, std::uint64_t connection) {
        f.registry.on_client_event({"b42", connected, connection, 60s});
    };
    f.up(true, 7);
    event(true, 100);
    event(true, 101);  // the device has connected anew, in the same boot
    f.up(true, 7);
    SECTION("its will") {
        f.up(false, 7);
        CHECK(f.presence() == Presence::online);
    }
    SECTION("its end, as the broker tells it") {
        event(false, 100);
        CHECK(f.presence() == Presence::online);
    }
    SECTION("the beginning of the present one, once more") {
        event(false, 101);
        event(true, 101);
        CHECK(f.presence() == Presence::offline);
        CHECK(f.sign());
    }
    CHECK(f.registry.counters().outdated == 1);
    event(false, 102);
    CHECK(f.presence() == Presence::offline);
    event(true, 103);
    CHECK(f.presence() == Presence::offline);  // it has not subscribed to its orders yet
    CHECK(f.up(true, 7));
    CHECK(f.presence() == Presence::online);
}

TEST_CASE("presence: a planned sleep outlives the end of its connection", "[bridge][presence]") {
    Fleet f;
    f.up(true, 7);
    f.registry.on_client_event({"b42", true, 1, 60s});
    Birth farewell;
    farewell.boot = 7;
    farewell.wake = WallTime{5s};
    f.registry.on_birth("b42", farewell, {f.clock.now});
    f.registry.on_client_event({"b42", false, 1, 0s});
    CHECK(f.presence() == Presence::asleep);
}

TEST_CASE("presence: events of clients that are no devices are nobody's", "[bridge][presence]") {
    Fleet f;
    f.registry.on_client_event({"logger", true, 1, 60s});
    CHECK(f.registry.size() == 0);
}

TEST_CASE("presence: on a new link to the broker everybody is quiet until heard of",
          "[bridge][presence][row-8]") {
    Fleet f;
    f.up(true, 7);
    f.registry.on_client_event({"b42", true, 1, 60s});
    CHECK(f.presence() == Presence::online);
    f.registry.on_new_link();
    CHECK(f.presence() == Presence::quiet);
    CHECK_FALSE(f.up(false, 7));  // what the broker told before counts no longer
    CHECK(f.presence() == Presence::offline);
    f.up(true, 7);
    CHECK(f.presence() == Presence::online);
    // A broker whose clock was set back counts from below.
    f.registry.on_client_event({"b42", false, 0, 0s});
    CHECK(f.presence() == Presence::offline);
}

TEST_CASE("presence: the keep alive of a connection bounds its silence", "[bridge][presence]") {
    Fleet f;
    f.up(true, 7);
    f.registry.on_client_event({"b42", true, 1, 120s});
    f.clock.advance(180s);
    CHECK(f.presence() == Presence::online);
    f.clock.advance(1s);
    CHECK(f.presence() == Presence::quiet);
    f.clock.advance(2h);  // the broker would have told of its end
    CHECK(f.presence() == Presence::quiet);
}

TEST_CASE("registry: a device that is forgotten keeps its numbers", "[bridge][presence][row-11]") {
    Fleet f;
    f.up(true, 7);
    CHECK(f.registry.take_n("b42") == 1);
    f.registry.forget("b42");
    CHECK(f.registry.find("b42") == nullptr);
    auto seen = 0;
    f.registry.visit("", [&](Device const&) { return ++seen > 0; });
    CHECK(seen == 0);
    f.up(true, 7);
    CHECK(f.registry.take_n("b42") == 2);
}

TEST_CASE("registry: of the store's devices those that somebody has described are shown",
          "[bridge][presence]") {
    Fleet f;
    f.registry.restore({"b42"}, 41, f.clock.now);
    DeviceRecord record{"b43"};
    record.version = 1;
    f.registry.restore(record, 0, f.clock.now);
    CHECK(f.registry.find("b42") == nullptr);
    REQUIRE(f.registry.find("b43") != nullptr);
    f.up(true, 1);
    CHECK(f.registry.take_n("b42") == 42);
}

}  // namespace spoke::bridge::test
