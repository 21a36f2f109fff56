#include <catch2/catch.hpp>

#include "bridge/command/command_tracker.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

using State = CommandState;

CommandRequest waiting(Deliver deliver = Deliver::once) {
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    request.deliver = deliver;
    return request;
}

/// The process dies; the next one finds what was stored, `later`.
struct Restart {
    explicit Restart(TrackerWorld const& before, std::chrono::milliseconds later = 1s) {
        w.tracker.on_broker(false, w.clock.now, w);
        w.clock = before.clock;
        w.clock.now.steady += 1'000'000h;  // another host's
        w.clock.now.wall += later;
        w.saved = before.saved;
        std::map<std::string, std::uint64_t> numbers;
        for (auto const& [id, command] : before.saved) {
            auto& n = numbers[command.request.device];
            n = std::max(n, command.n);
        }
        for (auto const& [device, n] : numbers) w.registry.restore({device}, n, w.clock.now);
        std::vector<Command> open;
        for (auto const& [id, command] : before.saved) {
            if (!is_settled(command.state)) open.push_back(command);
        }
        w.tracker.restore(std::move(open), w.clock.now, w);
        w.store();
        w.tracker.on_timer(w.clock.now, w);
        w.store();
    }

    void connect(bool birth = true) {
        w.registry.on_new_link();
        w.tracker.on_broker(true, w.clock.now, w);
        if (birth) w.birth();
        w.store();
    }

    TrackerWorld w;
};

}  // namespace

TEST_CASE("restart: what never left waits, or has expired", "[bridge][restart][row-10]") {
    TrackerWorld before;
    before.birth();
    before.will();
    auto id = before.submit(waiting());
    before.store();
    SECTION("in time") {
        Restart after{before};
        CHECK(after.w.state(id) == State::queued);
        CHECK_FALSE(after.w.tracker.is_handed_over(id));
        after.connect();
        REQUIRE(after.w.sends.size() == 1);
        CHECK(after.w.sends[0].n == 1);
        CHECK(after.w.sends[0].left == 7s);
        CHECK(after.w.saved[id].may_have_left);
    }
    SECTION("too late") {
        Restart after{before, 8s};
        CHECK(after.w.state(id) == State::expired);
        CHECK(after.w.at(id).why == "deadline");
        after.connect();
        CHECK(after.w.sends.empty());
        CHECK(after.w.tracker.size() == 0);
    }
}

TEST_CASE("restart: what may have left is unknown, is never sent again, and heals",
          "[bridge][restart][row-10][row-1]") {
    TrackerWorld before;
    before.birth();
    auto id = before.submit(unlock(), "k1");
    auto sent = GENERATE(false, true);
    if (sent) before.store();  // else: the store had it and the process died before it heard of it
    Restart after{before};
    CHECK(after.w.state(id) == State::unknown);
    CHECK(after.w.at(id).why == "bridge_restarted");
    after.connect();
    CHECK(after.w.sends.empty());
    CHECK(std::get<CommandTracker::Accepted>(after.w.try_submit(unlock(), "k1")).id == id);

    // The next one of the lane waits until the device would refuse this one.
    auto next = after.w.sent(waiting());
    CHECK(after.w.at(next).n == 2);
    CHECK(after.w.sends.empty());
    SECTION("by the answer, which waited in the broker") {
        after.w.answer(id, Verdict::ok);
        after.w.store();
        CHECK(after.w.state(id) == State::succeeded);
        CHECK(after.w.at(id).late);
        CHECK(after.w.sends.size() == 1);
    }
    SECTION("by silence the lane goes on") {
        after.w.advance(7s);
        CHECK(after.w.sends.empty());
        after.w.advance(2s);
        after.w.store();
        CHECK(after.w.state(id) == State::unknown);
    }
    SECTION("abandoned a day after it could have been answered, not after the restart") {
        after.w.advance(9s + 24h - 1ms);
        CHECK(after.w.state(id) == State::unknown);
        after.w.advance(1ms);
        after.w.store();
        CHECK(after.w.state(id) == State::abandoned);
    }
    SECTION("and a second restart changes nothing") {
        Restart again{after.w, 20s};
        CHECK(again.w.state(id) == State::unknown);
        CHECK(again.w.at(id).timeline.size() == 2);
        again.w.answer(id, Verdict::fail, "jam");
        again.w.store();
        CHECK(again.w.state(id) == State::failed);
    }
}

