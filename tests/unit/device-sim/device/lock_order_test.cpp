#include <catch2/catch.hpp>

#include "tests/unit/device-sim/device/bench_lock.hpp"

// The rules of "what the firmware must do", one by one, in the order in which the lock applies
// them.

using namespace spoke::sim;
using namespace spoke::sim::test;

namespace {

constexpr auto kInTime = R"(,"ttl":8000,"exp":8000)";

std::string with(std::string const& more) {
    return kInTime + more;
}

}  // namespace

TEST_CASE("Lock: an unlock is written down, carried out, answered and reported", "[sim][lock]") {
    BenchLock bike;
    bike.connect().forget();
    bike.order({"c1", 118, "unlock", with(R"(,"args":{"ride":"r_9f31"},"if":{"lock":"locked"})")});

    // The receipt is there before the motor has moved the bolt.
    CHECK(bike.answers().empty());
    CHECK(has(bike.last_state(), "lock", R"("unlocking")"));
    CHECK(has(bike.last_state(), "jrn", R"([["c1","started",118]])"));
    CHECK(bike.lock.state() == LockState::unlocking);

    bike.wait(2s);
    REQUIRE(bike.answers().size() == 1);
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(has(bike.last_answer(), "id", R"("c1")"));
    CHECK(has(bike.last_answer(), "n", "118"));
    CHECK(has(bike.last_answer(), "lock", R"("unlocked")"));
    CHECK(has(bike.last_state(), "lock", R"("unlocked")"));
    CHECK(has(bike.last_state(), "ride", R"("r_9f31")"));
    CHECK(has(bike.last_state(), "jrn", R"([["c1","ok",118]])"));
    CHECK(bike.last_state().find(R"("last_n":{"lock":118,)") != std::string::npos);
    CHECK(bike.sink.results == std::vector<Result>{kDone});
    CHECK(bike.sink.sent.back().channel == Channel::state);  // the answer first, then the state
}

TEST_CASE("Lock: the motor takes what the model says, the same for the same seed", "[sim][lock]") {
    auto took = [](std::uint64_t seed) {
        BenchLock bike{{}, {"b1", seed, 3, 5}};
        auto began = bike.now.steady;
        bike.order({"c1"});  // no connection, so no heartbeat is due before the motor has done
        return bike.lock.deadline() - began;
    };
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        CHECK(took(seed) >= 300ms);
        CHECK(took(seed) <= 900ms);
        CHECK(took(seed) == took(seed));
    }
    CHECK(took(1) != took(2));
}

TEST_CASE("Lock: a lock order closes it and ends the ride", "[sim][lock]") {
    BenchLock bike;
    bike.connect().order({"c1", 1, "unlock", with(R"(,"args":{"ride":"r1"})")}).wait(2s);
    bike.order({"c2", 2, "lock"}).wait(0ms);
    CHECK(has(bike.last_state(), "lock", R"("locking")"));
    bike.wait(2s);
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(has(bike.last_answer(), "lock", R"("locked")"));
    CHECK(bike.last_state().find(R"("ride")") == std::string::npos);
}

TEST_CASE("Lock: an order to be what it is already is done at once", "[sim][lock]") {
    BenchLock bike;
    bike.connect().forget().order({"c1", 1, "lock"});
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(has(bike.last_answer(), "took", "0"));
}

