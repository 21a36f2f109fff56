// What a device says of its orders, and what that proves.

#include <algorithm>

#include "bridge/command/command_tracker.hpp"
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

/// Whether the device, when it took this state, would have refused the order as late. By its boot
/// or uptime if they can be compared, else by its clock, which must not run ahead of ours.
bool was_taken_after_deadline(StateReport const& report, Command const& command, Now const& now) {
    if (report.boot && command.boot && *report.boot != *command.boot) {
        return *report.boot > *command.boot;
    }
    if (report.boot && command.boot && command.exp_up && report.up) {
        return *report.up > *command.exp_up;
    }
    constexpr milliseconds kClockSkewMax{5'000};
    return report.at && *report.at > command.deadline && *report.at <= now.wall + kClockSkewMax;
}

/// The device counts by the lanes of its verbs, whatever lane the caller put the order into. What
/// it does not tell of a lane proves nothing.
bool was_never_begun(StateReport const& report, Command const& command) {
    auto lane = verb_of(command.request.verb).lane;
    auto last =
        std::ranges::find(report.last_n, lane, &std::pair<std::string, std::uint64_t>::first);
    return !lane.empty() && last != report.last_n.end() && last->second < command.n;
}

}  // namespace

void CommandTracker::on_answer(std::string_view device, Answer const& answer, Now const& now,
                               TrackerPort& out) {
    auto* entry = find_entry(answer.id);
    if (entry == nullptr) {
        ++counters_.answers_unknown;
    } else if (is_believed(*entry, device, answer)) {
        apply(*entry, answer, "device", now, out);
    }
}

bool CommandTracker::is_believed(Entry const& entry, std::string_view device,
                                 Answer const& answer) {
    auto const& command = entry.command;
    auto is_ours = command.request.device == device && entry.is_handed_over() &&
                   (!answer.n || *answer.n == command.n);
    auto const* known = devices_.find(device);
    auto is_old = answer.boot && known != nullptr && known->boot && *answer.boot < *known->boot;
    if (!is_ours) {
        ++counters_.answers_mismatched;
    } else if (is_old) {
        ++counters_.answers_old_boot;
    } else if (entry.ending) {
        ++counters_.answers_after_end;
    } else {
        if (!answer.trace.empty() && answer.trace != command.caller.trace) {
            ++counters_.traces_mismatched;
        }
        return true;
    }
    return false;
}

void CommandTracker::on_state(std::string_view device, StateReport const& report, Now const& now,
                              TrackerPort& out) {
    for (auto const& id : open_of(device)) {
        auto* entry = find_entry(id);
        if (entry != nullptr && entry->is_handed_over() && !entry->ending) {
            judge_by_state(*entry, report, now, out);
        }
    }
}

void CommandTracker::apply(Entry& entry, Answer const& answer, std::string_view by, Now const& now,
                           TrackerPort& out) {
    entry.arrived = true;
    if (answer.verdict != Verdict::started) {
        return settle(entry, {end_of(answer.verdict), by, answer.why}, now, out, &answer);
    }
    if (entry.command.state == CommandState::unknown) return;
    if (entry.command.state == CommandState::running) {
        ++counters_.answers_again;
        return;
    }
    auto t = std::chrono::duration_cast<milliseconds>(now.steady - entry.accepted);
    move(entry, {CommandState::running, by}, t, out);
    note(entry, now);
}

void CommandTracker::judge_by_state(Entry& entry, StateReport const& report, Now const& now,
                                    TrackerPort& out) {
    auto const& command = entry.command;
    auto receipt = std::ranges::find(report.receipts, command.id, &Answer::id);
    if (receipt != report.receipts.end()) {
        return apply(entry, *receipt, "device_journal", now, out);
    }
    if (command.state == CommandState::unknown && was_never_begun(report, command) &&
        was_taken_after_deadline(report, command, now)) {
        settle(entry, {CommandState::failed, "device_state", "not_executed"}, now, out);
    }
}

}  // namespace spoke::bridge
