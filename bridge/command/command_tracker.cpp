#include "bridge/command/command_tracker.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::milliseconds;

bool is_denied(Device const& device, std::string_view verb) {
    if (!device.record) return false;
    return std::ranges::any_of(device.record->deny, [verb](std::string const& denied) {
        return denied == "*" || denied == verb;
    });
}

milliseconds since(SteadyTime begin, SteadyTime now) {
    return std::chrono::duration_cast<milliseconds>(now - begin);
}

}  // namespace

std::string_view name_of(Refusal refusal) noexcept {
    switch (refusal) {
        case Refusal::no_such_device:
            return "no_such_device";
        case Refusal::denied:
            return "denied";
        case Refusal::device_offline:
            return "device_offline";
        case Refusal::precondition:
            return "precondition";
        case Refusal::key_reused:
            return "key_reused";
        case Refusal::lane_busy:
            return "lane_busy";
        case Refusal::lane_full:
            return "lane_full";
        case Refusal::too_many_keys:
            return "too_many_keys";
        case Refusal::store_full:
            return "store_full";
        case Refusal::broker_down:
            return "broker_down";
    }
    return "invalid";
}

CommandTracker::CommandTracker(Limits limits, DeviceRegistry& devices,
                               std::function<std::uint64_t()> random)
    : limits_(limits), devices_(devices), random_(std::move(random)) {}

/// In the order of their acceptance, which the ids of one millisecond do not tell.
void CommandTracker::restore(std::vector<Command> commands, Now const& now, TrackerPort& out) {
    std::ranges::sort(commands, {}, &Command::n);
    for (auto& command : commands) restore_one(std::move(command), now, out);
}

/// The steady clock of the process before this one is gone; what is left of the order's time is
/// known by the wall clock alone.
void CommandTracker::restore_one(Command command, Now const& now, TrackerPort& out) {
    constexpr std::uint32_t kUnseenVersions = 16;  // may have been shown and not been stored
    auto deadline = now.steady + (command.deadline - now.wall);
    auto accepted = now.steady - std::max(now.wall - command.accepted_at, milliseconds{0});
    command.arrows_audited = command.timeline.size();
    command.version += kUnseenVersions;
    auto& entry = add(std::move(command), accepted, deadline);
    entry.stored = true;
    entry.leave_asked = entry.leave_stored = entry.arrived = entry.command.may_have_left;
    if (entry.arrived) entry.copies = 1;  // at least: what comes now is not the only one
    entry.again = may_repeat(entry) && now.steady < deadline;
    auto state = entry.command.state;
    if (entry.again && state != CommandState::queued) {
        move(entry, {CommandState::queued, "bridge", "bridge_restarted"},
             since(accepted, now.steady), out);
        save(entry, SavePurpose::note, out);
    } else if (entry.arrived && !entry.again && state != CommandState::unknown) {
        return become_unknown(entry, "bridge_restarted", now, out);
    } else if (state == CommandState::unknown && now.steady >= deadline + limits_.grace) {
        leave_lane(entry, now, out);
    }
    schedule(entry);
}

std::variant<CommandTracker::Accepted, Refusal> CommandTracker::submit(
    CommandRequest request, Caller caller, std::string key, Now const& now, TrackerPort& out) {
    if (auto known = requests_.find(request, key)) {
        return join(*find_entry(*known), request, std::move(key), out);
    }
    if (auto settled = key.empty() ? std::nullopt : out.recall(key)) {
        if (settled->request != request) return refuse(Refusal::key_reused);
        return Accepted{settled->id, true};
    }
    if (auto refusal = check(request, now, out)) return refuse(*refusal);
    if (request.supersede) supersede_lane(request, now, out);

    Command command;
    command.id = CommandId::make(now.wall, random_);
    command.n = devices_.take_n(request.device);
    command.accepted_at = now.wall;
    command.deadline = now.wall + request.ttl;
    command.caller = std::move(caller);
    if (!key.empty()) command.keys.push_back(std::move(key));
    auto deadline = now.steady + request.ttl;
    command.request = std::move(request);
    auto& entry = add(std::move(command), now.steady, deadline);
    move(entry, {CommandState::queued, entry.command.caller.by}, milliseconds{0}, out);
    schedule(entry);
    // One write serves both where the order can go at once.
    if (may_go(entry, now)) prepare(entry);
    save(entry, SavePurpose::accept, out);
    return Accepted{entry.command.id, false};
}

