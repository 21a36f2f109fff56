#include <catch2/catch.hpp>

#include "bridge/command/command_tracker.hpp"
#include "bridge/command/receipt.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

using State = CommandState;

CommandRequest waiting_unlock() {
    auto request = unlock();
    request.if_offline = IfOffline::wait;
    return request;
}

CommandRequest config_order() {
    auto request = waiting_unlock();
    request.verb = "config";
    request.lane = "config";
    request.ttl = 60s;
    request.deliver = Deliver::until;
    return request;
}

std::vector<State> path(Command const& command) {
    std::vector<State> out;
    for (auto const& entry : command.timeline) out.push_back(entry.state);
    return out;
}

Presence presence(TrackerWorld& w) {
    return w.registry.presence(*w.registry.find("b42"), w.clock.now.steady);
}

}  // namespace

TEST_CASE("receipt: as the broker writes it", "[bridge][receipts]") {
    auto id = CommandId::make(WallTime{1'795'374'000'000ms}, counting_random());
    auto receipt = parse_receipt(receipt_text(id, "sent", WallTime{5ms}));
    REQUIRE(receipt);
    CHECK(receipt->id == id);
    CHECK(receipt->step == ReceiptStep::sent);
    CHECK(receipt->client == "b42");
    CHECK(receipt->at_us == 5'000);
    CHECK_FALSE(receipt->was_sent_before);
    auto dropped = parse_receipt(
        receipt_text(id, "dropped", WallTime{}, R"(,"why":"queue_full","sent":true,"more":[1])"));
    REQUIRE(dropped);
    CHECK(dropped->why == "queue_full");
    CHECK(dropped->was_sent_before);
    CHECK(parse_receipt(receipt_text(id, "refused", WallTime{}, R"(,"reason":135)"))->reason ==
          135);
}

TEST_CASE("receipt: what is none is not read", "[bridge][receipts]") {
    auto text =
        GENERATE(R"()", R"([])", R"({})", R"({"step":"sent"})",
                 R"({"step":"flown","client":"b","at_us":1,"id":"AAAAAAAAAAAAAAAAAAAAAA=="})",
                 R"({"step":"sent","client":7,"at_us":1,"id":"AAAAAAAAAAAAAAAAAAAAAA=="})",
                 R"({"step":"sent","client":"b","at_us":"1","id":"AAAAAAAAAAAAAAAAAAAAAA=="})",
                 R"({"step":"sent","client":"b","at_us":1,"id":"AAAA"})",
                 R"({"step":"sent","client":"b","at_us":1,"id":"AAAAAAAAAAAAAAAAAAAAAAAA"})",
                 R"({"step":"sent","client":"b","at_us":1,"id":"AAAAAAAAAAAAAAAAAAAA!A=="})");
    CHECK_FALSE(parse_receipt(text));
    CHECK(
        parse_receipt(R"({"step":"sent","client":"b","at_us":1,"id":"AAAAAAAAAAAAAAAAAAAAAA=="})"));
}

TEST_CASE("receipts: in any order, twice, after the answer: no way back",
          "[bridge][receipts][row-6]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    SECTION("acked before sent") {
        w.receipt(id, ReceiptStep::acked);
        w.receipt(id, ReceiptStep::sent);
        CHECK(path(w.at(id)) == std::vector{State::queued, State::delivered});
    }
    SECTION("each twice") {
        for (int i = 0; i < 2; ++i) w.receipt(id, ReceiptStep::sent);
        for (int i = 0; i < 2; ++i) w.receipt(id, ReceiptStep::acked);
        w.receipt(id, ReceiptStep::sent);
        CHECK(path(w.at(id)) == std::vector{State::queued, State::sent, State::delivered});
    }
    SECTION("after the device has begun") {
        w.answer(id, Verdict::started);
        w.receipt(id, ReceiptStep::sent);
        w.receipt(id, ReceiptStep::acked);
        CHECK(path(w.at(id)) == std::vector{State::queued, State::running});
    }
    SECTION("after silence: it may have happened still") {
        w.advance(10s);
        w.receipt(id, ReceiptStep::sent);
        w.receipt(id, ReceiptStep::acked);
        CHECK(w.state(id) == State::unknown);
    }
    SECTION("after the answer") {
        w.answer(id, Verdict::ok);
        w.receipt(id, ReceiptStep::acked);
        w.store();
        w.receipt(id, ReceiptStep::dropped, "offline");
        CHECK(w.state(id) == State::succeeded);
        CHECK(w.tracker.counters().receipts_unknown == 2);
    }
}

