#include "device-sim/device/lock.hpp"

#include <algorithm>
#include <utility>
#include <variant>

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr SteadyTime kNever = SteadyTime::max();
constexpr std::size_t kEventsMax = 8;
constexpr Millis kAnnouncedFrom{1000};  // an act that takes longer is answered `started` first
constexpr double kMotorDrainPercent = 0.02;
constexpr double kMotorPercentMin = 3;
constexpr double kServicePercent = 15;

enum class Actuator : std::uint8_t { none, motor, buzzer };

Actuator actuator_of(Act const& act) noexcept {
    if (std::holds_alternative<Unlock>(act) || std::holds_alternative<CloseLock>(act)) {
        return Actuator::motor;
    }
    return std::holds_alternative<Ring>(act) ? Actuator::buzzer : Actuator::none;
}

Detail detail_of(Act const& act) noexcept {
    if (std::holds_alternative<Locate>(act)) return Detail::position;
    if (std::holds_alternative<Alarm>(act)) return Detail::alarm;
    if (std::holds_alternative<Settings>(act)) return Detail::settings;
    if (std::holds_alternative<ReadState>(act)) return Detail::whole_state;
    return Detail::none;
}

Millis since(SteadyTime begin, Now now) {
    return std::chrono::duration_cast<Millis>(now.steady - begin);
}

}  // namespace

Lock::Lock(LockModel const& model, LockIdentity identity, Now now)
    : model_(model),
      identity_(std::move(identity)),
      dice_(identity_.seed),
      heartbeat_(model.heartbeat),
      battery_percent_(dice_.between(model.battery_percent_min, model.battery_percent_max)),
      latitude_(31.23041 + dice_.between(-0.05, 0.05)),
      longitude_(121.47370 + dice_.between(-0.05, 0.05)),
      rssi_(static_cast<int>(dice_.between(-110, -60))),
      booted_at_(now.steady) {}

void Lock::on_connected(Now now, LockSink& sink) {
    connected_ = true;
    connected_at_ = now.steady;
    // The first heartbeat comes anywhere within the interval, or a fleet that was connected in one
    // second would beat in one second for ever.
    heartbeat_at_ = now.steady + dice_.between(Millis{1}, Millis{heartbeat_});
    Nameplate plate{model_.firmware, model_.hardware, identity_.seed, identity_.protocol_level};
    sink.publish(Channel::presence, birth_payload(snapshot(now), plate), {});
    publish_state(now, sink);
    for (auto const& event : events_) sink.publish(Channel::event, event, {});
}

void Lock::on_disconnected() noexcept {
    connected_ = false;
    heartbeat_at_ = kNever;
}

void Lock::on_order(Bytes payload, std::string_view trace, Now now, LockSink& sink) {
    if (dice_.chance(model_.mute_share)) return sink.ignored();
    auto parsed = parse_order(payload);
    if (std::holds_alternative<Unreadable>(parsed)) return sink.ignored();

    auto* bad = std::get_if<BadOrder>(&parsed);
    auto& head = bad ? bad->head : std::get<Order>(parsed).head;
    if (head.trace.empty()) head.trace = trace;
    if (auto const* known = journal_.find(head.id)) {
        auto detail = Detail::none;
        if (!bad && known->result == kDone) detail = detail_of(std::get<Order>(parsed).act);
        return answer({*known, head.trace, detail}, now, sink);
    }
    if (bad) return refuse(std::move(head), bad->why, now, sink);
    auto& order = std::get<Order>(parsed);
    if (auto why = objection(order, now)) return refuse(std::move(head), *why, now, sink);
    if (auto const* wanted = std::get_if<Cancel>(&order.act)) {
        return cancel(std::move(head), *wanted, now, sink);
    }
    carry_out(std::move(order), now, sink);
}

void Lock::on_wanted_settings(Bytes payload, Now now, LockSink& sink) {
    auto settings = parse_wanted_settings(payload);
    if (!settings || *settings->version <= settings_version_) return;
    apply(*settings, now);
    publish_state(now, sink);
}