TEST_CASE("restart: what is to arrive until its deadline is sent again",
          "[bridge][restart][row-10]") {
    TrackerWorld before;
    before.birth();
    auto id = before.sent(waiting(Deliver::until));
    before.receipt(id, ReceiptStep::sent);
    before.advance(2s);
    before.store();
    SECTION("in time") {
        Restart after{before};
        CHECK(after.w.state(id) == State::queued);
        CHECK(after.w.at(id).timeline.back().why == "bridge_restarted");
        after.connect();
        REQUIRE(after.w.sends.size() == 1);
        CHECK(after.w.sends[0].copy == 2);  // the device may have the first
        after.w.handover(id, Handover::nobody, "no_subscriber");
        after.w.advance(7s);
        after.w.store();
        CHECK(after.w.state(id) == State::unknown);  // it never "expires"
    }
    SECTION("too late") {
        Restart after{before, 6s};
        CHECK(after.w.state(id) == State::unknown);
        after.connect();
        CHECK(after.w.sends.empty());
    }
}

TEST_CASE("restart: order, lanes and refs are as before", "[bridge][restart][row-11]") {
    TrackerWorld before;
    before.birth();
    before.will();
    auto request = waiting();
    auto first = before.sent(request);
    request.ref = "r1";
    auto second = before.sent(request);
    Restart after{before};
    after.connect();
    REQUIRE(after.w.sends.size() == 1);
    CHECK(after.w.sends[0].id == first);
    CHECK(std::get<CommandTracker::Accepted>(after.w.try_submit(request)).id == second);
    after.w.answer(first, Verdict::ok);
    after.w.store();
    REQUIRE(after.w.sends.size() == 2);
    CHECK(after.w.sends[1].id == second);
    CHECK(after.w.sends[1].n > after.w.sends[0].n);
}

TEST_CASE("restart: no version is shown twice with another content", "[bridge][restart]") {
    TrackerWorld before;
    before.birth();
    auto id = before.sent();
    before.receipt(id, ReceiptStep::sent);
    before.receipt(id, ReceiptStep::acked);
    auto shown = before.at(id).version;
    Restart after{before};  // the arrows above were not stored
    CHECK(after.w.at(id).version > shown);
}

TEST_CASE("broker killed: what it had not acknowledged may have left",
          "[bridge][restart][row-10]") {
    TrackerWorld w;
    w.birth();
    auto acknowledged = w.sent();
    auto other = unlock();
    other.lane = "info";
    auto open = w.sent(other);
    w.handover(acknowledged, Handover::taken);
    w.handover(open, Handover::lost);
    w.tracker.on_broker(false, w.clock.now, w);
    w.tracker.on_broker(true, w.clock.now, w);
    w.birth();
    w.store();
    CHECK(w.sends.size() == 2);
    w.advance(10s);
    CHECK(w.state(acknowledged) == State::unknown);
    CHECK(w.state(open) == State::unknown);
    StateReport report;
    report.boot = 8;
    report.last_n = {{"lock", 0}};
    w.report(report);
    CHECK(w.state(acknowledged) == State::failed);
    CHECK(w.state(open) == State::failed);
}

TEST_CASE("clock: the wall clock of the host is set, the order's time is not",
          "[bridge][clock][row-17]") {
    auto jump = GENERATE(-3h, 3h);
    TrackerWorld w;
    w.birth();
    w.will();
    auto id = w.sent(waiting());
    w.clock.now.wall += jump;
    w.advance(2s);
    CHECK(w.state(id) == State::queued);
    w.birth();
    w.store();
    REQUIRE(w.sends.size() == 1);
    CHECK(w.sends[0].left == 6s);
    CHECK(w.sends[0].deadline == w.clock.now.wall + 6s);  // what the device compares with
    CHECK(w.at(id).deadline == w.sends[0].deadline);
    w.advance(8s - 1ms);
    CHECK(w.state(id) == State::queued);
    w.advance(1ms);
    CHECK(w.state(id) == State::unknown);
}

}  // namespace spoke::bridge::test