CommandTracker::Entry& CommandTracker::add(Command command, SteadyTime accepted,
                                           SteadyTime deadline) {
    auto id = command.id;
    auto [at, is_new] = entries_.try_emplace(id);
    MQ_ASSERT(is_new);
    auto& entry = at->second;
    entry.accepted = accepted;
    entry.deadline = deadline;
    entry.command = std::move(command);
    auto const& request = entry.command.request;
    requests_.add(request, {}, id);
    for (auto const& key : entry.command.keys) requests_.add(request, key, id);
    if (!request.lane.empty()) {
        lanes_.push(request.device, request.lane, id);
        entry.in_lane = true;
    }
    open_by_device_[request.device].push_back(id);
    return entry;
}

bool CommandTracker::cancel(CommandId const& id, std::string_view by, Now const& now,
                            TrackerPort& out) {
    auto* entry = find_entry(id);
    if (entry == nullptr || entry->ending || entry->is_handed_over()) return false;
    if (entry->command.state != CommandState::queued) return false;
    settle(*entry, {CommandState::cancelled, by}, now, out);
    return true;
}

void CommandTracker::on_saved(CommandId const& id, SavePurpose purpose, bool stored, Now const& now,
                              TrackerPort& out) {
    auto* entry = find_entry(id);
    if (entry == nullptr) return;
    switch (purpose) {
        case SavePurpose::accept:
            if (!stored) {
                auto request = entry->command.request;
                remove(*entry);
                out.discarded(id);
                advance_lane(request.device, request.lane, now, out);
                return;
            }
            entry->stored = true;
            entry->leave_stored = entry->leave_asked;
            out.changed(entry->command);
            return advance(*entry, now, out);
        case SavePurpose::leave:
            // The last one asked for counts: an earlier one may have been taken back since.
            if (--entry->leaves > 0 || !entry->leave_asked) return;
            entry->leave_stored = true;
            return advance(*entry, now, out);
        case SavePurpose::settle:
            // What the store could not keep is not told: it might be another story after a restart.
            if (!stored || !entry->ending) return;
            entry->command = std::move(*entry->ending);
            out.changed(entry->command);
            return remove(*entry);
        case SavePurpose::note:
            return;
    }
}

void CommandTracker::on_broker(bool ready, Now const& now, TrackerPort& out) {
    broker_ready_ = ready;
    if (!ready) return;
    starved_.clear();
    has_room_ = true;
    for (auto const& id : all_open()) {
        auto* entry = find_entry(id);
        if (entry == nullptr) continue;
        entry->starved = false;
        // The broker may never have got the copy that was on its way when the connection ended.
        if (may_repeat(*entry) && !entry->acknowledged) entry->again = true;
        advance(*entry, now, out);
    }
}

void CommandTracker::on_room(Now const& now, TrackerPort& out) {
    has_room_ = true;
    while (has_room_ && !starved_.empty()) {
        auto* entry = find_entry(starved_.front());
        starved_.pop_front();
        if (entry == nullptr) continue;
        entry->starved = false;
        advance(*entry, now, out);
        if (entry->starved) {  // refused once more: it keeps its place
            starved_.push_front(starved_.back());
            starved_.pop_back();
        }
    }
}

void CommandTracker::on_device_reachable(std::string_view device, Now const& now,
                                         TrackerPort& out) {
    for (auto const& id : open_of(device)) {
        auto* entry = find_entry(id);
        if (entry == nullptr) continue;
        if (may_repeat(*entry)) entry->again = true;
        advance(*entry, now, out);
    }
}

void CommandTracker::on_timer(Now const& now, TrackerPort& out) {
    while (!due_.empty() && due_.begin()->first <= now.steady) {
        auto* entry = find_entry(due_.begin()->second);
        MQ_ASSERT(entry != nullptr && !entry->ending);
        if (entry->second <= now.steady) {
            entry->second = kNever;
            schedule(*entry);
            on_second(*entry, now, out);
        } else {
            on_due(*entry, now, out);
        }
    }
}

