#include <catch2/catch.hpp>

#include "tests/unit/device-sim/device/bench_lock.hpp"

using namespace spoke::sim;
using namespace spoke::sim::test;

namespace {

bool holds_text(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

std::string update_args() {
    return R"(,"exp":99999,"args":{"url":"https://x/2","size":1,"sha256":")" +
           std::string(64, 'a') + R"("})";
}

OrderText ride(std::string id, int n) {
    return {std::move(id), n, "unlock", R"(,"exp":99999,"args":{"ride":"r1"})"};
}

/// The facts of one kind.
std::vector<Fact> facts(BenchLock const& bike, LockFact::Kind kind) {
    std::vector<Fact> found;
    for (auto const& fact : bike.sink.facts) {
        if (fact.kind == kind) found.push_back(fact);
    }
    return found;
}

}  // namespace

TEST_CASE("Lock: sleep is answered, announced with its end, and ends", "[sim][lock][sleep]") {
    BenchLock bike;
    bike.connect().order({"c1", 1, "sleep", R"(,"exp":8000,"args":{"after_s":5,"for_s":30})"});
    CHECK(says(bike.last_answer(), "ok"));
    bike.wait(4999ms);
    CHECK(bike.sink.sleeps.empty());
    bike.forget().wait(1ms);
    CHECK(bike.sink.sleeps == std::vector<std::string>{R"({"on":false,"wake":35000,"boot":3})"});
    CHECK(bike.lock.is_asleep());
    bike.wait(29'999ms);
    CHECK(bike.sink.wake_ups == 0);
    CHECK(bike.sink.sent.empty());
    bike.wait(1ms);
    CHECK(bike.sink.wake_ups == 1);
    CHECK_FALSE(bike.lock.is_asleep());
    bike.connect();
    CHECK(holds_text(bike.last(Channel::presence), R"("boot":3,"up":35000)"));
}

TEST_CASE("Lock: without a clock it cannot say when it will wake", "[sim][lock][sleep]") {
    BenchLock bike{{}, {"b1", 7, 3, 5, false}};
    bike.connect().order({"c1", 1, "sleep", R"(,"ttl":8000)"}).wait(1s);
    CHECK(bike.sink.sleeps == std::vector<std::string>{R"({"on":false,"boot":3})"});
}

TEST_CASE("Lock: a power cut ends its sleep", "[sim][lock][sleep]") {
    BenchLock bike;
    bike.connect().order({"c1", 1, "sleep"}).wait(2s);
    bike.lock.power_cycle(bike.now, bike.sink);
    CHECK(bike.sink.wake_ups == 1);
    bike.wait(2min);
    CHECK(bike.sink.wake_ups == 1);
}

TEST_CASE("Lock: grant answers with a key, the same for a repetition", "[sim][lock][grant]") {
    BenchLock bike;
    OrderText grant{"c1", 1, "grant", R"(,"exp":8000,"args":{"until":1763838000123,"ride":"r1"})"};
    bike.connect().order(grant);
    CHECK(says(bike.last_answer(), "ok"));
    auto key = bike.last_answer().substr(bike.last_answer().find(R"("key":)"), 24);
    CHECK(bike.lock.state() == LockState::locked);
    bike.order(grant);
    CHECK(holds_text(bike.last_answer(), key));
    grant.id = "c2";
    grant.n = 2;
    bike.order(grant);
    CHECK_FALSE(holds_text(bike.last_answer(), key));
    bike.order({"c3", 3, "grant"});  // until when?
    CHECK(says(bike.last_answer(), "refused", "bad_args"));
    CHECK(holds_text(bike.last_state(), R"("last_n":{"lock":2,)"));
}

TEST_CASE("Lock: update is announced, done, and followed by a reboot", "[sim][lock][update]") {
    BenchLock bike;
    bike.connect().order({"c1", 1, "update", update_args()});
    CHECK(says(bike.last_answer(), "started"));
    bike.order({"c2", 2, "update", update_args()});
    CHECK(says(bike.last_answer(), "refused", "busy"));
    bike.wait(4s);
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(has(bike.last_state(), "fw", R"("2.4.1+1")"));
    bike.wait(1s);
    CHECK(bike.sink.power_cycles == 1);
    bike.connect();
    CHECK(has(bike.last(Channel::presence), "fw", R"("2.4.1+1")"));
    CHECK(holds_text(bike.last_state(), R"(["c1","ok",1])"));
}

TEST_CASE("Lock: a firmware that cannot be checked is not loaded", "[sim][lock][update]") {
    BenchLock bike;
    bike.connect().order(
        {"c1", 1, "update", R"(,"exp":8000,"args":{"url":"https://x/2","size":1,"sha256":"abc"})"});
    CHECK(says(bike.last_answer(), "refused", "bad_args"));
}

TEST_CASE("Lock: a ride leaves a track once that is asked for", "[sim][lock][track]") {
    BenchLock bike;
    bike.connect();
    SECTION("nobody asked") {
        bike.order(ride("c1", 1)).wait(1min);
        CHECK(bike.on(Channel::position).empty());
    }
    SECTION("by config: four points in a message, the rest at the end") {
        bike.order({"c1", 1, "config", R"(,"exp":8000,"args":{"track_s":5})"});
        bike.order(ride("c2", 1)).wait(26s);
        CHECK(bike.on(Channel::position).size() == 1);
        bike.lock.close_by_hand(bike.now, bike.sink);
        REQUIRE(bike.on(Channel::position).size() == 2);
        CHECK(holds_text(bike.last(Channel::position), R"({"boot":3,"ride":"r1","track":[[)"));
        bike.forget().wait(1min);
        CHECK(bike.on(Channel::position).empty());
    }
    SECTION("by locate, in the middle of the ride, and off again") {
        bike.order(ride("c1", 1)).wait(2s);
        bike.order({"c2", 2, "locate", R"(,"exp":99999,"args":{"track_s":5})"}).wait(20s);
        CHECK(bike.on(Channel::position).size() == 1);
        bike.order({"c3", 3, "locate", R"(,"exp":99999,"args":{"track_s":0})"}).wait(1min);
        CHECK(bike.on(Channel::position).size() == 1);
    }
}

TEST_CASE("Lock: a bike that is ridden moves, and a limit of speed holds orders off",
          "[sim][lock][precondition]") {
    BenchLock bike;
    bike.connect().order(ride("c1", 1)).wait(2s);
    CHECK(has(bike.last_state(), "speed", "12"));
    bike.order({"c2", 2, "lock", R"(,"exp":99999,"if":{"speed_max":11})"});
    CHECK(says(bike.last_answer(), "refused", "precondition"));
    bike.order({"c3", 3, "lock", R"(,"exp":99999,"if":{"speed_max":12})"}).wait(2s);
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(has(bike.last_state(), "speed", "0"));
}

TEST_CASE("Lock: mishaps befall one order", "[sim][lock][mishap]") {
    BenchLock bike;
    bike.connect();
    SECTION("a jam") {
        bike.lock.meets({.jam = true});
        bike.order({"c1", 1}).wait(1s);
        CHECK(says(bike.last_answer(), "fail", "jam"));
    }
    SECTION("a crash between the receipt and the motor") {
        bike.lock.meets({.crash = true});
        bike.order({"c1", 1});
        CHECK(bike.sink.results == std::vector<Result>{failed(Why::reboot)});
        CHECK(bike.lock.state() == LockState::locked);
        bike.connect();
    }
    bike.order({"c2", 2}).wait(1s);
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: a slow motor is announced, and given up in the end", "[sim][lock][mishap]") {
    LockModel model;
    bool gives_up = GENERATE(false, true);
    model.slow_motor_min = model.slow_motor_max = model.motor_limit + (gives_up ? 1ms : 0ms);
    BenchLock bike{model};
    bike.connect().lock.meets({.slow_motor = true});
    bike.order({"c1", 1});
    CHECK(says(bike.last_answer(), "started"));
    bike.wait(model.motor_limit);
    if (gives_up) {
        CHECK(says(bike.last_answer(), "fail", "timeout_motor"));
        CHECK(bike.lock.state() == LockState::locked);
        CHECK(facts(bike, LockFact::Kind::opened).empty());
    } else {
        CHECK(says(bike.last_answer(), "ok"));
        CHECK(bike.lock.state() == LockState::unlocked);
    }
}

TEST_CASE("Lock: a clock that jumps ahead makes orders late, one that falls back does not",
          "[sim][lock][clock]") {
    BenchLock bike;
    bike.connect().lock.shift_clock(1h);
    bike.order({"c1", 1});
    CHECK(says(bike.last_answer(), "refused", "late"));
    bike.lock.shift_clock(-2h);
    bike.order({"c2", 2, "unlock", R"(,"exp":8000,"boot":3,"exp_up":1000)"}).wait(1s);
    CHECK(says(bike.last_answer(), "ok"));
    bike.wait(10s).order({"c3", 3, "lock", R"(,"exp":8000,"boot":3,"exp_up":8000)"});
    CHECK(says(bike.last_answer(), "refused", "late"));  // its uptime knows
}

TEST_CASE("Lock: the truth is told as it happens", "[sim][lock][fact]") {
    using Kind = LockFact::Kind;
    BenchLock bike;
    bike.connect().order({"c1", 1}).wait(1s);
    REQUIRE(bike.sink.facts.size() == 3);
    CHECK(bike.sink.facts[0].kind == Kind::began);
    CHECK(bike.sink.facts[1].kind == Kind::opened);
    CHECK(bike.sink.facts[1].moved);
    CHECK(bike.sink.facts[2].kind == Kind::ended);
    CHECK(bike.sink.facts[2].result == kDone);
    SECTION("opened though open: not moved") {
        bike.order({"c2", 2});
        CHECK_FALSE(facts(bike, Kind::opened).back().moved);
    }
    SECTION("refused") {
        bike.order({"c2", 1});
        CHECK(facts(bike, Kind::refused).back().result == refused(Why::replay));
        CHECK(facts(bike, Kind::began).size() == 1);
    }
    SECTION("a repetition is no news") {
        bike.order({"c1", 1});
        CHECK(bike.sink.facts.size() == 3);
    }
    SECTION("closed by hand: for no order") {
        bike.lock.close_by_hand(bike.now, bike.sink);
        CHECK(facts(bike, Kind::closed).back().order.empty());
    }
    SECTION("closed by order") {
        bike.order({"c2", 2, "lock"}).wait(1s);
        CHECK(facts(bike, Kind::closed).back().order == "c2");
    }
    SECTION("a power cut ends what runs") {
        bike.order({"c2", 2, "lock"});
        bike.lock.power_cycle(bike.now, bike.sink);
        CHECK(facts(bike, Kind::ended).back().result == failed(Why::reboot));
        CHECK(facts(bike, Kind::closed).empty());
    }
}

TEST_CASE("Lock: a firmware without journal carries a repetition out again", "[sim][lock][flaw]") {
    LockModel model;
    model.flaws.no_journal = GENERATE(false, true);
    BenchLock bike{model};
    OrderText unlock{"c1", 1, "unlock", R"(,"exp":99999)"};
    bike.connect().order(unlock).wait(1s);
    bike.lock.close_by_hand(bike.now, bike.sink);
    bike.order(unlock).order(unlock).wait(1s);
    auto opened = facts(bike, LockFact::Kind::opened);
    CHECK(opened.size() == (model.flaws.no_journal ? 2 : 1));
    CHECK(holds_text(bike.last_state(), R"("jrn":[])") == model.flaws.no_journal);
}

TEST_CASE("Lock: a firmware that ignores deadlines carries out what is late", "[sim][lock][flaw]") {
    LockModel model;
    model.flaws.ignores_deadline = GENERATE(false, true);
    BenchLock bike{model};
    bike.connect().wait(1min).order({"c1", 1}).wait(1s);
    CHECK(facts(bike, LockFact::Kind::opened).size() == (model.flaws.ignores_deadline ? 1 : 0));
}