TEST_CASE("Lock: the same id gets its stored answer and is not carried out again",
          "[sim][lock][duplicate]") {
    BenchLock bike;
    OrderText unlock{"c1", 1};
    bike.connect().order(unlock).wait(2s);
    bike.order({"c2", 2, "lock"}).wait(2s).forget();

    SECTION("after it is done") {
        bike.order(unlock).wait(2s);
        REQUIRE(bike.answers().size() == 1);
        CHECK(says(bike.last_answer(), "ok"));
        CHECK(has(bike.last_answer(), "id", R"("c1")"));
        CHECK(bike.lock.state() == LockState::locked);  // not opened once more
        CHECK(bike.on(Channel::state).empty());
    }
    SECTION("after its deadline: the truth is told, not `late`") {
        bike.wait(1h).forget().order(unlock);
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("while it runs") {
        OrderText again{"c3", 3, "unlock", R"(,"ttl":8000,"exp":80000)"};
        bike.order(again).order(again);
        REQUIRE(bike.answers().size() == 1);
        CHECK(says(bike.last_answer(), "started"));
        bike.wait(2s);
        CHECK(bike.answers().size() == 2);
        CHECK(bike.sink.results.size() == 3);
    }
    SECTION("when it was refused, although it could be carried out by now") {
        OrderText hasty{"c4", 4, "unlock", with(R"(,"if":{"lock":"unlocked"})")};
        bike.order(hasty);
        CHECK(says(bike.last_answer(), "refused", "precondition"));
        bike.order({"c5", 5}).wait(2s).order(hasty);
        CHECK(has(bike.last_answer(), "id", R"("c4")"));
        CHECK(says(bike.last_answer(), "refused", "precondition"));
    }
}

TEST_CASE("Lock: a duplicate of a question is answered with the details of now",
          "[sim][lock][duplicate]") {
    BenchLock bike;
    OrderText locate{"c1", 1, "locate"};
    bike.connect().order(locate).order(locate);
    REQUIRE(bike.answers().size() == 2);
    CHECK(bike.answers()[0].find(R"("pos":{)") != std::string::npos);
    CHECK(bike.answers()[1].find(R"("pos":{)") != std::string::npos);
}

TEST_CASE("Lock: an order for an earlier boot is late", "[sim][lock][late]") {
    BenchLock bike;  // boot 3
    bike.connect().order({"c1", 1, "unlock", with(R"(,"boot":2,"exp_up":999999)")});
    CHECK(says(bike.last_answer(), "refused", "late"));
    bike.order({"c2", 1, "unlock", with(R"(,"boot":3,"exp_up":999999)")}).wait(2s);
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: the deadline in uptime holds to the millisecond", "[sim][lock][late]") {
    BenchLock bike;
    bike.connect().wait(5s);
    bike.order({"c1", 1, "ring", R"(,"ttl":8000,"boot":3,"exp_up":4999)"});
    CHECK(says(bike.last_answer(), "refused", "late"));
    bike.order({"c2", 1, "state", R"(,"ttl":8000,"boot":3,"exp_up":5000)"});
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: the deadline by the wall clock holds to the millisecond", "[sim][lock][late]") {
    BenchLock bike;
    bike.connect().wait(5s);
    bike.order({"c1", 1, "unlock", R"(,"ttl":8000,"exp":4999)"}).wait(2s);
    CHECK(says(bike.last_answer(), "refused", "late"));
    CHECK(bike.lock.state() == LockState::locked);
    bike.order({"c2", 1, "state", R"(,"ttl":8000,"exp":7000)"});
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: any deadline that has passed is enough", "[sim][lock][late]") {
    BenchLock bike;
    bike.connect().wait(5s);
    SECTION("the clock says in time, the uptime says late") {
        bike.order({"c1", 1, "unlock", R"(,"exp":9000,"boot":3,"exp_up":4000)"});
    }
    SECTION("the uptime says in time, the clock says late") {
        bike.order({"c1", 1, "unlock", R"(,"exp":4000,"boot":3,"exp_up":9000)"});
    }
    CHECK(says(bike.last_answer(), "refused", "late"));
}

TEST_CASE("Lock: a wrong clock errs to the safe side or is caught by the uptime",
          "[sim][lock][late]") {
    auto order = OrderText{"c1", 1, "unlock", R"(,"exp":9000,"boot":3,"exp_up":4000)"};
    SECTION("fast: refuses what was in time") {
        BenchLock bike{{}, {"b1", 7, 3, 5, true, 1h}};
        bike.connect().order(order);
        CHECK(says(bike.last_answer(), "refused", "late"));
    }
    SECTION("slow: the clock lets it pass, the uptime does not") {
        BenchLock bike{{}, {"b1", 7, 3, 5, true, -1h}};
        bike.connect().wait(5s).order(order);
        CHECK(says(bike.last_answer(), "refused", "late"));
    }
}

TEST_CASE("Lock: without a clock an order is judged by what the connection's age can prove",
          "[sim][lock][late][clock]") {
    BenchLock bike{{}, {"b1", 7, 3, 5, false}};
    bike.wait(10s).connect();
    SECTION("soon after CONNACK it is younger than its ttl") {
        bike.wait(8000ms).order({"c1", 1, "state", R"(,"ttl":8000,"exp":1)"});
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("later nobody knows") {
        bike.wait(8001ms).order({"c1", 1, "state", R"(,"ttl":8000,"exp":999999999)"});
        CHECK(says(bike.last_answer(), "refused", "late"));
    }
    SECTION("an uptime with its boot is as good as a clock") {
        bike.wait(1h).order({"c1", 1, "state", R"(,"ttl":8000,"boot":3,"exp_up":3610000)"});
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("an uptime without its boot proves nothing") {
        bike.wait(1h).order({"c1", 1, "state", R"(,"ttl":8000,"exp_up":3610000)"});
        CHECK(says(bike.last_answer(), "refused", "late"));
    }
    SECTION("an order with nothing but a wall clock deadline proves nothing") {
        bike.order({"c1", 1, "state", R"(,"exp":999999999)"});
        CHECK(says(bike.last_answer(), "refused", "late"));
    }
    SECTION("once it is told the time, it has a clock") {
        bike.wait(1h);
        bike.lock.on_time(spoke::as_bytes(R"({"now":5000})"), bike.now);
        bike.order({"c1", 1, "state", R"(,"ttl":8000,"exp":4999)"});
        CHECK(says(bike.last_answer(), "refused", "late"));
        bike.order({"c2", 1, "state", R"(,"ttl":8000,"exp":5000)"});
        CHECK(says(bike.last_answer(), "ok"));
        CHECK(has(bike.last_state(), "at", "5000"));
    }
}

TEST_CASE("Lock: a clock does not help an order that names no wall clock deadline",
          "[sim][lock][late]") {
    BenchLock bike;
    bike.connect().wait(9s).order({"c1", 1, "state", R"(,"ttl":8000)"});
    CHECK(says(bike.last_answer(), "refused", "late"));
}

TEST_CASE("Lock: a number not above the last of its lane is a replay", "[sim][lock][replay]") {
    BenchLock bike;
    bike.connect().order({"c1", 5, "state"});
    bike.order({"c2", 5, "state"});
    CHECK(says(bike.last_answer(), "refused", "replay"));
    bike.order({"c3", 4, "ring"});
    CHECK(says(bike.last_answer(), "refused", "replay"));
    bike.order({"c4", 4, "alarm", with(R"(,"args":{"arm":true})")});  // another lane
    CHECK(says(bike.last_answer(), "ok"));
    CHECK(bike.last_state().find(R"("last_n":{"lock":0,"info":5,"config":4})") !=
          std::string::npos);
}

TEST_CASE("Lock: a replay leaves no receipt", "[sim][lock][replay]") {
    // It may be an order that was carried out, whose receipt has left the ring.
    BenchLock bike;
    OrderText first{"c1", 1, "state"};
    bike.connect().order(first);
    for (int n = 2; n <= 9; ++n) bike.order({"c" + std::to_string(n), n, "state"});
    bike.forget().order(first);
    CHECK(says(bike.last_answer(), "refused", "replay"));
    CHECK(bike.on(Channel::state).empty());
    bike.order({"c10", 10, "state"});
    CHECK(bike.last_state().find(R"(["c1",)") == std::string::npos);
    CHECK(bike.last_state().find(R"(["c3","ok",3])") != std::string::npos);
}

TEST_CASE("Lock: a refused order does not use up its number", "[sim][lock][replay]") {
    // So `last_n` below a command's number means: it was not carried out.
    BenchLock bike;
    bike.connect().order({"c1", 7, "unlock", R"(,"boot":1,"exp":8000)"});
    CHECK(says(bike.last_answer(), "refused", "late"));
    CHECK(bike.last_state().find(R"("last_n":{"lock":0,)") != std::string::npos);
    CHECK(bike.last_state().find(R"("jrn":[["c1","refused:late",7]])") != std::string::npos);
    bike.order({"c2", 7}).wait(2s);
    CHECK(says(bike.last_answer(), "ok"));
}

TEST_CASE("Lock: a precondition must hold when the order is carried out",
          "[sim][lock][precondition]") {
    BenchLock bike;
    bike.connect();
    SECTION("of the lock") {
        bike.order({"c1", 1, "unlock", with(R"(,"if":{"lock":"unlocked"})")});
        CHECK(says(bike.last_answer(), "refused", "precondition"));
        bike.order({"c2", 2, "unlock", with(R"(,"if":{"lock":"locked"})")}).wait(2s);
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("of the last number") {
        bike.order({"c1", 41, "state"});
        bike.order({"c2", 42, "state", with(R"(,"if":{"n":40})")});
        CHECK(says(bike.last_answer(), "refused", "precondition"));
        bike.order({"c3", 43, "state", with(R"(,"if":{"n":41})")});
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("of the speed: it stands") {
        bike.order({"c1", 1, "state", with(R"(,"if":{"speed_max":3})")});
        CHECK(says(bike.last_answer(), "ok"));
    }
}

TEST_CASE("Lock: one motor does one thing at a time", "[sim][lock][busy]") {
    BenchLock bike;
    bike.connect().order({"c1", 1}).order({"c2", 2, "lock"});
    CHECK(says(bike.last_answer(), "refused", "busy"));
    CHECK(has(bike.last_answer(), "lock", R"("unlocking")"));
    bike.order({"c3", 1, "ring", with(R"(,"args":{"times":1})")});  // the buzzer is free
    bike.wait(2s);
    CHECK(bike.sink.results == std::vector<Result>{refused(Why::busy), kDone, kDone});
    CHECK(bike.lock.state() == LockState::unlocked);
}

TEST_CASE("Lock: one buzzer rings for one order at a time", "[sim][lock][busy]") {
    BenchLock bike;
    bike.connect().order({"c1", 1, "ring"}).order({"c2", 2, "ring"});
    CHECK(says(bike.last_answer(), "refused", "busy"));
}

TEST_CASE("Lock: only an act of more than a second is announced", "[sim][lock][started]") {
    BenchLock bike;
    bike.connect().forget();
    SECTION("400 ms twice") {
        bike.order({"c1", 1, "ring", with(R"(,"args":{"times":2})")});
        CHECK(bike.answers().empty());
    }
    SECTION("400 ms three times") {
        bike.order({"c1", 1, "ring", with(R"(,"args":{"times":3})")});
        REQUIRE(bike.answers().size() == 1);
        CHECK(says(bike.last_answer(), "started"));
        bike.wait(1199ms);
        CHECK(bike.answers().size() == 1);
        bike.wait(1ms);
        CHECK(says(bike.last_answer(), "ok"));
        CHECK(has(bike.last_answer(), "took", "1200"));
    }
}

TEST_CASE("Lock: what it cannot carry out at all is refused with a receipt", "[sim][lock]") {
    BenchLock bike;
    bike.connect();
    SECTION("a verb it does not have") {
        bike.order({"c1", 1, "sing"});
        CHECK(says(bike.last_answer(), "refused", "unknown_verb"));
        CHECK(bike.last_state().find(R"(["c1","refused:unknown_verb",1])") != std::string::npos);
    }
    SECTION("arguments it does not understand") {
        bike.order({"c1", 1, "unlock", with(R"(,"args":{"force":true})")});
        CHECK(says(bike.last_answer(), "refused", "bad_args"));
        CHECK(bike.lock.state() == LockState::locked);
        bike.order({"c1", 1, "unlock", with(R"(,"args":{"force":true})")});
        CHECK(bike.answers().size() == 2);
    }
    SECTION("bytes without an id: counted, not answered") {
        bike.forget().receive("open up!");
        CHECK(bike.sink.sent.empty());
        CHECK(bike.sink.ignored_count == 1);
    }
}

TEST_CASE("Lock: the cheap verbs answer at once with what they add", "[sim][lock][verbs]") {
    BenchLock bike;
    bike.connect();
    SECTION("state: the whole of it") {
        bike.order({"c1", 1, "state"});
        CHECK(says(bike.last_answer(), "ok"));
        CHECK(bike.last_answer().find(R"("state":{"at":0,"boot":3,)") != std::string::npos);
    }
    SECTION("locate: where it is") {
        bike.order({"c1", 1, "locate"});
        CHECK(bike.last_answer().find(R"("pos":{"lat":)") != std::string::npos);
    }
    SECTION("alarm: whether it is armed") {
        bike.order({"c1", 1, "alarm", with(R"(,"args":{"arm":true})")});
        CHECK(has(bike.last_answer(), "alarm", "true"));
        CHECK(has(bike.last_state(), "alarm", "true"));
        bike.order({"c2", 2, "alarm", with(R"(,"args":{"arm":false})")});
        CHECK(has(bike.last_state(), "alarm", "false"));
    }
    SECTION("config: the version it has now") {
        bike.order({"c1", 1, "config", with(R"(,"args":{"v":12,"hb_s":5})")});
        CHECK(has(bike.last_answer(), "cfg_v", "12"));
        bike.order({"c2", 2, "config", with(R"(,"args":{"hb_s":9})")});
        CHECK(has(bike.last_answer(), "cfg_v", "13"));
    }
}

TEST_CASE("Lock: a trace comes back with every answer to its order", "[sim][lock][trace]") {
    BenchLock bike;
    bike.connect().forget();
    SECTION("from the JSON") {
        bike.order({"c1", 1, "unlock", with(R"(,"tp":"00-ab-cd-01")")}).wait(2s);
        CHECK(has(bike.last_answer(), "tp", R"("00-ab-cd-01")"));
    }
    SECTION("from the user property") {
        bike.receive(OrderText{"c1", 1}.json(), "00-ab-cd-01").wait(2s);
        CHECK(has(bike.last_answer(), "tp", R"("00-ab-cd-01")"));
    }
    for (auto const& sent : bike.sink.sent) {
        CHECK(sent.trace == (sent.channel == Channel::answer ? "00-ab-cd-01" : ""));
    }
}

TEST_CASE("Lock: cancel", "[sim][lock][cancel]") {
    BenchLock bike;
    bike.connect();
    OrderText cancel{"k1", 9, "cancel", with(R"(,"args":{"id":"c1"})")};
    SECTION("before the order comes: both are answered, and the order finds its receipt") {
        bike.forget().order(cancel);
        REQUIRE(bike.answers().size() == 2);
        CHECK(has(bike.answers()[0], "id", R"("c1")"));
        CHECK(says(bike.answers()[0], "cancelled"));
        CHECK(has(bike.answers()[1], "id", R"("k1")"));
        CHECK(says(bike.answers()[1], "ok"));
        bike.order({"c1", 1}).wait(2s);
        CHECK(says(bike.last_answer(), "cancelled"));
        CHECK(bike.lock.state() == LockState::locked);
    }
    SECTION("after it was carried out: what became of it, and no") {
        bike.order({"c1", 1}).wait(2s).forget().order(cancel);
        REQUIRE(bike.answers().size() == 2);
        CHECK(says(bike.answers()[0], "ok"));
        CHECK(says(bike.answers()[1], "refused", "not_allowed"));
    }
    SECTION("while it runs: it goes on") {
        bike.order({"c1", 1}).forget().order(cancel);
        REQUIRE(bike.answers().size() == 2);
        CHECK(says(bike.answers()[0], "started"));
        CHECK(says(bike.answers()[1], "refused", "not_allowed"));
        bike.wait(2s);
        CHECK(bike.lock.state() == LockState::unlocked);
    }
    SECTION("sent twice: the stored answer") {
        bike.order(cancel).forget().order(cancel);
        REQUIRE(bike.answers().size() == 1);
        CHECK(says(bike.last_answer(), "ok"));
    }
    SECTION("late") {
        bike.wait(1min).order(cancel);
        CHECK(says(bike.last_answer(), "refused", "late"));
        bike.order({"c1", 1, "state", R"(,"exp":99999)"});
        CHECK(says(bike.last_answer(), "ok"));
    }
}