void Lock::on_time(Bytes payload, Now now) {
    if (auto time = parse_time(payload)) {
        identity_.clock_set = true;
        identity_.clock_error = Millis{*time} - now.wall.time_since_epoch();
    }
}

void Lock::on_event_acknowledged() {
    if (!events_.empty()) events_.erase(events_.begin());
}

void Lock::on_deadline(Now now, LockSink& sink) {
    if (reboot_at_ <= now.steady) {
        power_cycle(now);
        sink.power_cycled();
        return;
    }
    finish_due_acts(now, sink);
    if (hand_close_at_ <= now.steady) close_by_hand(now, sink);
    if (heartbeat_at_ <= now.steady) {
        heartbeat_at_ = now.steady + heartbeat_;
        publish_state(now, sink);
    }
}

SteadyTime Lock::deadline() const noexcept {
    auto next = std::min({heartbeat_at_, reboot_at_, hand_close_at_});
    for (auto const& running : running_) next = std::min(next, running.ends);
    return next;
}

void Lock::close_by_hand(Now now, LockSink& sink) {
    hand_close_at_ = kNever;
    if (lock_ != LockState::unlocked) return;
    lock_ = LockState::locked;
    auto ride = std::exchange(ride_, {});
    publish_event(locked_by_hand_payload(snapshot(now), ride, since(opened_at_, now)), sink);
    publish_state(now, sink);
}

void Lock::power_cycle(Now now) {
    ++identity_.boot;
    booted_at_ = now.steady;
    on_disconnected();
    reboot_at_ = kNever;
    running_.clear();
    journal_.fail_running();
    // The bolt is where it was: it counts as moved only at the end of its way.
    if (lock_ == LockState::unlocking) lock_ = LockState::locked;
    if (lock_ == LockState::locking) lock_ = LockState::unlocked;
}

std::string Lock::will() const {
    return gone_payload(identity_.boot);
}

std::optional<Why> Lock::objection(Order const& order, Now now) const {
    if (is_late(order, now)) return Why::late;
    if (is_replay(order)) return Why::replay;
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
    return true;  // `speed_max` always holds: no bike is moving
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
    answer({entry, head.trace}, now, sink);
    // A replay may be an order that was carried out and whose receipt has left the ring: a receipt
    // "refused" would then be a lie.
    if (why == Why::replay) return;
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
    last_n_[index_of(lane_of(order.act))] = order.head.n;
    if (dice_.chance(model_.crash_share)) {
        power_cycle(now);
        sink.settled(failed(Why::reboot));
        sink.power_cycled();
        return;
    }
    auto takes = begin(order.act, now);
    Running running{std::move(order.head), std::move(order.act), now.steady, now.steady + takes};
    if (takes == Millis{0}) return complete(std::move(running), now, sink);
    if (takes > kAnnouncedFrom) {
        answer({*journal_.find(running.head.id), running.head.trace}, now, sink);
    }
    bool moves = actuator_of(running.act) == Actuator::motor;
    running_.push_back(std::move(running));
    if (moves) publish_state(now, sink);
}

Millis Lock::begin(Act const& act, Now now) {
    if (auto const* ring = std::get_if<Ring>(&act)) return ring->times * model_.ring;
    if (auto const* reboot = std::get_if<Reboot>(&act)) {
        // Time for the answer to leave before the power goes.
        reboot_at_ = now.steady + std::max(std::chrono::seconds{1}, reboot->after);
        return Millis{0};
    }
    if (actuator_of(act) != Actuator::motor) return Millis{0};
    bool opens = std::holds_alternative<Unlock>(act);
    bool there = lock_ == (opens ? LockState::unlocked : LockState::locked);
    if (there || battery_percent_ < kMotorPercentMin) return Millis{0};
    lock_ = opens ? LockState::unlocking : LockState::locking;
    battery_percent_ -= kMotorDrainPercent;
    return dice_.between(model_.motor_min, model_.motor_max);
}

Result Lock::finish(Act const& act, Now now) {
    if (auto const* unlock = std::get_if<Unlock>(&act)) return finish_unlock(*unlock, now);
    if (std::holds_alternative<CloseLock>(act)) return finish_lock();
    if (auto const* alarm = std::get_if<Alarm>(&act)) alarm_ = alarm->arm;
    if (auto const* settings = std::get_if<Settings>(&act)) apply(*settings, now);
    return kDone;
}

