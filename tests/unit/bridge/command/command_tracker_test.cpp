#include "bridge/command/command_tracker.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

using State = CommandState;

std::vector<State> path(Command const& command) {
    std::vector<State> out;
    for (auto const& entry : command.timeline) out.push_back(entry.state);
    return out;
}

/// An order that may wait and is repeated on each connection, such as a configuration.
CommandRequest config_order() {
    CommandRequest request;
    request.device = "b42";
    request.verb = "config";
    request.lane = "config";
    request.ttl = 60s;
    request.if_offline = IfOffline::wait;
    request.deliver = Deliver::until;
    return request;
}

StateReport report_of(std::uint64_t boot, std::uint64_t last_n) {
    StateReport report;
    report.boot = boot;
    report.last_n = {{"lock", last_n}};
    return report;
}

StateReport journal_of(CommandId const& id, Verdict verdict, std::string why = {}) {
    StateReport report;
    Answer line;
    line.id = id;
    line.verdict = verdict;
    line.why = std::move(why);
    line.document = "{}";
    report.receipts.push_back(line);
    return report;
}

/// One that went unanswered.
CommandId unknown(TrackerWorld& w) {
    auto id = w.sent();
    w.advance(10s);
    w.store();
    REQUIRE(w.state(id) == State::unknown);
    return id;
}

}  // namespace

TEST_CASE("tracker: the record is stored before anything is sent", "[bridge][tracker][row-10]") {
    TrackerWorld w;
    w.birth();
    auto id = w.submit(unlock());
    REQUIRE(w.pending.size() == 1);
    CHECK(w.pending[0].purpose == SavePurpose::accept);
    CHECK(w.pending[0].may_have_left);  // the one write says that it is about to leave
    CHECK(w.sends.empty());
    CHECK(w.tracker.find(id) == nullptr);
    CHECK(w.changes.empty());
    w.store();
    REQUIRE(w.sends.size() == 1);
    CHECK(w.state(id) == State::queued);  // only the broker knows when it is sent
    CHECK(w.tracker.is_handed_over(id));
    CHECK(w.changes == std::vector{State::queued});
}

TEST_CASE("tracker: what the store refuses never existed", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto request = unlock();
    request.ref = "r1";
    auto id = w.submit(request, "k1");
    w.store(false);
    CHECK(w.sends.empty());
    CHECK(w.discards == std::vector{id});
    CHECK(w.tracker.size() == 0);
    CHECK_FALSE(w.tracker.next_deadline());
    auto again = w.try_submit(request, "k1");
    REQUIRE(std::holds_alternative<CommandTracker::Accepted>(again));
    CHECK_FALSE(std::get<CommandTracker::Accepted>(again).replayed);
}

TEST_CASE("tracker: sent, delivered, running, succeeded", "[bridge][tracker][receipts]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.handover(id, Handover::taken);
    CHECK(w.state(id) == State::queued);
    w.clock.advance(5ms);
    w.receipt(id, ReceiptStep::sent);
    CHECK(w.state(id) == State::sent);
    w.clock.advance(179ms);
    w.receipt(id, ReceiptStep::acked);
    CHECK(w.state(id) == State::delivered);
    w.answer(id, Verdict::started);
    CHECK(w.state(id) == State::running);
    w.clock.advance(600ms);
    Answer ok;
    ok.id = id;
    ok.n = w.at(id).n;
    ok.verdict = Verdict::ok;
    ok.took = 612ms;
    ok.document = R"({"r":"ok"})";
    w.tracker.on_answer("b42", ok, w.clock.now, w);
    CHECK(w.state(id) == State::running);  // not told before it is stored
    CHECK(w.at(id).answer.empty());
    w.store();
    auto const& command = w.at(id);
    CHECK(path(command) == std::vector{State::queued, State::sent, State::delivered, State::running,
                                       State::succeeded});
    CHECK(command.answer == R"({"r":"ok"})");
    CHECK(command.took == 612ms);
    CHECK_FALSE(command.late);
    CHECK(command.timeline[1].t == 5ms);
    CHECK(command.timeline[1].by == "broker");
    CHECK(command.timeline[2].t == 184ms);
    CHECK(command.timeline[2].by == "device");
    CHECK(command.timeline[4].t == 784ms);
    CHECK(command.timeline[0].by == "tester");
    CHECK(command.version == 5);
    CHECK(w.changes.back() == State::succeeded);
    CHECK(w.tracker.find(id) == nullptr);  // stored, so the store has it
    CHECK(w.tracker.size() == 0);
}

