#include "bridge/command/command_tracker.hpp"

#include <algorithm>

#include "protocol/base/assert.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::milliseconds;

CommandState end_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::ok:
            return CommandState::succeeded;
        case Verdict::fail:
            return CommandState::failed;
        case Verdict::refused:
            return CommandState::rejected;
        case Verdict::cancelled:
            return CommandState::cancelled;
        case Verdict::started:
            break;
    }
    MQ_ASSERT(verdict != Verdict::started);
    return CommandState::running;
}

bool is_denied(Device const& device, std::string_view verb) {
    if (!device.record) return false;
    return std::ranges::any_of(device.record->deny, [verb](std::string const& denied) {
        return denied == "*" || denied == verb;
    });
}

}  // namespace

CommandTracker::CommandTracker(Limits limits, DeviceRegistry& devices,
                               std::function<std::uint64_t()> random)
    : limits_(limits), devices_(devices), random_(std::move(random)) {}

std::variant<CommandTracker::Accepted, Refusal> CommandTracker::submit(
    CommandRequest request, Caller caller, std::string key, Now const& now, TrackerPort& out) {
    if (auto known = requests_.find(request, key)) {
        auto* entry = find_entry(*known);
        MQ_ASSERT(entry != nullptr);
        return join(*entry, request, std::move(key), out);
    }
    if (auto refusal = check(request, now)) return *refusal;
    if (request.supersede) supersede_lane(request, now, out);

    auto id = CommandId::make(now.wall, random_);
    auto [at, is_new] = entries_.try_emplace(id);
    MQ_ASSERT(is_new);
    auto& entry = at->second;
    entry.accepted = now.steady;
    entry.deadline = now.steady + request.ttl;
    auto& command = entry.command;
    command.id = id;
    command.n = devices_.take_n(request.device);
    command.accepted_at = now.wall;
    command.deadline = now.wall + request.ttl;
    command.caller = std::move(caller);
    requests_.add(request, key, id);
    if (!key.empty()) command.keys.push_back(std::move(key));
    if (!request.lane.empty()) lanes_.push(request.device, request.lane, id);
    open_by_device_[request.device].insert(id);
    command.request = std::move(request);
    append(command, {CommandState::queued, command.caller.by}, entry.accepted, now);
    set_due(entry, entry.deadline);
    // One write serves both where the order can go at once.
    entry.leave_asked = may_go(entry, now);
    command.may_have_left = entry.leave_asked;
    save(command, SavePurpose::accept, out);
    return Accepted{id, false};
}

bool CommandTracker::cancel(CommandId const& id, Now const& now, TrackerPort& out) {
    auto* entry = find_entry(id);
    if (entry == nullptr || entry->ending || entry->command.state != CommandState::queued) {
        return false;
    }
    settle(*entry, {CommandState::cancelled, "caller"}, now, out);
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
            advance(*entry, now, out);
            return;
        case SavePurpose::leave:
            entry->leave_asked = stored;
            entry->leave_stored = stored;
            if (stored) advance(*entry, now, out);
            return;
        case SavePurpose::settle:
            // What the store could not keep is not told: it might be another story after a restart.
            if (!stored || !entry->ending) return;
            entry->command = std::move(*entry->ending);
            entry->ending.reset();
            requests_.release_ref(entry->command.request, id);
            set_due(*entry, now.steady + limits_.keep);
            out.changed(entry->command);
            return;
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
        if (!entry->acknowledged) send_again(*entry, now, out);
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
        send_again(*entry, now, out);
        advance(*entry, now, out);
        if (entry->starved) {  // refused once more: it keeps its place
            starved_.push_front(starved_.back());
            starved_.pop_back();
        }
    }
}

void CommandTracker::on_handover(CommandId const& id, Handover outcome, std::string_view why,
                                 Now const& now, TrackerPort& out) {
    auto* entry = find_entry(id);
    if (entry == nullptr || entry->copies == 0) return;
    entry->acknowledged = outcome != Handover::lost && outcome != Handover::not_sent;
    if (outcome == Handover::taken || outcome == Handover::lost) return;
    if (outcome == Handover::nobody) devices_.on_unreachable(entry->command.request.device);
    --entry->copies;
    if (entry->copies > 0 || entry->ending || entry->command.state != CommandState::sent) return;

    // No copy is anywhere, so the order never left. One that may wait, or that was only unlucky in
    // its connection, goes back to waiting; any other ends here instead of at its deadline.
    auto const& request = entry->command.request;
    auto may_wait = request.if_offline == IfOffline::wait || request.deliver == Deliver::until;
    auto ends = outcome == Handover::refused || (outcome == Handover::nobody && !may_wait) ||
                now.steady >= entry->deadline;
    if (ends) {
        settle(*entry, {CommandState::expired, "broker", why}, now, out);
    } else {
        take_back(*entry, why, now, out);
    }
}

