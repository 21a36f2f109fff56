#include "broker/storage/pending_changes.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <span>
#include <utility>
#include <vector>

using namespace spoke;
using namespace spoke::broker;
using namespace std::chrono_literals;

namespace {

constexpr SteadyTime kStart{1h};
constexpr PendingChanges::Delays kDelays{.linger = 10ms, .idle = 100ms};

MessagePtr some_message() {
    return Message::make({.topic = "a/b", .qos = mqtt::Qos::at_least_once});
}

/// What a shard says in one turn.
class Turn {
public:
    explicit Turn(std::uint64_t ticket, SteadyTime at = kStart) {
        batch_->ticket = StoreTicket{ticket};
        batch_->sequence = ticket;
        batch_->submitted_at = at;
        batch_->urgency = Urgency::lingering;
    }
    /// A message for the deliveries of these numbers.
    Turn& puts(std::vector<std::uint64_t> const& numbers) {
        auto& change = add(ChangeKind::put_message);
        change.count = static_cast<std::uint32_t>(numbers.size());
        batch_->awaited += change.count;
        batch_->messages.push_back(some_message());
        for (auto number : numbers) add_delivery(number, mqtt::Qos::at_least_once);
        return *this;
    }
    Turn& sends(std::uint64_t number, mqtt::Qos qos = mqtt::Qos::at_least_once) {
        add(ChangeKind::put_progress);
        if (qos == mqtt::Qos::exactly_once) ++batch_->awaited;
        batch_->progress.emplace_back();
        add_delivery(number, qos);
        return *this;
    }
    Turn& removes(std::uint64_t number, Removal why = Removal::done) {
        auto& change = add(ChangeKind::remove_delivery);
        change.number = DeliveryNumber{number};
        change.why = why;
        if (why == Removal::moved) ++batch_->awaited;
        return *this;
    }
    Turn& puts_retained() {
        add(ChangeKind::put_retained);
        ++batch_->awaited;
        batch_->urgency = Urgency::urgent;
        return *this;
    }
    ChangeBatch const& into(PendingChanges& pending) {
        auto& batch = *batch_;
        pending.add(std::move(batch_));
        return batch;
    }

private:
    Change& add(ChangeKind kind) {
        ++batch_->effects;
        auto& change = batch_->changes.emplace_back();
        change.kind = kind;
        return change;
    }
    void add_delivery(std::uint64_t number, mqtt::Qos qos) {
        StoredDelivery delivery;
        delivery.as.number = DeliveryNumber{number};
        delivery.qos = qos;
        batch_->deliveries.push_back(std::move(delivery));
    }

    std::unique_ptr<ChangeBatch> batch_ = std::make_unique<ChangeBatch>();
};

std::uint64_t passed(PendingChanges& pending, std::uint64_t durable = 0) {
    return pending.pass(StoreTicket{durable}).value;
}

}  // namespace

TEST_CASE("pending changes: a delivery done with before it was taken is not written", "[store]") {
    PendingChanges pending;
    auto const& first = Turn{1}.puts({7}).sends(7).into(pending);
    CHECK(passed(pending) == 0);
    CHECK(pending.bytes() > 0);
    auto const& second = Turn{2}.removes(7).into(pending);
    CHECK(first.effects == 0);
    CHECK(first.messages.front() == nullptr);
    CHECK(second.effects == 0);
    CHECK(pending.bytes() == 0);
    CHECK(pending.cancelled() == 1);
    CHECK(passed(pending) == 2);
    CHECK(pending.due(kDelays, kStart).urgency == Urgency::nothing);
}

TEST_CASE("pending changes: put, sent and done with in one turn", "[store]") {
    PendingChanges pending;
    auto const& turn = Turn{1}.puts({7}).sends(7).sends(7).removes(7).into(pending);
    CHECK(turn.effects == 0);
    CHECK(passed(pending) == 1);
}

TEST_CASE("pending changes: a shared message goes with its last delivery", "[store]") {
    PendingChanges pending;
    auto const& turn = Turn{1}.puts({7, 8, 9}).into(pending);
    Turn{2}.removes(9).removes(7).into(pending);
    CHECK(turn.messages.front() != nullptr);
    CHECK(turn.deliveries[0].as.number.value == 0);
    CHECK(turn.deliveries[1].as.number.value == 8);
    CHECK(passed(pending) == 0);
    Turn{3}.removes(8).into(pending);
    CHECK(turn.messages.front() == nullptr);
    CHECK(passed(pending) == 3);
}

TEST_CASE("pending changes: turns become durable in order, up to one that somebody waits for",
          "[store]") {
    PendingChanges pending;
    Turn{1}.puts({1}).into(pending);
    Turn{2}.puts({2}).into(pending);
    Turn{3}.puts({3}).into(pending);
    Turn{4}.removes(3).removes(1).into(pending);
    CHECK(passed(pending) == 1);
    Turn{5}.removes(2).into(pending);
    CHECK(passed(pending, 1) == 5);
}

TEST_CASE("pending changes: what the committer has taken must be durable first", "[store]") {
    PendingChanges pending;
    Turn{1}.puts({1}).into(pending);
    std::vector<std::unique_ptr<ChangeBatch>> taken;
    pending.take(1, taken);
    Turn{2}.puts({2}).into(pending);
    auto const& third = Turn{3}.removes(2).removes(1).into(pending);
    CHECK(taken.size() == 1);
    CHECK(taken.front()->effects == 1);  // too late to cancel
    CHECK(third.effects == 1);           // so this removal must be written
    CHECK(passed(pending) == 0);
    CHECK(passed(pending, 1) == 3);
    CHECK(pending.due(kDelays, kStart).urgency == Urgency::idle);
}