TEST_CASE("tracker: an answer ends a command from every state on its way", "[bridge][tracker]") {
    auto [verdict, end] = GENERATE(table<Verdict, State>({{Verdict::ok, State::succeeded},
                                                          {Verdict::fail, State::failed},
                                                          {Verdict::refused, State::rejected},
                                                          {Verdict::cancelled, State::cancelled}}));
    auto started = GENERATE(false, true);
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    if (started) w.answer(id, Verdict::started);
    w.answer(id, verdict, "why");
    w.store();
    CHECK(w.state(id) == end);
    CHECK(w.at(id).why == "why");
    CHECK_FALSE(w.at(id).late);
}

TEST_CASE("tracker: what is settled never changes again", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.answer(id, Verdict::ok);
    w.answer(id, Verdict::fail, "jam");  // before the first is stored
    w.store();
    auto before = w.at(id);
    w.answer(id, Verdict::fail, "jam");
    w.answer(id, Verdict::started);
    w.report(journal_of(id, Verdict::refused, "late"));
    w.handover(id, Handover::nobody, "no_subscriber");
    w.birth();
    w.receipt(id, ReceiptStep::dropped, "offline");
    CHECK_FALSE(w.tracker.cancel(id, "tester", w.clock.now, w));
    w.advance(1h);
    w.store();
    CHECK(w.at(id) == before);
    CHECK(before.state == State::succeeded);
    CHECK(w.tracker.counters().answers_after_end == 1);
    CHECK(w.tracker.counters().answers_unknown == 2);
    CHECK(w.tracker.counters().receipts_unknown == 1);
    CHECK(w.sends.size() == 1);
}

TEST_CASE("tracker: never sent by its deadline is expired", "[bridge][tracker][row-1]") {
    TrackerWorld w;
    w.birth();
    w.will();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    auto id = w.submit(request);
    w.store();
    CHECK_FALSE(w.saved[id].may_have_left);
    w.advance(8s - 1ms);
    CHECK(w.state(id) == State::queued);
    w.advance(1ms);
    w.store();
    CHECK(w.state(id) == State::expired);
    CHECK(w.at(id).why == "deadline");
    w.birth();  // nothing late
    CHECK(w.sends.empty());
}

TEST_CASE("tracker: nothing leaves after its deadline, however late the timer is",
          "[bridge][tracker][row-1]") {
    TrackerWorld w;
    w.birth();
    w.will();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    auto id = w.sent(request);
    w.clock.advance(8s);
    w.birth();
    w.store();
    CHECK(w.sends.empty());
    CHECK(w.state(id) == State::queued);
}

TEST_CASE("tracker: an end that could not be stored is not told", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.answer(id, Verdict::ok);
    w.store(false);
    CHECK(w.state(id) == State::queued);
    CHECK(w.changes.back() == State::queued);
}

TEST_CASE("tracker: no answer by deadline and grace is unknown", "[bridge][tracker][row-6]") {
    auto started = GENERATE(false, true);
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    if (started) w.answer(id, Verdict::started);
    w.advance(10s - 1ms);
    CHECK(w.state(id) == (started ? State::running : State::queued));
    w.advance(1ms);
    CHECK(w.state(id) == State::unknown);
    CHECK_FALSE(is_settled(w.state(id)));
    CHECK(w.registry.presence(*w.registry.find("b42"), w.clock.now.steady) == Presence::quiet);
}

TEST_CASE("tracker: an answer within the grace is not late", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.advance(9s);
    w.answer(id, Verdict::ok);
    w.store();
    CHECK(w.state(id) == State::succeeded);
    CHECK_FALSE(w.at(id).late);
}

