#include <algorithm>
#include <utility>
#include <variant>

#include "device-sim/device/lock.hpp"

// The part of a lock which decides about orders and carries them out.

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr SteadyTime kNever = SteadyTime::max();
constexpr Millis kAnnouncedFrom{1000};  // an act that takes longer is answered `started` first
constexpr double kMotorDrainPercent = 0.02;
constexpr double kMotorPercentMin = 3;

/// Each does one thing at a time.
enum class Actuator : std::uint8_t { none, motor, buzzer, flash };

Actuator actuator_of(Act const& act) noexcept {
    if (std::holds_alternative<Unlock>(act) || std::holds_alternative<CloseLock>(act)) {
        return Actuator::motor;
    }
    if (std::holds_alternative<Update>(act)) return Actuator::flash;
    return std::holds_alternative<Ring>(act) ? Actuator::buzzer : Actuator::none;
}

Detail detail_of(Act const& act) noexcept {
    if (std::holds_alternative<Locate>(act)) return Detail::position;
    if (std::holds_alternative<Alarm>(act)) return Detail::alarm;
    if (std::holds_alternative<Settings>(act)) return Detail::settings;
    if (std::holds_alternative<ReadState>(act)) return Detail::whole_state;
    if (std::holds_alternative<Grant>(act)) return Detail::key;
    return Detail::none;
}

OrderHead& head_of(ParsedOrder& parsed) {
    auto* bad = std::get_if<BadOrder>(&parsed);
    return bad != nullptr ? bad->head : std::get<Order>(parsed).head;
}

}  // namespace

void Lock::on_order(Bytes payload, std::string_view trace, Now now, LockSink& sink) {
    if (dice_.chance(model_.mute_share)) return sink.ignored();
    auto parsed = parse_order(payload);
    if (std::holds_alternative<Unreadable>(parsed)) return sink.ignored();
    auto& head = head_of(parsed);
    if (head.trace.empty()) head.trace = trace;
    if (answer_known(head, parsed, now, sink)) return;
    if (model_.flaws.no_journal) journal_.forget(head.id);
    refuse_or_carry_out(std::move(parsed), now, sink);
}

bool Lock::answer_known(OrderHead const& head, ParsedOrder const& parsed, Now now, LockSink& sink) {
    auto const* known = model_.flaws.no_journal ? nullptr : journal_.find(head.id);
    if (known == nullptr) return false;
    auto const* order = std::get_if<Order>(&parsed);
    auto detail = Detail::none;
    if (order != nullptr && known->result == kDone) detail = detail_of(order->act);
    answer({*known, head.trace, detail}, now, sink);
    return true;
}

void Lock::refuse_or_carry_out(ParsedOrder parsed, Now now, LockSink& sink) {
    if (auto* bad = std::get_if<BadOrder>(&parsed)) {
        return refuse(std::move(bad->head), bad->why, now, sink);
    }
    auto& order = std::get<Order>(parsed);
    if (auto why = objection(order, now)) return refuse(std::move(order.head), *why, now, sink);
    if (auto const* wanted = std::get_if<Cancel>(&order.act)) {
        return cancel(std::move(order.head), *wanted, now, sink);
    }
    carry_out(std::move(order), now, sink);
}

std::optional<Why> Lock::objection(Order const& order, Now now) const {
    if (!model_.flaws.ignores_deadline && is_late(order, now)) return Why::late;
    if (!model_.flaws.no_journal && is_replay(order)) return Why::replay;
    if (!holds(order.condition, lane_of(order.act))) return Why::precondition;
    if (is_busy(order.act)) return Why::busy;
    return std::nullopt;
}

bool Lock::is_late(Order const& order, Now now) const {
    if (order.boot && *order.boot != identity_.boot) return true;
    if (order.expires_at_up && uptime(now).count() > *order.expires_at_up) return true;
    if (order.expires_at && has_clock() && wall_ms(now) > *order.expires_at) return true;
    // An uptime says something only together with the boot it was counted from.
    bool judged = (order.expires_at_up && order.boot) || (order.expires_at && has_clock());
    if (judged) return false;
    // Nothing here can tell how old the order is, but it is no older than this connection.
    return !order.ttl || now.steady - connected_at_ > *order.ttl;
}