TEST_CASE("receipts: the time of each step is the broker's, where it can be",
          "[bridge][receipts]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    auto accepted_us = w.clock.now.wall.time_since_epoch().count() * 1000;
    Receipt receipt;
    receipt.id = id;
    receipt.client = "b42";
    w.clock.advance(500ms);  // on its way to us
    SECTION("the way of the receipt does not count") {
        receipt.at_us = accepted_us + 2'900;
        w.receive(receipt);
        receipt.step = ReceiptStep::acked;
        receipt.at_us += 182'000;
        w.receive(receipt);
        CHECK(w.at(id).timeline[1].t == 2ms);
        CHECK(w.at(id).timeline[2].t == 184ms);
    }
    SECTION("a clock that is ahead, or behind, is not believed") {
        auto skew = GENERATE(-3'600'000'000LL, 3'600'000'000LL);
        receipt.at_us = accepted_us + skew;
        w.receive(receipt);
        CHECK(w.at(id).timeline[1].t == (skew < 0 ? 0ms : 500ms));
        receipt.step = ReceiptStep::acked;
        receipt.at_us += 20'000;  // but the time between two of its steps is
        w.clock.advance(100ms);
        w.receive(receipt);
        CHECK(w.at(id).timeline[2].t - w.at(id).timeline[1].t == 20ms);
    }
}

TEST_CASE("receipts: expired in the broker is expired, unless it may have arrived",
          "[bridge][receipts][row-2][row-3]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.handover(id, Handover::taken);
    SECTION("never written to a socket") {
        w.receipt(id, ReceiptStep::expired);
        w.store();
        CHECK(w.state(id) == State::expired);
        CHECK(w.at(id).why == "expired_in_broker");
    }
    SECTION("it was written before: the receipt for that has been lost") {
        Receipt receipt;
        receipt.id = id;
        receipt.client = "b42";
        receipt.step = GENERATE(ReceiptStep::expired, ReceiptStep::dropped);
        receipt.was_sent_before = true;
        w.receive(receipt);
        w.advance(10s);
        CHECK(w.state(id) == State::unknown);
    }
    SECTION("it was written before") {
        w.receipt(id, ReceiptStep::sent);
        w.receipt(id, GENERATE(ReceiptStep::expired, ReceiptStep::dropped), "session_ended");
        w.advance(10s);
        CHECK(w.state(id) == State::unknown);
    }
    SECTION("told when it was thought unknown") {
        w.advance(10s);
        REQUIRE(w.state(id) == State::unknown);
        w.receipt(id, ReceiptStep::expired);
        w.store();
        CHECK(w.state(id) == State::failed);
        CHECK(w.at(id).why == "not_executed");
        CHECK(w.at(id).late);
    }
}

TEST_CASE("receipts: what the broker dropped waits, or ends and says why",
          "[bridge][receipts][row-8]") {
    TrackerWorld w;
    w.birth();
    SECTION("for now or never") {
        auto id = w.sent();
        w.receipt(id, ReceiptStep::dropped, "queue_full");
        w.store();
        CHECK(w.state(id) == State::expired);
        CHECK(w.at(id).why == "dropped: queue_full");
    }
    SECTION("one that may wait is tried again, not at once") {
        auto id = w.sent(waiting_unlock());
        w.receipt(id, ReceiptStep::dropped, "queue_full");
        w.receipt(id, ReceiptStep::dropped, "queue_full");  // twice
        w.store();
        CHECK(w.state(id) == State::queued);
        CHECK_FALSE(w.tracker.is_handed_over(id));
        CHECK(w.sends.size() == 1);
        w.advance(1s);
        w.store();
        CHECK(w.sends.size() == 2);
        w.receipt(id, ReceiptStep::dropped, "queue_full", 1);  // of the first copy
        CHECK(w.tracker.is_handed_over(id));
        w.receipt(id, ReceiptStep::sent);
        CHECK(w.state(id) == State::sent);
    }
    SECTION("after its deadline there is nothing to wait for") {
        auto id = w.sent(waiting_unlock());
        w.clock.advance(9s);
        w.receipt(id, ReceiptStep::dropped, "offline");
        w.store();
        CHECK(w.state(id) == State::expired);
    }
}