void CommandTracker::on_device_reachable(std::string_view device, Now const& now,
                                         TrackerPort& out) {
    for (auto const& id : open_of(device)) {
        auto* entry = find_entry(id);
        if (entry == nullptr) continue;
        send_again(*entry, now, out);
        advance(*entry, now, out);
    }
}

void CommandTracker::on_answer(std::string_view device, Answer const& answer, Now const& now,
                               TrackerPort& out) {
    auto* entry = find_entry(answer.id);
    if (entry == nullptr) {
        ++counters_.answers_unknown;
        return;
    }
    auto const& command = entry->command;
    auto is_ours = command.request.device == device && entry->ever_sent &&
                   (!answer.n || *answer.n == command.n);
    if (!is_ours) {
        ++counters_.answers_mismatched;
        return;
    }
    if (entry->ending || is_settled(command.state)) {
        ++counters_.answers_after_end;
        return;
    }
    apply(*entry, answer, "device", now, out);
}

void CommandTracker::on_state(std::string_view device, StateReport const& report, Now const& now,
                              TrackerPort& out) {
    for (auto const& id : open_of(device)) {
        auto* entry = find_entry(id);
        if (entry != nullptr && entry->ever_sent && !entry->ending) {
            judge_by_state(*entry, report, now, out);
        }
    }
}

void CommandTracker::on_timer(Now const& now, TrackerPort& out) {
    while (!due_.empty() && due_.begin()->first <= now.steady) {
        auto* entry = find_entry(due_.begin()->second);
        MQ_ASSERT(entry != nullptr && !entry->ending);
        auto state = entry->command.state;
        if (is_settled(state)) {
            remove(*entry);
        } else if (state == CommandState::queued) {
            settle(*entry, {CommandState::expired, "bridge", "deadline"}, now, out);
        } else if (state == CommandState::unknown) {
            settle(*entry, {CommandState::abandoned, "bridge", "no_sign"}, now, out);
        } else {
            become_unknown(*entry, now, out);
        }
    }
}

std::optional<SteadyTime> CommandTracker::next_deadline() const {
    if (due_.empty()) return std::nullopt;
    return due_.begin()->first;
}

Command const* CommandTracker::find(CommandId const& id) const {
    auto found = entries_.find(id);
    return found == entries_.end() || !found->second.stored ? nullptr : &found->second.command;
}

CommandTracker::Entry* CommandTracker::find_entry(CommandId const& id) {
    auto found = entries_.find(id);
    return found == entries_.end() ? nullptr : &found->second;
}

/// What speaks against a new order. Nothing has been made yet.
std::optional<Refusal> CommandTracker::check(CommandRequest const& request, Now const& now) const {
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
    // Forgetting a record early instead would make a late retry a second order.
    if (entries_.size() >= limits_.commands_max) return Refusal::store_full;
    return std::nullopt;
}

std::variant<CommandTracker::Accepted, Refusal> CommandTracker::join(Entry& entry,
                                                                     CommandRequest const& request,
                                                                     std::string key,
                                                                     TrackerPort& out) {
    auto& latest = entry.ending ? *entry.ending : entry.command;
    if (latest.request != request) return Refusal::key_reused;
    auto is_known = key.empty() || std::ranges::find(latest.keys, key) != latest.keys.end();
    if (!is_known) {
        if (latest.keys.size() >= limits_.keys_per_command_max) return Refusal::too_many_keys;
        // A retry under this key must find the command when its `ref` has been set free.
        requests_.add(request, key, latest.id);
        if (entry.ending) entry.command.keys.push_back(key);
        latest.keys.push_back(std::move(key));
        save(latest, SavePurpose::note, out);
    }
    return Accepted{latest.id, true};
}

void CommandTracker::supersede_lane(CommandRequest const& request, Now const& now,
                                    TrackerPort& out) {
    auto waiting = lanes_.all(request.device, request.lane);
    // From the back, so that none of them becomes the front one and leaves.
    for (auto id = waiting.rbegin(); id != waiting.rend(); ++id) {
        auto* entry = find_entry(*id);
        if (!entry->ending && entry->command.state == CommandState::queued) {
            settle(*entry, {CommandState::superseded, "caller"}, now, out);
        }
    }
}