void CommandTracker::on_second(Entry& entry, Now const& now, TrackerPort& out) {
    if (entry.unsaved) save(entry, SavePurpose::note, out);
    if (entry.command.state == CommandState::sent) {
        devices_.on_unanswered(entry.command.request.device);
    }
    advance(entry, now, out);
}

void CommandTracker::on_due(Entry& entry, Now const& now, TrackerPort& out) {
    if (entry.command.state == CommandState::unknown) {
        if (!entry.in_lane) {
            return settle(entry, {CommandState::abandoned, "bridge", "no_sign"}, now, out);
        }
        leave_lane(entry, now, out);
        return schedule(entry);
    }
    if (entry.is_handed_over()) return become_unknown(entry, "no_answer", now, out);
    settle(entry, {CommandState::expired, "bridge", "deadline"}, now, out);
}

std::optional<SteadyTime> CommandTracker::next_deadline() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first;
}

Command const* CommandTracker::find(CommandId const& id) const {
    auto found = entries_.find(id);
    return found == entries_.end() || !found->second.stored ? nullptr : &found->second.command;
}

bool CommandTracker::is_handed_over(CommandId const& id) const {
    auto found = entries_.find(id);
    return found != entries_.end() && found->second.is_handed_over();
}

CommandTracker::Entry* CommandTracker::find_entry(CommandId const& id) {
    auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
}

std::variant<CommandTracker::Accepted, Refusal> CommandTracker::refuse(Refusal refusal) {
    ++counters_.refusals.at(static_cast<std::size_t>(refusal));
    return refusal;
}

/// What speaks against a new order. Nothing has been made yet.
std::optional<Refusal> CommandTracker::check(CommandRequest const& request, Now const& now,
                                             TrackerPort const& out) const {
    if (!broker_ready_) return Refusal::broker_down;
    auto const* device = devices_.find(request.device);
    if (device == nullptr) return Refusal::no_such_device;
    if (is_denied(*device, request.verb)) return Refusal::denied;
    if (request.if_offline == IfOffline::fail && !devices_.is_reachable(*device, now.steady)) {
        return Refusal::device_offline;
    }
    if (!request.condition.empty() && !may_hold(request.condition, device->state, device->n)) {
        return Refusal::precondition;
    }
    auto waiting = lanes_.size(request.device, request.lane);
    if (request.fail_if_busy && waiting > 0) return Refusal::lane_busy;
    if (!request.supersede && waiting >= limits_.lane_queue_max) return Refusal::lane_full;
    if (entries_.size() >= limits_.open_max || !out.takes_writes()) return Refusal::store_full;
    return std::nullopt;
}

std::variant<CommandTracker::Accepted, Refusal> CommandTracker::join(Entry& entry,
                                                                     CommandRequest const& request,
                                                                     std::string key,
                                                                     TrackerPort& out) {
    auto& latest = entry.ending ? *entry.ending : entry.command;
    if (latest.request != request) return refuse(Refusal::key_reused);
    auto is_known = key.empty() || std::ranges::find(latest.keys, key) != latest.keys.end();
    if (!is_known) {
        if (latest.keys.size() >= limits_.keys_per_command_max) {
            return refuse(Refusal::too_many_keys);
        }
        // A retry under this key must find the command when its `ref` has been set free.
        requests_.add(request, key, latest.id);
        latest.keys.push_back(std::move(key));
        save(entry, SavePurpose::note, out);
    }
    return Accepted{latest.id, true};
}

void CommandTracker::supersede_lane(CommandRequest const& request, Now const& now,
                                    TrackerPort& out) {
    auto waiting = lanes_.all(request.device, request.lane);
    // From the back, so that none of them becomes the front one and leaves.
    for (auto id = waiting.rbegin(); id != waiting.rend(); ++id) {
        auto* entry = find_entry(*id);
        if (!entry->ending && !entry->is_handed_over()) {
            settle(*entry, {CommandState::superseded, "caller"}, now, out);
        }
    }
}

std::vector<CommandId> CommandTracker::open_of(std::string_view device) const {
    auto found = open_by_device_.find(device);
    return found == open_by_device_.end() ? std::vector<CommandId>{} : found->second;
}

std::vector<CommandId> CommandTracker::all_open() const {
    std::vector<CommandId> out;
    for (auto const& [device, ids] : open_by_device_) out.insert(out.end(), ids.begin(), ids.end());
    return out;
}