TEST_CASE("tracker: a late answer settles what was unknown", "[bridge][tracker][row-6]") {
    auto [verdict, end] = GENERATE(table<Verdict, State>({{Verdict::ok, State::succeeded},
                                                          {Verdict::fail, State::failed},
                                                          {Verdict::refused, State::rejected}}));
    auto by_journal = GENERATE(false, true);
    TrackerWorld w;
    w.birth();
    auto id = unknown(w);
    w.answer(id, Verdict::started);  // no end, so still unknown
    CHECK(w.state(id) == State::unknown);
    w.advance(1h);
    if (by_journal) {
        w.report(journal_of(id, verdict, "why"));
    } else {
        w.answer(id, verdict, "why");
    }
    w.store();
    CHECK(w.state(id) == end);
    CHECK(w.at(id).late);
    CHECK(w.at(id).timeline.back().by == (by_journal ? "device_journal" : "device"));
}

TEST_CASE("tracker: a lost answer is found in the journal before it is missed",
          "[bridge][tracker][row-6]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.report(journal_of(id, Verdict::started));
    CHECK(w.state(id) == State::running);
    w.report(journal_of(id, Verdict::ok));
    w.store();
    CHECK(w.state(id) == State::succeeded);
    CHECK_FALSE(w.at(id).late);
}