bool CommandTracker::may_go(Entry const& entry, Now const& now) const {
    auto const& command = entry.command;
    if (entry.ending || command.state != CommandState::queued || !broker_ready_) return false;
    if (now.steady >= entry.deadline) return false;
    auto const& lane = command.request.lane;
    if (!lane.empty() && lanes_.front(command.request.device, lane) != command.id) return false;
    auto const* device = devices_.find(command.request.device);
    return device != nullptr && devices_.is_reachable(*device, now.steady);
}

/// Takes a queued order one step nearer to its leaving, if it may leave.
void CommandTracker::advance(Entry& entry, Now const& now, TrackerPort& out) {
    if (!entry.stored || !may_go(entry, now)) return;
    if (entry.leave_stored) {
        send(entry, now, out);
    } else if (!entry.leave_asked) {
        entry.leave_asked = true;
        entry.command.may_have_left = true;
        save(entry.command, SavePurpose::leave, out);
    }
}

void CommandTracker::advance_lane(std::string const& device, std::string const& lane,
                                  Now const& now, TrackerPort& out) {
    if (auto next = lanes_.front(device, lane)) advance(*find_entry(*next), now, out);
}

void CommandTracker::send(Entry& entry, Now const& now, TrackerPort& out) {
    auto result = has_room_ ? hand_over(entry, now, out) : SendResult::no_room;
    if (result == SendResult::impossible) {
        return settle(entry, {CommandState::expired, "bridge", "cannot_be_sent"}, now, out);
    }
    if (result == SendResult::no_room) return starve(entry);
    set_due(entry, entry.deadline + limits_.grace);
    move(entry, {CommandState::sent, "bridge"}, now, out);
    save(entry.command, SavePurpose::note, out);
}

/// For `until` orders: another copy on a new connection, while there is time.
void CommandTracker::send_again(Entry& entry, Now const& now, TrackerPort& out) {
    auto& command = entry.command;
    if (entry.ending || !is_under_way(command.state) || !broker_ready_) return;
    if (command.request.deliver != Deliver::until || now.steady >= entry.deadline) return;
    auto result = has_room_ ? hand_over(entry, now, out) : SendResult::no_room;
    if (result == SendResult::done) save(command, SavePurpose::note, out);
    if (result == SendResult::no_room) starve(entry);
}

void CommandTracker::starve(Entry& entry) {
    has_room_ = false;
    if (!entry.starved) starved_.push_back(entry.command.id);
    entry.starved = true;
}

SendResult CommandTracker::hand_over(Entry& entry, Now const& now, TrackerPort& out) {
    auto const* device = devices_.find(entry.command.request.device);
    if (device == nullptr) return SendResult::impossible;
    entry.command.boot = device->boot;
    entry.command.exp_up = DeviceRegistry::uptime_at(*device, entry.deadline);
    auto result = out.send(entry.command, now);
    if (result != SendResult::done) return result;
    entry.ever_sent = true;
    entry.acknowledged = false;
    ++entry.copies;
    return SendResult::done;
}

void CommandTracker::take_back(Entry& entry, std::string_view why, Now const& now,
                               TrackerPort& out) {
    set_due(entry, entry.deadline);
    move(entry, {CommandState::queued, "broker", why}, now, out);
    save(entry.command, SavePurpose::note, out);
}

std::vector<CommandId> CommandTracker::open_of(std::string_view device) const {
    auto found = open_by_device_.find(device);
    if (found == open_by_device_.end()) return {};
    return {found->second.begin(), found->second.end()};
}

std::vector<CommandId> CommandTracker::all_open() const {
    std::vector<CommandId> out;
    for (auto const& [device, ids] : open_by_device_) out.insert(out.end(), ids.begin(), ids.end());
    return out;
}

void CommandTracker::move(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out) {
    append(entry.command, arrow, entry.accepted, now);
    out.changed(entry.command);
}

/// The end is decided here; it is shown when the store has it.
void CommandTracker::settle(Entry& entry, Arrow const& arrow, Now const& now, TrackerPort& out,
                            Answer const* answer) {
    MQ_ASSERT(!entry.ending && !is_settled(entry.command.state));
    entry.ending = std::make_unique<Command>(entry.command);
    entry.ending->late =
        entry.command.state == CommandState::unknown && arrow.state != CommandState::abandoned;
    entry.ending->why = arrow.why;
    if (answer != nullptr) {
        entry.ending->answer = answer->document;
        entry.ending->took = answer->took;
    }
    append(*entry.ending, arrow, entry.accepted, now);
    set_due(entry, std::nullopt);
    close(entry);
    auto const& request = entry.command.request;
    auto was_front = lanes_.remove(request.device, request.lane, entry.command.id);
    save(*entry.ending, SavePurpose::settle, out);
    if (was_front) advance_lane(request.device, request.lane, now, out);
}

