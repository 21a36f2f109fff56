#include <catch2/catch.hpp>
#include <set>

#include "tests/unit/device-sim/device/bench_lock.hpp"

using namespace spoke::sim;
using namespace spoke::sim::test;

TEST_CASE("Lock: at connect it is born and tells its state", "[sim][lock]") {
    BenchLock bike{{}, {"b1", 7, 3, 4}};
    bike.wait(1830ms).connect();
    REQUIRE(bike.sink.sent.size() == 2);
    CHECK(bike.sink.sent[0].channel == Channel::presence);
    CHECK(bike.sink.sent[0].payload.find(
              R"({"on":true,"boot":3,"up":1830,"fw":"2.4.1","hw":"OC33","proto":4,)") == 0);
    CHECK(bike.sink.sent[1].channel == Channel::state);
    CHECK(has(bike.last_state(), "lock", R"("locked")"));
    CHECK(has(bike.last_state(), "at", "1830"));
    CHECK(bike.lock.will() == R"({"on":false,"boot":3})");
}

TEST_CASE("Lock: heartbeats", "[sim][lock][heartbeat]") {
    BenchLock bike;
    CHECK(bike.lock.deadline() == spoke::SteadyTime::max());
    bike.connect().forget();
    SECTION("the first within the interval, then one each interval") {
        bike.wait(60s);
        CHECK(bike.on(Channel::state).size() == 1);
        bike.wait(600s);
        CHECK(bike.on(Channel::state).size() == 11);
    }
    SECTION("none while the connection is down") {
        bike.lock.on_disconnected();
        bike.wait(1h);
        CHECK(bike.sink.sent.empty());
    }
    SECTION("an order can change the interval, at once") {
        bike.order({"c1", 1, "config", R"(,"exp":8000,"args":{"hb_s":5})"}).forget();
        bike.wait(50s);
        CHECK(bike.on(Channel::state).size() == 10);
    }
}

TEST_CASE("Lock: the heartbeats of a fleet are spread over the interval",
          "[sim][lock][heartbeat]") {
    std::set<spoke::SteadyTime> first;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        BenchLock bike{{}, {"b1", seed, 3, 5}};
        first.insert(bike.connect().lock.deadline());
    }
    CHECK(first.size() > 45);
}

TEST_CASE("Lock: wanted settings are taken once per version", "[sim][lock][config]") {
    BenchLock bike;
    bike.connect().forget();
    auto want = [&](std::string const& text) {
        bike.lock.on_wanted_settings(spoke::as_bytes(text), bike.now, bike.sink);
    };
    want(R"({"v":12,"hb_s":30})");
    CHECK(has(bike.last_state(), "cfg_v", "12"));
    bike.forget();
    want(R"({"v":12,"hb_s":30})");
    want(R"({"v":11,"hb_s":10})");
    want("{");
    CHECK(bike.sink.sent.empty());
    want(R"({"v":13})");
    CHECK(has(bike.last_state(), "cfg_v", "13"));
}

TEST_CASE("Lock: a crash between receipt and motor means `fail:reboot`, never a second opening",
          "[sim][lock][reboot]") {
    LockModel model;
    model.crash_share = 1;
    BenchLock bike{model};
    OrderText unlock{"c1", 5};
    bike.connect().forget().order(unlock);
    CHECK(bike.sink.power_cycles == 1);
    CHECK(bike.sink.sent.empty());
    CHECK(bike.lock.will() == R"({"on":false,"boot":4})");

    bike.wait(2s).connect();
    CHECK(bike.last(Channel::presence).find(R"("boot":4,"up":2000)") != std::string::npos);
    CHECK(has(bike.last_state(), "lock", R"("locked")"));
    CHECK(has(bike.last_state(), "jrn", R"([["c1","fail:reboot",5]])"));
    CHECK(bike.last_state().find(R"("last_n":{"lock":5,)") != std::string::npos);

    bike.order(unlock);
    CHECK(says(bike.last_answer(), "fail", "reboot"));
    CHECK(bike.sink.power_cycles == 1);
    CHECK(bike.lock.state() == LockState::locked);
}