TEST_CASE("tracker: a state from after the deadline shows that nothing was done",
          "[bridge][tracker][row-6]") {
    TrackerWorld w;
    w.birth("b42", 7, 1'000);
    auto id = unknown(w);
    auto n = w.at(id).n;
    REQUIRE(w.at(id).exp_up == 9'000);
    auto report = report_of(7, n - 1);

    SECTION("by the device's uptime") {
        report.up = 9'000;
        w.report(report);
        CHECK(w.state(id) == State::unknown);
        report.up = 9'001;
    }
    SECTION("by its next boot") {
        report.boot = 6;
        w.report(report);
        CHECK(w.state(id) == State::unknown);
        report.boot = 8;
    }
    SECTION("by its clock, if it tells no uptime") {
        report.at = w.at(id).deadline;
        w.report(report);
        CHECK(w.state(id) == State::unknown);
        report.at = w.clock.now.wall + 6s;  // a clock that runs ahead proves nothing
        w.report(report);
        CHECK(w.state(id) == State::unknown);
        report.at = w.at(id).deadline + 1ms;
    }
    auto executed = report;
    executed.last_n = {{"lock", n}};
    w.report(executed);
    CHECK(w.state(id) == State::unknown);  // it was taken up; how it ended is not said
    auto silent = report;
    silent.last_n = {{"info", n - 1}};
    w.report(silent);
    CHECK(w.state(id) == State::unknown);
    w.report(report);
    w.store();
    CHECK(w.state(id) == State::failed);
    CHECK(w.at(id).why == "not_executed");
    CHECK(w.at(id).late);
}

TEST_CASE("tracker: a state does not end an order that is still on its way", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.report(report_of(8, 0));
    w.store();
    CHECK(w.state(id) == State::queued);
    CHECK(w.tracker.is_handed_over(id));
}

TEST_CASE("tracker: unknown without a sign is abandoned", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = unknown(w);
    w.advance(24h - 1ms);
    CHECK(w.state(id) == State::unknown);
    w.advance(1ms);
    w.store();
    CHECK(w.state(id) == State::abandoned);
    CHECK_FALSE(w.at(id).late);
}

TEST_CASE("tracker: cancel takes back what was not sent", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto first = w.sent();
    auto second = w.sent();
    CHECK_FALSE(w.tracker.cancel(first, "tester", w.clock.now, w));
    CHECK(w.tracker.cancel(second, "tester", w.clock.now, w));
    CHECK_FALSE(w.tracker.cancel(second, "tester", w.clock.now, w));
    w.store();
    CHECK(w.state(second) == State::cancelled);
    w.answer(first, Verdict::ok);
    w.store();
    CHECK(w.sends.size() == 1);
    CHECK_FALSE(w.tracker.cancel(CommandId{}, "tester", w.clock.now, w));
}

TEST_CASE("tracker: a command cancelled while its leave is being stored is not sent",
          "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.submit(unlock());
    CHECK(w.tracker.cancel(id, "tester", w.clock.now, w));
    w.store();
    CHECK(w.sends.empty());
    CHECK(w.state(id) == State::cancelled);
}

TEST_CASE("tracker: supersede drops what waits and lets go what left",
          "[bridge][tracker][row-11]") {
    TrackerWorld w;
    w.birth();
    auto first = w.sent();
    auto second = w.sent();
    auto third = w.sent();
    auto request = unlock();
    request.supersede = true;
    auto last = w.sent(request);
    CHECK(w.state(first) == State::queued);  // handed over: waited for
    CHECK(w.state(second) == State::superseded);
    CHECK(w.state(third) == State::superseded);
    CHECK_FALSE(w.tracker.is_handed_over(last));
    w.answer(first, Verdict::ok);
    w.store();
    CHECK(w.tracker.is_handed_over(last));
    CHECK(w.sends.size() == 2);
}

TEST_CASE("tracker: what supersede drops does not leave meanwhile", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    w.will();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    w.sent(request);
    auto second = w.sent(request);
    w.birth();  // the first one is about to leave
    request.supersede = true;
    auto last = w.submit(request);
    CHECK_FALSE(w.saved[second].may_have_left);
    w.store();
    REQUIRE(w.sends.size() == 1);
    CHECK(w.sends[0].id == last);
}

TEST_CASE("tracker: one order of a lane at a time, in order, numbered",
          "[bridge][tracker][row-11]") {
    TrackerWorld w;
    w.birth();
    auto first = w.sent();
    auto second = w.sent();
    auto third = w.sent();
    auto other_lane = unlock();
    other_lane.verb = "ring";
    other_lane.lane = "info";
    auto ring = w.sent(other_lane);
    CHECK(w.sends.size() == 2);
    CHECK(w.tracker.is_handed_over(ring));
    CHECK_FALSE(w.tracker.is_handed_over(second));
    w.answer(first, Verdict::fail);
    w.store();
    CHECK(w.tracker.is_handed_over(second));
    CHECK_FALSE(w.tracker.is_handed_over(third));
    w.answer(second, Verdict::refused);
    w.store();
    CHECK(w.tracker.is_handed_over(third));
    std::vector<std::uint64_t> numbers;
    for (auto const& sent : w.sends) numbers.push_back(sent.n);
    CHECK(numbers == std::vector<std::uint64_t>{1, 4, 2, 3});
}

TEST_CASE("tracker: silence frees the lane", "[bridge][tracker][row-12]") {
    TrackerWorld w;
    w.birth();
    auto first = w.sent();
    auto request = unlock();
    request.ttl = 60s;
    auto second = w.sent(request);
    w.advance(10s);
    CHECK(w.state(first) == State::unknown);
    w.store();
    CHECK(w.tracker.is_handed_over(second));
}

TEST_CASE("tracker: an order without a lane waits for nobody", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    w.sent();
    auto request = unlock();
    request.lane.clear();
    CHECK(w.tracker.is_handed_over(w.sent(request)));
    CHECK(w.tracker.is_handed_over(w.sent(request)));
}

TEST_CASE("tracker: a broker that knows no listener ends an order for now or never",
          "[bridge][tracker][row-8]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.handover(id, Handover::nobody, "no_subscriber");
    w.store();
    CHECK(w.state(id) == State::expired);
    CHECK(w.at(id).why == "no_subscriber");
    CHECK(w.registry.presence(*w.registry.find("b42"), w.clock.now.steady) == Presence::offline);
}

TEST_CASE("tracker: ... and sends one that may wait back to waiting", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    auto id = w.sent(request);
    w.handover(id, Handover::nobody, "no_subscriber");
    w.store();
    CHECK(w.state(id) == State::queued);
    CHECK(w.sends.size() == 1);

    CHECK_FALSE(w.saved[id].may_have_left);  // a restart knows that it never left
    CHECK(w.at(id).timeline.back().why == "no_subscriber");

    SECTION("until the device is back") {
        w.clock.advance(1s);
        w.birth();
        w.store();
        CHECK(w.tracker.is_handed_over(id));
        CHECK(w.sends.size() == 2);
        CHECK(w.saved[id].may_have_left);
    }
    SECTION("however often, without an arrow for each time") {
        for (int i = 0; i < 100; ++i) {
            w.birth();
            w.store();
            w.handover(id, Handover::nobody, "no_subscriber");
            w.store();
        }
        CHECK(w.sends.size() == 101);
        CHECK(w.at(id).timeline.size() == 2);
        w.advance(8s);
        w.store();
        CHECK(w.state(id) == State::expired);
    }
    SECTION("or the deadline") {
        w.advance(8s);
        w.store();
        CHECK(w.state(id) == State::expired);
    }
}

TEST_CASE("tracker: what the broker refuses never left", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.handover(id, Handover::refused, "broker_refused: quota exceeded");
    w.store();
    CHECK(w.state(id) == State::expired);
    CHECK(w.at(id).why == "broker_refused: quota exceeded");
}

TEST_CASE("tracker: an order no byte of which left goes back to waiting", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.tracker.on_broker(false, w.clock.now, w);
    w.handover(id, Handover::not_sent, "not_sent: connection lost");
    CHECK_FALSE(w.tracker.is_handed_over(id));
    w.store();
    w.tracker.on_broker(true, w.clock.now, w);
    w.store();
    CHECK(w.tracker.is_handed_over(id));
    CHECK(w.sends.size() == 2);
    w.clock.advance(8s);
    w.handover(id, Handover::not_sent, "not_sent: expired");
    w.store();
    CHECK(w.state(id) == State::expired);
}

TEST_CASE("tracker: an order that may have left is never sent again",
          "[bridge][tracker][row-1][row-5]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.handover(id, Handover::lost);
    w.tracker.on_broker(false, w.clock.now, w);
    w.tracker.on_broker(true, w.clock.now, w);
    w.will();
    w.birth("b42", 8);
    w.store();
    CHECK(w.sends.size() == 1);
    CHECK(w.state(id) == State::queued);
    w.advance(10s);
    CHECK(w.state(id) == State::unknown);
}

TEST_CASE("tracker: one that is to be delivered until its deadline is sent again",
          "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent(config_order());
    REQUIRE(w.sends.size() == 1);

    SECTION("on each new connection of the device, with its new boot") {
        w.handover(id, Handover::taken);
        w.birth("b42", 8, 500);
        CHECK(w.sends.size() == 1);  // which boot it is for is stored first
        w.store();
        REQUIRE(w.sends.size() == 2);
        CHECK(w.sends[1].boot == 8);
        CHECK(w.sends[1].exp_up == 60'500);
        CHECK(w.sends[1].n == w.sends[0].n);
        w.handover(id, Handover::nobody, "no_subscriber");  // the first copy may be there still
        CHECK(w.tracker.is_handed_over(id));
    }
    SECTION("when the broker may not have got it") {
        w.handover(id, Handover::lost);
        w.tracker.on_broker(false, w.clock.now, w);
        w.tracker.on_broker(true, w.clock.now, w);
        CHECK(w.sends.size() == 2);
    }
    SECTION("but not when the broker has it") {
        w.handover(id, Handover::taken);
        w.tracker.on_broker(false, w.clock.now, w);
        w.tracker.on_broker(true, w.clock.now, w);
        CHECK(w.sends.size() == 1);
    }
    SECTION("when there is room for it") {
        w.handover(id, Handover::taken);
        w.send_result = SendResult::no_room;
        w.birth("b42", 8);
        w.store();
        CHECK(w.sends.size() == 1);
        w.send_result = SendResult::done;
        w.tracker.on_room(w.clock.now, w);
        w.tracker.on_room(w.clock.now, w);
        CHECK(w.sends.size() == 2);
    }
    SECTION("and not after its deadline") {
        w.clock.advance(60s);
        w.birth("b42", 8);
        CHECK(w.sends.size() == 1);
    }
}

TEST_CASE("tracker: an order for a device that is away leaves when it is back",
          "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    w.will();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    auto id = w.sent(request);
    CHECK(w.state(id) == State::queued);
    w.clock.advance(2s);
    w.birth();
    CHECK(w.sends.empty());  // that it may leave is stored first
    REQUIRE(w.pending.size() == 1);
    CHECK(w.pending[0].purpose == SavePurpose::leave);
    CHECK(w.pending[0].may_have_left);
    w.store();
    CHECK(w.sends.size() == 1);
    CHECK(w.tracker.is_handed_over(id));
}

TEST_CASE("tracker: without room in the connection an order waits for it", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    for (auto const* device : {"c", "b", "a", "d"}) w.birth(device);
    w.send_result = SendResult::no_room;
    std::vector<CommandId> ids;
    for (auto const* device : {"c", "b", "a", "d"}) ids.push_back(w.sent(unlock(device)));
    CHECK(w.send_tries == 1);  // the others do not even ask
    w.tracker.on_room(w.clock.now, w);
    CHECK(w.send_tries == 2);
    CHECK(w.sends.empty());
    w.send_result = SendResult::done;
    w.room = 2;
    w.tracker.on_room(w.clock.now, w);
    REQUIRE(w.sends.size() == 2);  // in the order in which they came
    CHECK(w.sends[0].id == ids[0]);
    CHECK(w.sends[1].id == ids[1]);
    CHECK(w.state(ids[2]) == State::queued);

    SECTION("until there is room") {
        w.send_result = SendResult::done;
        w.tracker.on_room(w.clock.now, w);
        CHECK(w.sends.size() == 4);
    }
    SECTION("or a new connection") {
        w.send_result = SendResult::done;
        w.tracker.on_broker(false, w.clock.now, w);
        w.tracker.on_broker(true, w.clock.now, w);
        CHECK(w.sends.size() == 4);
    }
    SECTION("or its deadline") {
        w.advance(8s);
        w.store();
        CHECK(w.state(ids[2]) == State::expired);
        w.send_result = SendResult::done;
        w.tracker.on_room(w.clock.now, w);
        CHECK(w.sends.size() == 2);
    }
}

TEST_CASE("tracker: what no connection takes ends at once", "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    w.send_result = SendResult::impossible;
    auto id = w.sent();
    auto next = w.sent();
    w.store();
    CHECK(w.state(id) == State::expired);
    CHECK(w.at(id).why == "cannot_be_sent");
    CHECK(w.state(next) == State::expired);
}

TEST_CASE("tracker: the deadline as uptime comes from live heartbeats",
          "[bridge][tracker][row-17]") {
    TrackerWorld w;
    w.birth("b42", 7, 5'000);
    w.clock.advance(1s);
    w.sent();
    REQUIRE(w.sends.size() == 1);
    CHECK(w.sends[0].boot == 7);
    CHECK(w.sends[0].exp_up == 14'000);
}

TEST_CASE("tracker: answers that are none of the command's are counted and dropped",
          "[bridge][tracker][row-13]") {
    TrackerWorld w;
    w.birth();
    w.birth("b43");
    auto id = w.sent();
    w.answer(id, Verdict::ok, "", "b43");  // another device speaks for it
    Answer wrong_number;
    wrong_number.id = id;
    wrong_number.n = w.at(id).n + 1;
    wrong_number.verdict = Verdict::ok;
    w.tracker.on_answer("b42", wrong_number, w.clock.now, w);
    w.answer(CommandId{}, Verdict::ok);
    auto waiting = w.sent();
    w.answer(waiting, Verdict::ok);  // was never sent
    w.store();
    CHECK(w.state(id) == State::queued);
    CHECK(w.state(waiting) == State::queued);
    CHECK(w.tracker.counters().answers_mismatched == 3);
    CHECK(w.tracker.counters().answers_unknown == 1);
}

TEST_CASE("tracker: refusals make nothing and send nothing", "[bridge][tracker]") {
    TrackerWorld w{{.open_max = 3, .lane_queue_max = 2}};
    w.birth();
    auto request = unlock();
    auto expected = Refusal::broker_down;

    SECTION("no broker") {
        w.tracker.on_broker(false, w.clock.now, w);
    }
    SECTION("no such device") {
        request.device = "b1";
        request.if_offline = IfOffline::wait;
        expected = Refusal::no_such_device;
    }
    SECTION("device offline") {
        w.will();
        expected = Refusal::device_offline;
    }
    SECTION("device asleep") {
        Birth farewell;
        farewell.boot = 7;
        farewell.wake = WallTime{1s};
        w.registry.on_birth("b42", farewell, {w.clock.now});
        expected = Refusal::device_offline;
    }
    SECTION("precondition") {
        StateReport report;
        report.document = R"({"lock":"unlocked"})";
        w.registry.on_state("b42", report, {w.clock.now});
        request.condition = R"({"lock":"locked"})";
        expected = Refusal::precondition;
    }
    SECTION("lane busy") {
        w.sent();
        request.fail_if_busy = true;
        expected = Refusal::lane_busy;
    }
    SECTION("lane full") {
        w.sent();
        w.sent();
        expected = Refusal::lane_full;
    }
    SECTION("denied") {
        DeviceRecord record{"b42"};
        record.version = 1;
        record.deny =
            GENERATE(std::vector<std::string>{"lock", "unlock"}, std::vector<std::string>{"*"});
        w.registry.set_record(record, w.clock.now);
        expected = Refusal::denied;
    }
    SECTION("the store takes no writes") {
        w.store_works = false;
        expected = Refusal::store_full;
    }
    SECTION("as many are open as may be") {
        w.birth("b43");
        w.sent();
        w.sent();
        w.sent(unlock("b43"));
        request.lane = "other";
        expected = Refusal::store_full;
    }
    auto size = w.tracker.size();
    auto sends = w.sends.size();
    auto result = w.try_submit(request, "k1");
    REQUIRE(std::holds_alternative<Refusal>(result));
    CHECK(std::get<Refusal>(result) == expected);
    CHECK(w.tracker.counters().refusals.at(static_cast<std::size_t>(expected)) == 1);
    CHECK(w.tracker.size() == size);
    CHECK(w.pending.empty());
    w.store();
    CHECK(w.sends.size() == sends);
}

TEST_CASE("tracker: the same key and order joins, another order does not",
          "[bridge][tracker][idempotency][row-5][row-14]") {
    TrackerWorld w;
    w.birth();
    auto id = w.submit(unlock(), "k1");
    auto retry = [&](CommandRequest request, std::string key) {
        return w.try_submit(std::move(request), std::move(key));
    };
    auto again = retry(unlock(), "k1");  // before the first is stored
    REQUIRE(std::holds_alternative<CommandTracker::Accepted>(again));
    CHECK(std::get<CommandTracker::Accepted>(again).id == id);
    CHECK(std::get<CommandTracker::Accepted>(again).replayed);
    w.store();
    auto other = unlock();
    other.ttl = 9s;
    CHECK(std::get<Refusal>(retry(other, "k1")) == Refusal::key_reused);

    // A retry is known even when a new order would be refused, and after the end.
    w.will();
    CHECK(std::get<CommandTracker::Accepted>(retry(unlock(), "k1")).id == id);
    w.answer(id, Verdict::ok);
    w.store();
    CHECK(std::get<CommandTracker::Accepted>(retry(unlock(), "k1")).id == id);
    w.tracker.on_broker(false, w.clock.now, w);
    CHECK(std::get<CommandTracker::Accepted>(retry(unlock(), "k1")).id == id);
    CHECK(w.sends.size() == 1);
}

TEST_CASE("tracker: a settled command is found again by its key, in the store",
          "[bridge][tracker][idempotency][row-5]") {
    TrackerWorld w;
    w.birth();
    auto id = w.submit(unlock(), "k1");
    w.store();
    w.answer(id, Verdict::ok);
    w.store();
    CHECK(w.tracker.size() == 0);
    CHECK_FALSE(w.tracker.next_deadline());
    auto again = std::get<CommandTracker::Accepted>(w.try_submit(unlock(), "k1"));
    CHECK(again.id == id);
    CHECK(again.replayed);
    CHECK(std::get<Refusal>(w.try_submit(unlock("b43"), "k1")) == Refusal::key_reused);
    w.saved.clear();  // kept long enough
    CHECK(w.submit(unlock(), "k1") != id);
}

TEST_CASE("tracker: a ref joins while its command is open",
          "[bridge][tracker][idempotency][row-5]") {
    TrackerWorld w{{.keys_per_command_max = 2}};
    w.birth();
    auto request = unlock();
    request.ref = "r1";
    auto id = w.sent(request);
    auto id_of = [](auto const& result) { return std::get<CommandTracker::Accepted>(result).id; };
    CHECK(id_of(w.try_submit(request)) == id);
    auto other = request;
    other.args = R"({"ride":"r2"})";
    CHECK(std::get<Refusal>(w.try_submit(other)) == Refusal::key_reused);
    // Unknown is open: another try with this ref must not open a second time.
    w.advance(10s);
    REQUIRE(w.state(id) == State::unknown);
    CHECK(id_of(w.try_submit(request)) == id);

    // Keys that came with the ref lead here from now on, also after the end.
    CHECK(id_of(w.try_submit(request, "k1")) == id);
    CHECK(id_of(w.try_submit(request, "k2")) == id);
    CHECK(std::get<Refusal>(w.try_submit(request, "k3")) == Refusal::too_many_keys);
    w.answer(id, Verdict::ok);
    w.store();
    CHECK(w.saved[id].keys == std::vector<std::string>{"k1", "k2"});
    CHECK(id_of(w.try_submit(request, "k2")) == id);
    auto next = w.submit(request);
    CHECK(next != id);
}

TEST_CASE("tracker: a key that joins while the end is being stored is kept",
          "[bridge][tracker][idempotency]") {
    TrackerWorld w;
    w.birth();
    auto request = unlock();
    request.ref = "r1";
    auto id = w.sent(request);
    w.answer(id, Verdict::ok);
    CHECK(std::get<CommandTracker::Accepted>(w.try_submit(request, "k1")).id == id);
    w.store();
    CHECK(w.state(id) == State::succeeded);
    CHECK(w.saved[id].state == State::succeeded);  // the note has not undone the end
    CHECK(std::get<CommandTracker::Accepted>(w.try_submit(request, "k1")).id == id);
}

TEST_CASE("tracker: a device that is forgotten leaves its open commands to their deadlines",
          "[bridge][tracker]") {
    TrackerWorld w;
    w.birth();
    auto first = w.sent();
    auto second = w.sent();
    w.registry.forget("b42");
    w.answer(first, Verdict::ok);
    w.store();
    CHECK(w.state(first) == State::succeeded);
    CHECK(w.state(second) == State::queued);
    w.advance(8s);
    w.store();
    CHECK(w.state(second) == State::expired);
}

TEST_CASE("tracker: answers of an old boot and of another trace are counted",
          "[bridge][tracker][row-13]") {
    TrackerWorld w;
    w.birth("b42", 8);
    auto id = w.sent();
    Answer old;
    old.id = id;
    old.boot = 7;
    old.verdict = Verdict::ok;
    w.tracker.on_answer("b42", old, w.clock.now, w);
    CHECK(w.tracker.counters().answers_old_boot == 1);
    CHECK_FALSE(is_settled(w.state(id)));
    old.boot = 8;
    old.trace = "00-another-01";
    w.tracker.on_answer("b42", old, w.clock.now, w);
    w.store();
    CHECK(w.state(id) == State::succeeded);
    CHECK(w.tracker.counters().traces_mismatched == 1);
}

TEST_CASE("tracker: a state proves nothing of a lane which it does not tell",
          "[bridge][tracker][row-6]") {
    TrackerWorld w;
    w.birth();
    auto request = unlock();
    request.lane = "mine";  // the device counts an unlock in its lane "lock"
    auto id = w.sent(request);
    w.advance(10s);
    StateReport report;
    report.boot = 8;
    report.last_n = {{"info", 0}, {"mine", 0}};
    w.report(report);
    CHECK(w.state(id) == State::unknown);
    report.last_n.emplace_back("lock", 0);
    w.report(report);
    CHECK(w.state(id) == State::failed);
}

TEST_CASE("tracker: a copy that is taken back while the next is prepared",
          "[bridge][tracker][row-10]") {
    TrackerWorld w;
    w.birth();
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    request.deliver = Deliver::until;
    auto id = w.sent(request);
    w.birth("b42", 8);  // a copy for this boot is being prepared
    w.handover(id, Handover::nobody, "no_subscriber");
    w.birth("b42", 9);
    w.tracker.on_saved(id, w.pending.at(0).purpose, true, w.clock.now, w);
    w.pending.pop_front();
    CHECK(w.sends.size() == 1);  // the store says at this moment that it has not left
    w.store();
    REQUIRE(w.sends.size() == 2);
    CHECK(w.sends[1].boot == 9);
    CHECK(w.saved[id].may_have_left);
}

}  // namespace spoke::bridge::test