TEST_CASE("receipts: a PUBACK with an error is a refusal", "[bridge][receipts]") {
    TrackerWorld w;
    w.birth();
    Receipt receipt;
    receipt.client = "b42";
    receipt.step = ReceiptStep::refused;
    receipt.reason = 0x97;
    SECTION("of the only copy") {
        receipt.id = w.sent();
        w.receive(receipt);
        w.store();
        CHECK(w.state(receipt.id) == State::rejected);
        CHECK(w.at(receipt.id).why == "puback 0x97");
    }
    SECTION("of the second copy: the first may be under way") {
        receipt.id = w.sent(config_order());
        w.birth();
        w.store();
        REQUIRE(w.sends.size() == 2);
        w.receive(receipt);
        w.store();
        CHECK(w.state(receipt.id) == State::queued);
        w.answer(receipt.id, Verdict::ok);
        w.store();
        CHECK(w.state(receipt.id) == State::succeeded);
    }
    SECTION("of an order that the device has begun") {
        receipt.id = w.sent();
        w.answer(receipt.id, Verdict::started);
        w.receive(receipt);
        CHECK(w.state(receipt.id) == State::running);
    }
}

TEST_CASE("receipts: of several copies each must be nowhere", "[bridge][receipts]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent(config_order());
    w.birth();
    w.store();
    REQUIRE(w.sends.size() == 2);
    w.receipt(id, ReceiptStep::dropped, "offline", 1);
    w.receipt(id, ReceiptStep::dropped, "offline", 1);
    CHECK(w.tracker.is_handed_over(id));
    w.receipt(id, ReceiptStep::dropped, "offline", 2);
    CHECK_FALSE(w.tracker.is_handed_over(id));
    for (int i = 0; i < 70; ++i) {  // more than one bit for each
        w.birth();
        w.store();
    }
    CHECK(w.sends.size() == 72);
    for (std::uint32_t copy = 3; copy <= 72; ++copy) {
        w.receipt(id, ReceiptStep::dropped, "offline", copy);
    }
    CHECK(w.tracker.is_handed_over(id));  // so many are not kept apart: it may have arrived
    w.advance(62s);
    CHECK(w.state(id) == State::unknown);
}

TEST_CASE("receipts: of others than the device, and of no copy", "[bridge][receipts]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    Receipt receipt;
    receipt.id = id;
    receipt.client = "logger";
    receipt.step = GENERATE(ReceiptStep::acked, ReceiptStep::dropped);
    w.receive(receipt);
    CHECK(w.tracker.counters().receipts_foreign == 1);
    w.receipt(id, ReceiptStep::acked, "", 2);
    w.receipt(CommandId{}, ReceiptStep::acked, "", 1);
    CHECK(w.tracker.counters().receipts_unknown == 2);
    CHECK(w.state(id) == State::queued);
    CHECK(w.tracker.is_handed_over(id));
}

TEST_CASE("receipts: a PUBACK that does not come makes the device quiet",
          "[bridge][receipts][presence][row-8]") {
    TrackerWorld w;
    w.birth();
    auto id = w.sent();
    w.receipt(id, ReceiptStep::sent);
    w.store();
    CHECK(w.pending.empty());  // an answer mostly follows; the arrows wait for it
    SECTION("not in time") {
        w.advance(2s - 1ms);
        CHECK(presence(w) == Presence::online);
        w.advance(1ms);
        CHECK(presence(w) == Presence::quiet);
        REQUIRE(w.pending.size() == 1);
        CHECK(w.pending[0].state == State::sent);
    }
    SECTION("in time") {
        w.receipt(id, ReceiptStep::acked);
        w.advance(2s);
        CHECK(presence(w) == Presence::online);
        REQUIRE(w.pending.size() == 1);
        CHECK(w.pending[0].state == State::delivered);
    }
}

}  // namespace spoke::bridge::test