TEST_CASE("Lock: a power cut while the motor runs", "[sim][lock][reboot]") {
    BenchLock bike;
    bike.connect();
    SECTION("unlocking: still locked") {
        bike.order({"c1", 1});
        bike.lock.power_cycle(bike.now, bike.sink);
        CHECK(bike.lock.state() == LockState::locked);
    }
    SECTION("locking: still open") {
        bike.order({"c0", 1}).wait(2s).order({"c1", 2, "lock"});
        bike.lock.power_cycle(bike.now, bike.sink);
        CHECK(bike.lock.state() == LockState::unlocked);
    }
    bike.forget().wait(1min);
    CHECK(bike.sink.sent.empty());  // what ran is gone for good
    bike.connect();
    CHECK(bike.last_state().find(R"(["c1","fail:reboot",)") != std::string::npos);
}

TEST_CASE("Lock: the numbers survive a reboot, the uptime does not", "[sim][lock][reboot]") {
    BenchLock bike;
    bike.connect().order({"c1", 5, "state"}).wait(1h);
    bike.lock.power_cycle(bike.now, bike.sink);
    bike.connect();
    CHECK(has(bike.last_state(), "up", "0"));
    bike.order({"c2", 5, "state", R"(,"boot":4,"exp_up":1000)"});
    CHECK(says(bike.last_answer(), "refused", "replay"));
    bike.order({"c3", 6, "state", R"(,"boot":3,"exp_up":9999999)"});
    CHECK(says(bike.last_answer(), "refused", "late"));
}

TEST_CASE("Lock: reboot is answered before the power goes", "[sim][lock][reboot]") {
    BenchLock bike;
    bike.connect();
    auto wait = GENERATE(std::pair{R"(,"exp":8000)", 1000ms},
                         std::pair{R"(,"exp":8000,"args":{"after_s":5})", 5000ms});
    bike.order({"c1", 1, "reboot", wait.first});
    CHECK(says(bike.last_answer(), "ok"));
    bike.wait(wait.second - 1ms);
    CHECK(bike.sink.power_cycles == 0);
    bike.wait(1ms);
    CHECK(bike.sink.power_cycles == 1);
    bike.connect();
    CHECK(bike.last_state().find(R"(["c1","ok",1])") != std::string::npos);
}

TEST_CASE("Lock: an act goes on without a connection, its receipt waits in the journal",
          "[sim][lock]") {
    BenchLock bike;
    bike.connect().order({"c1", 1}).forget();
    bike.lock.on_disconnected();
    bike.wait(2s);
    CHECK(bike.sink.sent.empty());
    CHECK(bike.sink.results == std::vector<Result>{kDone});
    bike.connect();
    CHECK(has(bike.last_state(), "lock", R"("unlocked")"));
    CHECK(has(bike.last_state(), "jrn", R"([["c1","ok",1]])"));
}

TEST_CASE("Lock: a jammed lock says so and can be tried again", "[sim][lock][jam]") {
    LockModel model;
    model.jam_share = 1;
    BenchLock bike{model};
    bike.connect().order({"c1", 1}).wait(2s);
    CHECK(says(bike.last_answer(), "fail", "jam"));
    CHECK(has(bike.last_answer(), "lock", R"("jammed")"));
    CHECK(has(bike.last_state(), "lock", R"("jammed")"));
    bike.order({"c2", 2}).wait(2s);
    CHECK(says(bike.last_answer(), "fail", "jam"));
    bike.order({"c3", 3, "lock"}).wait(2s);
    CHECK(says(bike.last_answer(), "fail", "obstructed"));
}