TEST_CASE("pending changes: what is written late takes nothing back", "[store]") {
    PendingChanges pending;
    Turn{1}.removes(100).into(pending);
    Turn{2}.puts({1}).removes(1).into(pending);
    CHECK(passed(pending) == 2);
    std::vector<std::unique_ptr<ChangeBatch>> taken;
    pending.take(1, taken);
    CHECK(pending.take_passed() != nullptr);
    CHECK(passed(pending, 1) == 2);
    Turn{3}.puts({2}).into(pending);
    Turn{4}.removes(2).into(pending);
    CHECK(passed(pending, 1) == 4);
}

TEST_CASE("pending changes: one that was moved is cancelled by nothing but the write", "[store]") {
    PendingChanges pending;
    auto const& first = Turn{1}.puts({1}).into(pending);
    Turn{2}.puts({2}).removes(1, Removal::moved).into(pending);
    CHECK(first.effects == 1);
    CHECK(passed(pending) == 0);
    Turn{3}.removes(2).into(pending);
    CHECK(passed(pending) == 0);
}

TEST_CASE("pending changes: progress at QoS 2 is awaited by itself", "[store]") {
    PendingChanges pending;
    auto const& turn = Turn{1}.puts({1}).sends(1, mqtt::Qos::exactly_once).into(pending);
    Turn{2}.removes(1).into(pending);
    CHECK(turn.awaited == 1);
    CHECK(passed(pending) == 0);
}

TEST_CASE("pending changes: numbers with gaps, and what is not there", "[store]") {
    PendingChanges pending;
    auto const& turn = Turn{1}.puts({10}).puts({11}).puts({15}).puts({40}).into(pending);
    Turn{2}.removes(9).removes(12).removes(41).removes(15).removes(15).into(pending);
    CHECK(turn.awaited == 3);
    CHECK(turn.deliveries[2].as.number.value == 0);
    Turn{3}.removes(40).removes(10).removes(11).into(pending);
    CHECK(turn.effects == 0);
    CHECK(pending.cancelled() == 4);
}

TEST_CASE("pending changes: a number out of order is written", "[store]") {
    PendingChanges pending;
    auto const& turn = Turn{1}.puts({10}).puts({4}).into(pending);
    Turn{2}.removes(4).removes(10).into(pending);
    CHECK(turn.awaited == 1);
    CHECK(turn.deliveries[1].as.number.value == 4);
}

TEST_CASE("pending changes: what was put twice is written, and its end too", "[store]") {
    PendingChanges pending;
    auto is_apart = GENERATE(false, true);
    Turn first{1};
    first.puts({1});
    if (is_apart) {
        first.into(pending);
        Turn{2}.puts({1}).into(pending);
    } else {
        first.puts({1}).into(pending);
    }
    auto const& last = Turn{3}.removes(1).into(pending);
    CHECK(last.effects == 1);
    CHECK(pending.cancelled() == 0);
}

TEST_CASE("pending changes: a turn of which nothing is left is there to be filled again",
          "[store]") {
    PendingChanges pending;
    auto const* first = &Turn{1}.puts({1}).into(pending);
    Turn{2}.puts({2}).removes(1).into(pending);
    CHECK(pending.take_passed() == nullptr);  // nobody knows yet that it is durable
    CHECK(passed(pending) == 1);
    CHECK(pending.take_passed().get() == first);
    CHECK(pending.take_passed() == nullptr);
    Turn{3}.removes(2).into(pending);
    CHECK(passed(pending, 1) == 3);
    CHECK(pending.take_passed() != nullptr);
    CHECK(pending.take_passed() != nullptr);
    CHECK(pending.empty());
}

TEST_CASE("pending changes: taken up to a submit, in order", "[store]") {
    PendingChanges pending;
    Turn{1}.puts({1}).into(pending);
    Turn{2}.puts({2}).into(pending);
    Turn{3}.puts({3}).into(pending);
    std::vector<std::unique_ptr<ChangeBatch>> taken;
    pending.take(2, taken);
    REQUIRE(taken.size() == 2);
    CHECK(taken[0]->sequence == 1);
    CHECK(taken[1]->sequence == 2);
    CHECK(pending.bytes() == some_message()->footprint());
    auto const& last = Turn{4}.removes(3).removes(2).into(pending);
    CHECK(last.effects == 1);
    CHECK(passed(pending, 2) == 4);
}

TEST_CASE("pending changes: when something must be written", "[store]") {
    PendingChanges pending;
    CHECK(pending.due(kDelays, kStart).urgency == Urgency::nothing);
    Turn{1, kStart}.removes(1).into(pending);
    auto idle = pending.due(kDelays, kStart);
    CHECK(idle.urgency == Urgency::idle);
    CHECK(idle.at == kStart + kDelays.idle);
    Turn{2, kStart + 1ms}.puts({2}).sends(2).into(pending);
    auto lingering = pending.due(kDelays, kStart);
    CHECK(lingering.urgency == Urgency::lingering);
    CHECK(lingering.at == kStart + 1ms + kDelays.linger);
    Turn{3, kStart + 2ms}.puts_retained().into(pending);
    auto urgent = pending.due(kDelays, kStart + 2ms);
    CHECK(urgent.urgency == Urgency::urgent);
    CHECK(urgent.at <= kStart + 2ms);
    CHECK(urgent.sequence == 3);
}

TEST_CASE("pending changes: what came a moment ago is not written with what has waited",
          "[store]") {
    PendingChanges pending;
    Turn{1, kStart}.puts({1}).into(pending);
    Turn{2, kStart + 4ms}.puts({2}).into(pending);
    Turn{3, kStart + 6ms}.puts({3}).into(pending);
    CHECK(pending.due(kDelays, kStart).sequence == 0);
    CHECK(pending.due(kDelays, kStart + 10ms).sequence == 2);
}