/// It left and nothing came back. The lane goes on: one silent order must not block the others.
void CommandTracker::become_unknown(Entry& entry, Now const& now, TrackerPort& out) {
    auto const& request = entry.command.request;
    devices_.on_unanswered(request.device);
    set_due(entry, now.steady + limits_.abandon);
    auto was_front = lanes_.remove(request.device, request.lane, entry.command.id);
    move(entry, {CommandState::unknown, "bridge", "no_answer"}, now, out);
    save(entry.command, SavePurpose::note, out);
    if (was_front) advance_lane(request.device, request.lane, now, out);
}

void CommandTracker::apply(Entry& entry, Answer const& answer, std::string_view by, Now const& now,
                           TrackerPort& out) {
    if (answer.verdict != Verdict::started) {
        settle(entry, {end_of(answer.verdict), by, answer.why}, now, out, &answer);
        return;
    }
    if (entry.command.state == CommandState::unknown) return;
    if (entry.command.state == CommandState::running) return;
    if (entry.command.state != CommandState::delivered) {
        move(entry, {CommandState::delivered, by}, now, out);
    }
    move(entry, {CommandState::running, by}, now, out);
    set_due(entry, entry.deadline + limits_.grace);
    save(entry.command, SavePurpose::note, out);
}

void CommandTracker::judge_by_state(Entry& entry, StateReport const& report, Now const& now,
                                    TrackerPort& out) {
    auto& command = entry.command;
    auto receipt = std::ranges::find(report.receipts, command.id, &Answer::id);
    if (receipt != report.receipts.end()) {
        apply(entry, *receipt, "device_journal", now, out);
        return;
    }
    if (command.state != CommandState::unknown || !report.has_last_n) return;
    if (command.request.lane.empty() || !was_taken_after_deadline(report, entry, now)) return;
    auto last = std::ranges::find(report.last_n, command.request.lane,
                                  &std::pair<std::string, std::uint64_t>::first);
    auto last_n = last == report.last_n.end() ? 0 : last->second;
    if (last_n < command.n) {
        settle(entry, {CommandState::failed, "device_state", "not_executed"}, now, out);
    }
}

/// Whether the device, when it took this state, would have refused the order as late. By its boot
/// or uptime if they can be compared, else by its clock, which must not run ahead of ours.
bool CommandTracker::was_taken_after_deadline(StateReport const& report, Entry const& entry,
                                              Now const& now) {
    auto const& command = entry.command;
    if (report.boot && command.boot && *report.boot != *command.boot) {
        return *report.boot > *command.boot;
    }
    if (report.boot && command.boot && command.exp_up && report.up) {
        return *report.up > *command.exp_up;
    }
    constexpr milliseconds kClockSkewMax{5000};
    return report.at && *report.at > command.deadline && *report.at <= now.wall + kClockSkewMax;
}

void CommandTracker::set_due(Entry& entry, std::optional<SteadyTime> due) {
    if (entry.due) due_.erase({*entry.due, entry.command.id});
    entry.due = due;
    if (due) due_.emplace(*due, entry.command.id);
}

void CommandTracker::close(Entry& entry) {
    auto open = open_by_device_.find(entry.command.request.device);
    if (open == open_by_device_.end()) return;
    open->second.erase(entry.command.id);
    if (open->second.empty()) open_by_device_.erase(open);
}

/// Forgets the command; the next one of its lane is not touched.
void CommandTracker::remove(Entry& entry) {
    auto const& command = entry.command;
    set_due(entry, std::nullopt);
    close(entry);
    lanes_.remove(command.request.device, command.request.lane, command.id);
    requests_.release_ref(command.request, command.id);
    for (auto const& key : command.keys) requests_.release_key(key, command.id);
    auto id = command.id;
    entries_.erase(id);
}

/// The port writes the arrows that are new with the record; the next save has others.
void CommandTracker::save(Command& command, SavePurpose purpose, TrackerPort& out) {
    out.save(command, purpose);
    command.arrows_audited = command.timeline.size();
}

void CommandTracker::append(Command& command, Arrow const& arrow, SteadyTime accepted,
                            Now const& now) {
    auto t = std::chrono::duration_cast<milliseconds>(now.steady - accepted);
    command.state = arrow.state;
    command.timeline.push_back({t, arrow.state, std::string{arrow.by}, std::string{arrow.why}});
    ++command.version;
}

}  // namespace spoke::bridge