TEST_CASE("Lock: an empty battery moves no motor but answers", "[sim][lock][battery]") {
    LockModel model;
    model.battery_percent_min = model.battery_percent_max = 2;
    BenchLock bike{model};
    bike.connect().order({"c1", 1});
    CHECK(says(bike.last_answer(), "fail", "low_batt"));
    CHECK(bike.lock.state() == LockState::locked);
    bike.order({"c2", 1, "state"});
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: a low battery is reported once", "[sim][lock][battery]") {
    LockModel model;
    model.battery_percent_min = model.battery_percent_max = 15.03;
    BenchLock bike{model};
    bike.connect().order({"c1", 1}).wait(2s);
    CHECK(bike.on(Channel::event).empty());
    bike.order({"c2", 2, "lock"}).wait(2s).order({"c3", 3}).wait(2s);
    REQUIRE(bike.on(Channel::event).size() == 1);
    CHECK(has(bike.last(Channel::event), "type", R"("batt_low")"));
}

TEST_CASE("Lock: the rider closes it by hand", "[sim][lock][ride]") {
    LockModel model;
    model.ride_min = 14min;
    model.ride_max = 14min;
    BenchLock bike{model};
    bike.connect()
        .order({"c1", 1, "unlock", R"(,"exp":8000,"args":{"ride":"r_9f31"})"})
        .wait(2s)
        .forget();
    bike.wait(14min);
    REQUIRE(bike.on(Channel::event).size() == 1);
    CHECK(has(bike.last(Channel::event), "type", R"("locked_by_hand")"));
    CHECK(has(bike.last(Channel::event), "ride", R"("r_9f31")"));
    CHECK(has(bike.last(Channel::event), "min", "14"));
    CHECK(has(bike.last_state(), "lock", R"("locked")"));
    CHECK(bike.last_state().find(R"("ride")") == std::string::npos);

    bike.forget();
    bike.lock.close_by_hand(bike.now, bike.sink);
    CHECK(bike.sink.sent.empty());  // it is closed already
}

TEST_CASE("Lock: an event is kept until it is acknowledged, also over a reboot",
          "[sim][lock][ride]") {
    BenchLock bike;
    bike.connect().order({"c1", 1}).wait(2s);
    bike.lock.close_by_hand(bike.now, bike.sink);
    auto event = bike.last(Channel::event);
    REQUIRE_FALSE(event.empty());

    bike.lock.on_disconnected();
    bike.forget().connect();
    CHECK(bike.last(Channel::event) == event);
    bike.lock.power_cycle(bike.now, bike.sink);
    bike.forget().connect();
    CHECK(bike.last(Channel::event) == event);

    bike.lock.on_event_acknowledged();
    bike.forget().connect();
    CHECK(bike.on(Channel::event).empty());
}

TEST_CASE("Lock: of the events that nobody acknowledges the newest eight are kept",
          "[sim][lock][ride]") {
    BenchLock bike;
    bike.connect();
    for (int n = 1; n <= 10; ++n) {
        auto id = std::to_string(n);
        bike.order({"c" + id, n, "unlock", R"(,"exp":99999,"args":{"ride":"r)" + id + R"("})"})
            .wait(2s);
        bike.lock.close_by_hand(bike.now, bike.sink);
    }
    bike.forget().connect();
    REQUIRE(bike.on(Channel::event).size() == 8);
    CHECK(has(bike.on(Channel::event).front(), "ride", R"("r3")"));
    CHECK(has(bike.on(Channel::event).back(), "ride", R"("r10")"));
}

TEST_CASE("Lock: a mute lock does not see its orders", "[sim][lock][mute]") {
    LockModel model;
    model.mute_share = 1;
    BenchLock bike{model};
    bike.connect().forget().order({"c1", 1}).wait(2s);
    CHECK(bike.sink.sent.empty());
    CHECK(bike.sink.ignored_count == 1);
    CHECK(bike.lock.state() == LockState::locked);
}
