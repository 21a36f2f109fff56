#include "device-sim/device/lock.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace spoke::sim {
namespace {

using Millis = std::chrono::milliseconds;

constexpr SteadyTime kNever = SteadyTime::max();
constexpr std::size_t kEventsMax = 8;
constexpr std::size_t kPointsPerMessage = 4;
constexpr double kServicePercent = 15;
constexpr unsigned kRidingKmh = 12;
constexpr double kDegreesPerSecond = 3e-5;  // at that speed

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
      booted_at_(now.steady) {
    if (identity_.battery_percent) battery_percent_ = *identity_.battery_percent;
}

void Lock::on_connected(Now now, LockSink& sink) {
    connected_ = true;
    connected_at_ = now.steady;
    // The first heartbeat comes anywhere within the interval, or a fleet that was connected in one
    // second would beat in one second for ever.
    heartbeat_at_ = now.steady + dice_.between(Millis{1}, Millis{heartbeat_});
    Nameplate plate{model_.hardware, identity_.seed, identity_.protocol_level};
    sink.publish(Channel::presence, birth_payload(snapshot(now), plate), {});
    publish_state(now, sink);
    for (auto const& event : events_) sink.publish(Channel::event, event, {});
}

void Lock::on_disconnected() noexcept {
    connected_ = false;
    heartbeat_at_ = kNever;
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
    if (reboot_at_ <= now.steady) return power_cycle(now, sink);
    if (wake_at_ <= now.steady) wake_up(sink);
    finish_due_acts(now, sink);
    if (sleep_at_ <= now.steady) fall_asleep(now, sink);
    if (hand_close_at_ <= now.steady) close_by_hand(now, sink);
    if (track_at_ <= now.steady) add_track_point(now, sink);
    if (heartbeat_at_ <= now.steady) {
        heartbeat_at_ = now.steady + heartbeat_;
        publish_state(now, sink);
    }
}

SteadyTime Lock::deadline() const noexcept {
    auto next =
        std::min({heartbeat_at_, reboot_at_, hand_close_at_, sleep_at_, wake_at_, track_at_});
    for (auto const& running : running_) next = std::min(next, running.ends);
    return next;
}

void Lock::close_by_hand(Now now, LockSink& sink) {
    hand_close_at_ = kNever;
    if (lock_ != LockState::unlocked) return;
    stop_riding(now, sink);
    lock_ = LockState::locked;
    auto ride = std::exchange(ride_, {});
    LockFact fact;
    fact.kind = LockFact::Kind::closed;
    fact.moved = true;
    sink.happened(fact);
    publish_event(locked_by_hand_payload(snapshot(now), ride, since(opened_at_, now)), sink);
    publish_state(now, sink);
}

void Lock::power_cycle(Now now, LockSink& sink) {
    ++identity_.boot;
    booted_at_ = now.steady;
    on_disconnected();
    reboot_at_ = sleep_at_ = kNever;
    points_.clear();
    journal_.fail_running();
    // The bolt is where it was: it counts as moved only at the end of its way.
    if (lock_ == LockState::unlocking) lock_ = LockState::locked;
    if (lock_ == LockState::locking) lock_ = LockState::unlocked;
    for (auto const& running : std::exchange(running_, {})) {
        sink.settled(failed(Why::reboot));
        tell(LockFact::Kind::ended, running, sink, failed(Why::reboot));
    }
    sink.power_cycled();
    if (is_asleep()) wake_up(sink);
}

std::string Lock::will() const {
    return gone_payload(identity_.boot);
}

bool Lock::can_tell_of(std::string_view order, std::uint64_t n, Lane lane) const noexcept {
    if (journal_.find(order) != nullptr) return true;
    return lane != Lane::none && last_n_[index_of(lane)] < n;
}

void Lock::apply(Settings const& settings, Now now) {
    settings_version_ = settings.version.value_or(settings_version_ + 1);
    if (settings.track) track_ = *settings.track;
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

void Lock::fall_asleep(Now now, LockSink& sink) {
    sleep_at_ = kNever;
    wake_at_ = now.steady + sleep_length_;
    std::optional<std::int64_t> wake;
    if (has_clock()) wake = wall_ms(now) + Millis{sleep_length_}.count();
    on_disconnected();
    sink.fell_asleep(asleep_payload(identity_.boot, wake));
}

void Lock::wake_up(LockSink& sink) {
    wake_at_ = kNever;
    sink.woke_up();
}

// ---- riding ----

void Lock::begin_riding(Now now) {
    opened_at_ = now.steady;
    course_ = dice_.between(0, 6.28);
    if (track_ > Millis{0}) track_at_ = now.steady + track_;
}

void Lock::stop_riding(Now now, LockSink& sink) {
    track_at_ = kNever;
    if (!points_.empty()) publish_track(now, sink);
    auto end = place(now);
    latitude_ = end.latitude;
    longitude_ = end.longitude;
}

void Lock::add_track_point(Now now, LockSink& sink) {
    track_at_ = track_ > Millis{0} && is_riding() ? now.steady + track_ : kNever;
    if (!is_riding()) return;
    points_.push_back(place(now));
    if (points_.size() >= kPointsPerMessage) publish_track(now, sink);
}

void Lock::publish_track(Now now, LockSink& sink) {
    if (connected_) sink.publish(Channel::position, track_payload(snapshot(now), points_), {});
    points_.clear();
}

unsigned Lock::speed() const noexcept {
    return is_riding() ? kRidingKmh : 0;
}

TrackPoint Lock::place(Now now) const {
    double way = 0;
    if (is_riding()) {
        way = kDegreesPerSecond * static_cast<double>(since(opened_at_, now).count()) / 1000.0;
    }
    return {uptime(now), latitude_ + way * std::sin(course_), longitude_ + way * std::cos(course_)};
}

// ---- what goes out ----

void Lock::answer(AnswerText text, Now now, LockSink& sink) {
    if (!connected_) return;
    if (text.detail == Detail::key) text.key = key_for(text.entry.id);
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

void Lock::tell(LockFact::Kind kind, Running const& running, LockSink& sink, Result result,
                bool moved) const {
    auto fact = fact_of(kind, running);
    fact.moved = moved;
    fact.result = result;
    sink.happened(fact);
}

LockFact Lock::fact_of(LockFact::Kind kind, Running const& running) const {
    LockFact fact;
    fact.kind = kind;
    fact.order = running.head.id;
    fact.n = running.head.n;
    fact.lane = lane_of(running.act);
    fact.ride = ride_of(running.act);
    fact.opens = std::holds_alternative<Unlock>(running.act);
    fact.lock = lock_;
    return fact;
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
    shot.rat = identity_.rat;
    auto here = place(now);
    shot.latitude = here.latitude;
    shot.longitude = here.longitude;
    shot.speed = speed();
    shot.alarm = alarm_;
    shot.firmware = model_.firmware;
    shot.updates = updates_;
    shot.settings_version = settings_version_;
    if (!model_.flaws.no_journal) shot.journal = journal_.entries();
    return shot;
}

/// The same for a repetition of the order, and not to be guessed from another one.
std::uint64_t Lock::key_for(std::string_view order) const noexcept {
    auto mixed = identity_.seed;
    for (auto c : order) mixed = Dice{mixed ^ static_cast<unsigned char>(c)}.next();
    return mixed;
}

Millis Lock::uptime(Now now) const {
    return since(booted_at_, now);
}

std::int64_t Lock::wall_ms(Now now) const {
    return (now.wall.time_since_epoch() + identity_.clock_error).count();
}

}  // namespace spoke::sim