/// Takes an arrow. `t` never runs backwards, whatever another clock says.
void CommandTracker::move(Entry& entry, Arrow const& arrow, milliseconds t, TrackerPort& out) {
    auto& command = entry.command;
    if (!command.timeline.empty()) t = std::max(t, command.timeline.back().t);
    command.state = arrow.state;
    command.timeline.push_back({t, arrow.state, std::string{arrow.by}, std::string{arrow.why}});
    ++command.version;
    if (entry.stored) out.changed(command);
}

/// The arrows just taken are saved with whatever the command writes next, and soon at the latest:
/// an answer mostly follows at once, and a restart asks for no more than `may_have_left`.
void CommandTracker::note(Entry& entry, Now const& now) {
    entry.unsaved = true;
    entry.second = std::min(entry.second, now.steady + limits_.ack_patience);
    schedule(entry);
}

/// The end is decided here; it is shown when the store has it.
void CommandTracker::settle(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out,
                            Answer const* answer) {
    MQ_ASSERT(!entry.ending && !is_settled(entry.command.state));
    entry.ending = std::make_unique<Command>(entry.command);
    auto& ending = *entry.ending;
    ending.late =
        entry.command.state == CommandState::unknown && arrow.state != CommandState::abandoned;
    ending.state = arrow.state;
    ending.why = arrow.why;
    if (answer != nullptr) {
        ending.answer = answer->document;
        ending.took = answer->took;
    }
    auto t = std::max(since(entry.accepted, now.steady), ending.timeline.back().t);
    ending.timeline.push_back({t, arrow.state, std::string{arrow.by}, std::string{arrow.why}});
    ++ending.version;
    entry.second = kNever;
    schedule(entry);
    close(entry);
    save(entry, SavePurpose::settle, out);
    leave_lane(entry, now, out);
}

/// It left and nothing came back. The lane goes on once the device would refuse the order: one
/// silent order must not block the others, nor meet them.
void CommandTracker::become_unknown(Entry& entry, std::string_view why, Now const& now,
                                    TrackerPort& out) {
    entry.again = false;
    move(entry, {CommandState::unknown, "bridge", why}, since(entry.accepted, now.steady), out);
    entry.command.why = why;
    save(entry, SavePurpose::note, out);
    if (now.steady >= entry.deadline + limits_.grace) {
        devices_.on_unanswered(entry.command.request.device);
        leave_lane(entry, now, out);
    }
    schedule(entry);
}

/// The port writes the arrows that are new with the record; the next save has others.
void CommandTracker::save(Entry& entry, SavePurpose purpose, TrackerPort& out) {
    auto& latest = entry.ending ? *entry.ending : entry.command;
    out.save(latest, purpose);
    latest.arrows_audited = latest.timeline.size();
    entry.unsaved = false;
}

/// When on_due() has to look at it.
SteadyTime CommandTracker::next_step(Entry const& entry) const {
    if (entry.ending) return kNever;
    auto answered_by = entry.deadline + limits_.grace;
    if (entry.command.state == CommandState::unknown) {
        return entry.in_lane ? answered_by : answered_by + limits_.abandon;
    }
    return entry.is_handed_over() ? answered_by : entry.deadline;
}

void CommandTracker::schedule(Entry& entry) {
    auto due = std::min(next_step(entry), entry.second);
    if (due == entry.due) return;
    if (entry.due != kNever) due_.erase({entry.due, entry.command.id});
    entry.due = due;
    if (due != kNever) due_.emplace(due, entry.command.id);
}

void CommandTracker::close(Entry& entry) {
    auto open = open_by_device_.find(entry.command.request.device);
    if (open == open_by_device_.end()) return;
    std::erase(open->second, entry.command.id);
    if (open->second.empty()) open_by_device_.erase(open);
}

/// Forgets the command; the next one of its lane is not touched.
void CommandTracker::remove(Entry& entry) {
    auto const& command = entry.command;
    if (entry.due != kNever) due_.erase({entry.due, command.id});
    close(entry);
    lanes_.remove(command.request.device, command.request.lane, command.id);
    requests_.release_ref(command.request, command.id);
    for (auto const& key : command.keys) requests_.release_key(key, command.id);
    auto id = command.id;
    entries_.erase(id);
}

}  // namespace spoke::bridge