Result Lock::finish_unlock(Unlock const& act, Now now) {
    if (lock_ == LockState::unlocking) {
        if (dice_.chance(model_.jam_share)) {
            lock_ = LockState::jammed;
            return failed(Why::jam);
        }
        lock_ = LockState::unlocked;
        opened_at_ = now.steady;
        if (model_.ride_max > Millis{0}) {
            hand_close_at_ = now.steady + dice_.between(model_.ride_min, model_.ride_max);
        }
    }
    if (lock_ != LockState::unlocked) return failed(Why::low_batt);
    ride_ = act.ride;
    return kDone;
}

Result Lock::finish_lock() {
    if (lock_ == LockState::locking) {
        if (dice_.chance(model_.jam_share)) {
            lock_ = LockState::jammed;
            return failed(Why::obstructed);
        }
        lock_ = LockState::locked;
    }
    if (lock_ != LockState::locked) return failed(Why::low_batt);
    ride_.clear();
    hand_close_at_ = kNever;
    return kDone;
}

void Lock::complete(Running done, Now now, LockSink& sink) {
    auto result = finish(done.act, now);
    journal_.settle(done.head.id, result, since(done.began, now));
    sink.settled(result);
    auto detail = result == kDone ? detail_of(done.act) : Detail::none;
    answer({*journal_.find(done.head.id), done.head.trace, detail}, now, sink);
    publish_state(now, sink);
    report_low_battery(now, sink);
}

void Lock::apply(Settings const& settings, Now now) {
    settings_version_ = settings.version.value_or(settings_version_ + 1);
    if (!settings.heartbeat) return;
    heartbeat_ = *settings.heartbeat;
    if (connected_) heartbeat_at_ = now.steady + dice_.between(Millis{1}, Millis{heartbeat_});
}

void Lock::finish_due_acts(Now now, LockSink& sink) {
    auto is_due = [&](Running const& running) { return running.ends <= now.steady; };
    for (auto due = std::find_if(running_.begin(), running_.end(), is_due); due != running_.end();
         due = std::find_if(running_.begin(), running_.end(), is_due)) {
        auto done = std::move(*due);
        running_.erase(due);
        complete(std::move(done), now, sink);
    }
}

void Lock::answer(AnswerText const& text, Now now, LockSink& sink) {
    if (!connected_) return;
    sink.publish(Channel::answer, answer_payload(text, snapshot(now)), text.trace);
}

void Lock::publish_state(Now now, LockSink& sink) {
    if (connected_) sink.publish(Channel::state, state_payload(snapshot(now)), {});
}

void Lock::publish_event(std::string payload, LockSink& sink) {
    if (events_.size() == kEventsMax) events_.erase(events_.begin());
    events_.push_back(std::move(payload));
    if (connected_) sink.publish(Channel::event, events_.back(), {});
}

void Lock::report_low_battery(Now now, LockSink& sink) {
    if (low_battery_reported_ || battery_percent_ >= kServicePercent) return;
    low_battery_reported_ = true;
    publish_event(battery_low_payload(snapshot(now)), sink);
}

Snapshot Lock::snapshot(Now now) const {
    Snapshot shot;
    if (has_clock()) shot.wall = wall_ms(now);
    shot.boot = identity_.boot;
    shot.up = uptime(now);
    shot.last_n = last_n_;
    shot.lock = lock_;
    shot.ride = ride_;
    shot.battery_percent = battery_percent_;
    shot.rssi = rssi_;
    shot.latitude = latitude_;
    shot.longitude = longitude_;
    shot.alarm = alarm_;
    shot.firmware = model_.firmware;
    shot.settings_version = settings_version_;
    shot.journal = journal_.entries();
    return shot;
}

Millis Lock::uptime(Now now) const {
    return since(booted_at_, now);
}

std::int64_t Lock::wall_ms(Now now) const {
    return (now.wall.time_since_epoch() + identity_.clock_error).count();
}

}  // namespace spoke::sim