bool Lock::is_replay(Order const& order) const {
    auto lane = lane_of(order.act);
    return lane != Lane::none && order.head.n <= last_n_[index_of(lane)];
}

bool Lock::holds(Condition const& condition, Lane lane) const {
    if (condition.lock && *condition.lock != lock_) return false;
    if (condition.last_n && lane != Lane::none && *condition.last_n != last_n_[index_of(lane)]) {
        return false;
    }
    return !condition.speed_max || *condition.speed_max >= speed();
}

bool Lock::is_busy(Act const& act) const {
    auto wanted = actuator_of(act);
    return wanted != Actuator::none &&
           std::any_of(running_.begin(), running_.end(),
                       [&](Running const& running) { return actuator_of(running.act) == wanted; });
}

void Lock::refuse(OrderHead head, Why why, Now now, LockSink& sink) {
    Journal::Entry entry{std::move(head.id), head.n, refused(why), Millis{0}};
    sink.settled(entry.result);
    LockFact fact;
    fact.kind = LockFact::Kind::refused;
    fact.order = entry.id;
    fact.n = entry.n;
    fact.result = entry.result;
    fact.lock = lock_;
    sink.happened(fact);
    answer({entry, head.trace}, now, sink);
    // A replay may be an order that was carried out and whose receipt has left the ring: a receipt
    // "refused" would then be a lie.
    if (why == Why::replay || model_.flaws.no_journal) return;
    journal_.write(std::move(entry));
    publish_state(now, sink);
}

void Lock::cancel(OrderHead head, Cancel const& wanted, Now now, LockSink& sink) {
    auto result = kDone;
    if (journal_.find(wanted.id) != nullptr) {
        result = refused(Why::not_allowed);
    } else {
        // Should the order still come, it finds its receipt here and is not carried out.
        journal_.write({wanted.id, 0, kCancelled, Millis{0}});
        LockFact fact;
        fact.kind = LockFact::Kind::refused;
        fact.order = wanted.id;
        fact.result = kCancelled;
        fact.lock = lock_;
        sink.happened(fact);
    }
    answer({*journal_.find(wanted.id), {}}, now, sink);
    Journal::Entry entry{std::move(head.id), head.n, result, Millis{0}};
    sink.settled(result);
    answer({entry, head.trace}, now, sink);
    journal_.write(std::move(entry));
    publish_state(now, sink);
}

void Lock::carry_out(Order order, Now now, LockSink& sink) {
    journal_.write({order.head.id, order.head.n, kStarted, Millis{0}});
    auto& last_n = last_n_[index_of(lane_of(order.act))];
    last_n = std::max(last_n, order.head.n);
    auto mishap = std::exchange(mishap_, {});
    Running running{std::move(order.head), std::move(order.act), now.steady, now.steady};
    auto began = fact_of(LockFact::Kind::began, running);
    began.expires_at = order.expires_at;
    sink.happened(began);
    if (mishap.crash || dice_.chance(model_.crash_share)) {
        running_.push_back(std::move(running));
        return power_cycle(now, sink);
    }
    begin(running, mishap);
    if (running.ends == now.steady) return complete(std::move(running), now, sink);
    if (running.ends - now.steady > kAnnouncedFrom) {
        answer({*journal_.find(running.head.id), running.head.trace}, now, sink);
    }
    bool moves = actuator_of(running.act) == Actuator::motor;
    running_.push_back(std::move(running));
    if (moves) publish_state(now, sink);
}

void Lock::begin(Running& running, Mishap mishap) {
    auto now = running.began;
    if (auto const* ring = std::get_if<Ring>(&running.act)) {
        running.ends = now + ring->times * model_.ring;
    } else if (std::holds_alternative<Update>(running.act)) {
        running.ends = now + model_.update;
    } else if (auto const* reboot = std::get_if<Reboot>(&running.act)) {
        // Time for the answer to leave before the power goes.
        reboot_at_ = now + std::max(std::chrono::seconds{1}, reboot->after);
    } else if (auto const* sleep = std::get_if<Sleep>(&running.act)) {
        sleep_at_ = now + std::max(std::chrono::seconds{1}, sleep->after);
        sleep_length_ = sleep->length;
    } else if (actuator_of(running.act) == Actuator::motor) {
        begin_motor(running, mishap);
    }
}

