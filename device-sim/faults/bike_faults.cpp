#include "device-sim/faults/bike_faults.hpp"

#include <algorithm>

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;

constexpr std::array kBlows{Fault::stall, Fault::cut, Fault::vanish, Fault::reboot,
                            Fault::clock_jump};

}  // namespace

BikeFaults::BikeFaults(FaultPlan const& plan, NetKind const& net, std::uint64_t seed)
    : plan_(plan), order_dice_(seed), way_dice_(seed + 1), blow_dice_(seed + 2) {
    Dice life{seed + 3};
    // One way is half of a round trip.
    if (net.median > 0ms) latency_ = Latency{net.median / 2, net.p99 / 2};
    no_clock_ = life.chance(plan.of(Fault::clock_none).share);
    if (life.chance(plan.of(Fault::clock_wrong).share)) clock_error_ = life.between(-1h, 1h);
    if (life.chance(plan.of(Fault::low_battery).share)) battery_ = life.between(2.95, 3.15);
    twin_ = life.chance(plan.of(Fault::twin).share);
    bool parks = life.chance(plan.of(Fault::garage).share) || net.garage;
    if (parks) garage_ = Periodic{60s, 10s, 40s};
    spell_ = garage_.next(blow_dice_, 0ms);
    for (std::size_t i = 0; i < kBlows.size(); ++i) {
        auto const& setting = plan.of(kBlows[i]);
        due_[i] = {kBlows[i], PerMinute{setting.share, setting.window}, {}};
        due_[i].at = due_[i].chance.next(blow_dice_, 0ms);
    }
}

bool BikeFaults::strikes(Fault fault, Elapsed now) {
    auto const& setting = plan_.of(fault);
    return PerOrder{setting.share, setting.window}.strikes(order_dice_, now) && !calm_;
}

OrderLot BikeFaults::draw_order(Elapsed now) {
    OrderLot lot;
    lot.crash = strikes(Fault::crash, now);
    lot.jam = strikes(Fault::jam, now);
    lot.slow_motor = strikes(Fault::slow_motor, now);
    if (strikes(Fault::duplicate, now)) lot.again_after = order_dice_.between(0ms, 12s);
    if (strikes(Fault::puback_lost, now)) {
        lot.cut_after = order_dice_.between(0ms, 2s);
    } else if (strikes(Fault::puback_late, now)) {
        lot.puback_after = order_dice_.between(1s, 3s);
    }
    return lot;
}

AnswerLot BikeFaults::draw_answer(Elapsed now) {
    AnswerLot lot;
    lot.lost = strikes(Fault::answer_lost, now);
    if (strikes(Fault::answer_late, now)) lot.after = order_dice_.between(3s, 20s);
    return lot;
}

std::optional<Elapsed> BikeFaults::next() const {
    if (calm_) return std::nullopt;
    std::optional<Elapsed> next;
    auto consider = [&](std::optional<Elapsed> at) {
        if (at && (!next || *at < *next)) next = at;
    };
    for (auto const& due : due_) consider(due.at);
    if (spell_) consider(spell_->at);
    return next;
}

std::optional<Blow> BikeFaults::next_blow(Elapsed now) {
    if (calm_) return std::nullopt;
    if (spell_ && spell_->at <= now) {
        Blow blow{Fault::garage, spell_->length};
        spell_ = garage_.next(blow_dice_, now + spell_->length);
        return blow;
    }
    for (auto& due : due_) {
        if (!due.at || *due.at > now) continue;
        auto blow = blow_of(due.fault);
        due.at = due.chance.next(blow_dice_, now);
        return blow;
    }
    return std::nullopt;
}

Blow BikeFaults::blow_of(Fault fault) {
    if (fault == Fault::stall) {
        // Most are short; one in ten lasts up to two minutes.
        auto length =
            blow_dice_.chance(0.1) ? blow_dice_.between(15s, 120s) : blow_dice_.between(1s, 15s);
        return {fault, length};
    }
    if (fault == Fault::clock_jump) return {fault, blow_dice_.between(-10min, 10min)};
    return {fault, 0ms};
}

void BikeFaults::calm() {
    calm_ = true;
}

}  // namespace spoke::sim