void Lock::begin_motor(Running& running, Mishap mishap) {
    bool opens = std::holds_alternative<Unlock>(running.act);
    bool there = lock_ == (opens ? LockState::unlocked : LockState::locked);
    if (there || battery_percent_ < kMotorPercentMin) return;
    lock_ = opens ? LockState::unlocking : LockState::locking;
    battery_percent_ -= kMotorDrainPercent;
    auto takes = mishap.slow_motor ? dice_.between(model_.slow_motor_min, model_.slow_motor_max)
                                   : dice_.between(model_.motor_min, model_.motor_max);
    if (mishap.jam || dice_.chance(model_.jam_share)) {
        running.trouble = opens ? Why::jam : Why::obstructed;
    } else if (takes > model_.motor_limit) {
        running.trouble = Why::timeout_motor;
    }
    running.ends = running.began + std::min(takes, model_.motor_limit);
}

Result Lock::finish(Running const& done, Now now, LockSink& sink) {
    if (std::holds_alternative<Unlock>(done.act)) return finish_unlock(done, now, sink);
    if (std::holds_alternative<CloseLock>(done.act)) return finish_lock(done, now, sink);
    if (auto const* alarm = std::get_if<Alarm>(&done.act)) alarm_ = alarm->arm;
    if (auto const* settings = std::get_if<Settings>(&done.act)) apply(*settings, now);
    if (auto const* locate = std::get_if<Locate>(&done.act); locate != nullptr && locate->track) {
        track_ = *locate->track;
        track_at_ = track_ > Millis{0} && is_riding() ? now.steady + track_ : kNever;
    }
    if (std::holds_alternative<Update>(done.act)) {
        ++updates_;
        reboot_at_ = now.steady + std::chrono::seconds{1};
    }
    return kDone;
}

Result Lock::finish_unlock(Running const& done, Now now, LockSink& sink) {
    bool moved = lock_ == LockState::unlocking;
    if (moved && done.trouble != Why::none) {
        // A motor that was too slow is wound back.
        lock_ = done.trouble == Why::jam ? LockState::jammed : LockState::locked;
        return failed(done.trouble);
    }
    if (moved) lock_ = LockState::unlocked;
    if (lock_ != LockState::unlocked) return failed(Why::low_batt);
    ride_ = std::get<Unlock>(done.act).ride;
    if (moved) {
        begin_riding(now);
        if (model_.ride_max > Millis{0}) {
            hand_close_at_ = now.steady + dice_.between(model_.ride_min, model_.ride_max);
        }
    }
    tell(LockFact::Kind::opened, done, sink, kDone, moved);
    return kDone;
}

Result Lock::finish_lock(Running const& done, Now now, LockSink& sink) {
    bool moved = lock_ == LockState::locking;
    if (moved && done.trouble != Why::none) {
        lock_ = done.trouble == Why::obstructed ? LockState::jammed : LockState::unlocked;
        return failed(done.trouble);
    }
    if (moved) {
        lock_ = LockState::unlocked;  // until here it was, and its ride went on
        stop_riding(now, sink);
        lock_ = LockState::locked;
    }
    if (lock_ != LockState::locked) return failed(Why::low_batt);
    ride_.clear();
    hand_close_at_ = kNever;
    tell(LockFact::Kind::closed, done, sink, kDone, moved);
    return kDone;
}

void Lock::complete(Running done, Now now, LockSink& sink) {
    auto result = finish(done, now, sink);
    auto took = std::chrono::duration_cast<Millis>(now.steady - done.began);
    journal_.settle(done.head.id, result, took);
    sink.settled(result);
    tell(LockFact::Kind::ended, done, sink, result);
    auto detail = result == kDone ? detail_of(done.act) : Detail::none;
    answer({*journal_.find(done.head.id), done.head.trace, detail}, now, sink);
    publish_state(now, sink);
    report_low_battery(now, sink);
}

}  // namespace spoke::sim
