// How an order leaves for the broker, and what comes back of it from there.

#include <fmt/format.h>

#include <algorithm>

#include "bridge/command/command_tracker.hpp"

namespace spoke::bridge {
namespace {

using std::chrono::milliseconds;

milliseconds since(SteadyTime begin, SteadyTime now) {
    return std::chrono::duration_cast<milliseconds>(now - begin);
}

}  // namespace

/// Devices deduplicate: an order that is to arrive until its deadline may go out once more.
bool CommandTracker::may_repeat(Entry const& entry) {
    return entry.command.request.deliver == Deliver::until && entry.is_handed_over() &&
           entry.command.state != CommandState::unknown;
}

bool CommandTracker::may_wait(Entry const& entry) {
    auto const& request = entry.command.request;
    return request.if_offline == IfOffline::wait || request.deliver == Deliver::until;
}

bool CommandTracker::may_go(Entry const& entry, Now const& now) const {
    auto const& command = entry.command;
    if (entry.ending || command.state == CommandState::unknown || !broker_ready_) return false;
    if (entry.is_handed_over() && !entry.again) return false;
    if (now.steady >= entry.deadline) return false;
    auto const& lane = command.request.lane;
    if (!lane.empty() && lanes_.front(command.request.device, lane) != command.id) return false;
    auto const* device = devices_.find(command.request.device);
    return device != nullptr && devices_.is_reachable(*device, now.steady);
}

/// What the store has to know before the order leaves: that it may have, and for which boot of the
/// device, which decides what a later state proves.
void CommandTracker::prepare(Entry& entry) {
    auto& command = entry.command;
    auto const* device = devices_.find(command.request.device);
    command.boot = device->boot;
    command.exp_up = DeviceRegistry::uptime_at(*device, entry.deadline);
    command.may_have_left = true;
    entry.leave_asked = true;
    entry.leave_stored = false;
}

bool CommandTracker::is_prepared(Entry const& entry) const {
    auto const* device = devices_.find(entry.command.request.device);
    return entry.leave_stored && entry.command.boot == device->boot;
}

/// Takes an order one step nearer to its leaving, if it may leave.
void CommandTracker::advance(Entry& entry, Now const& now, TrackerPort& out) {
    if (!entry.stored || !may_go(entry, now)) return;
    if (is_prepared(entry)) return send(entry, now, out);
    if (entry.leave_asked && !entry.leave_stored) return;  // on_saved goes on
    prepare(entry);
    ++entry.leaves;
    save(entry, SavePurpose::leave, out);
}

void CommandTracker::advance_lane(std::string const& device, std::string const& lane,
                                  Now const& now, TrackerPort& out) {
    if (auto next = lanes_.front(device, lane)) advance(*find_entry(*next), now, out);
}

void CommandTracker::leave_lane(Entry& entry, Now const& now, TrackerPort& out) {
    auto const& request = entry.command.request;
    auto was_front = lanes_.remove(request.device, request.lane, entry.command.id);
    entry.in_lane = false;
    if (was_front) advance_lane(request.device, request.lane, now, out);
}

void CommandTracker::send(Entry& entry, Now const& now, TrackerPort& out) {
    auto result = has_room_ ? hand_over(entry, now, out) : SendResult::no_room;
    if (result == SendResult::no_room) return starve(entry);
    entry.again = false;
    if (result == SendResult::impossible && !entry.is_handed_over()) {
        return settle(entry, {CommandState::expired, "bridge", "cannot_be_sent"}, now, out);
    }
    schedule(entry);
}

SendResult CommandTracker::hand_over(Entry& entry, Now const& now, TrackerPort& out) {
    constexpr std::uint32_t kCopiesTold = 64;  // one bit each
    constexpr milliseconds kClockNoise{1'000};
    auto left = std::max(since(now.steady, entry.deadline), milliseconds{1});
    // The device compares with its own clock: it gets the deadline by today's wall clock, should
    // that have been set since.
    auto deadline = now.wall + left;
    if (std::chrono::abs(deadline - entry.command.deadline) > kClockNoise) {
        entry.command.deadline = deadline;
        note(entry, now);
    }
    auto result = out.send(entry.command, {entry.copies + 1, left}, now);
    if (result != SendResult::done) return result;
    if (!entry.is_handed_over()) entry.first_copy = entry.copies + 1;
    auto bit = ++entry.copies - entry.first_copy;
    if (bit < kCopiesTold) {
        entry.open_copies |= std::uint64_t{1} << bit;
    } else {
        entry.arrived = true;
    }
    entry.acknowledged = false;
    return SendResult::done;
}

void CommandTracker::starve(Entry& entry) {
    has_room_ = false;
    if (!entry.starved) starved_.push_back(entry.command.id);
    entry.starved = true;
}

void CommandTracker::on_handover(CommandId const& id, CopyFate const& fate, Now const& now,
                                 TrackerPort& out) {
    auto* entry = find_entry(id);
    if (entry == nullptr) return;
    if (fate.copy == entry->copies) {
        entry->acknowledged = fate.outcome != Handover::lost && fate.outcome != Handover::not_sent;
    }
    switch (fate.outcome) {
        case Handover::taken:
        case Handover::lost:
            return;
        case Handover::nobody:
            devices_.on_unreachable(entry->command.request.device);
            return copy_is_nowhere(*entry, {fate.copy, fate.why, !may_wait(*entry)}, now, out);
        case Handover::refused:
            return copy_is_nowhere(*entry, {fate.copy, fate.why, true}, now, out);
        case Handover::not_sent:
            return copy_is_nowhere(*entry, {fate.copy, fate.why, false}, now, out);
    }
}

/// One copy less can be anywhere. With the last one it is certain that nothing was done and nothing
/// will be: an order that may wait, or was only unlucky in its connection, goes back to waiting;
/// any other ends here instead of at its deadline.
void CommandTracker::copy_is_nowhere(Entry& entry, Nowhere const& what, Now const& now,
                                     TrackerPort& out) {
    auto bit = what.copy - entry.first_copy;
    auto mask = bit < 64 ? std::uint64_t{1} << bit : 0;
    if ((entry.open_copies & mask) == 0) return;  // of an earlier try, or told before
    entry.open_copies &= ~mask;
    if (entry.is_handed_over() || entry.ending) return;
    if (entry.command.state == CommandState::unknown) {
        settle(entry, {CommandState::failed, "broker", "not_executed"}, now, out);
    } else if (what.ends || now.steady >= entry.deadline) {
        settle(entry, {CommandState::expired, "broker", what.why}, now, out);
    } else {
        take_back(entry, what.why, now, out);
    }
}

/// Not an arrow each time: a device that comes and goes would fill the timeline.
void CommandTracker::take_back(Entry& entry, std::string_view why, Now const& now,
                               TrackerPort& out) {
    constexpr milliseconds kPause{1'000};
    auto const& last = entry.command.timeline.back();
    if (last.state != CommandState::queued || last.why != why) {
        move(entry, {CommandState::queued, "broker", why}, since(entry.accepted, now.steady), out);
    }
    entry.command.may_have_left = false;
    entry.leave_asked = entry.leave_stored = entry.again = false;
    save(entry, SavePurpose::note, out);
    entry.second = now.steady + kPause;
    schedule(entry);
}

void CommandTracker::on_receipt(Receipt const& receipt, std::uint32_t copy, Now const& now,
                                TrackerPort& out) {
    auto* entry = find_entry(receipt.id);
    if (entry == nullptr || entry->ending || copy == 0 || copy > entry->copies) {
        ++counters_.receipts_unknown;
        return;
    }
    if (receipt.client != entry->command.request.device) {
        ++counters_.receipts_foreign;
        return;
    }
    auto never_left = !receipt.was_sent_before;
    switch (receipt.step) {
        case ReceiptStep::sent:
            return was_sent(*entry, receipt, now, out);
        case ReceiptStep::acked:
            return was_delivered(*entry, receipt, now, out);
        case ReceiptStep::refused:
            return was_refused(*entry, receipt, now, out);
        case ReceiptStep::expired:
            if (never_left) copy_is_nowhere(*entry, {copy, "expired_in_broker", true}, now, out);
            return;
        case ReceiptStep::dropped:
            auto why = fmt::format("dropped: {}", receipt.why);
            if (never_left) copy_is_nowhere(*entry, {copy, why, !may_wait(*entry)}, now, out);
            return;
    }
}

void CommandTracker::was_sent(Entry& entry, Receipt const& receipt, Now const& now,
                              TrackerPort& out) {
    entry.arrived = true;
    if (entry.command.state != CommandState::queued) return;
    entry.sent_us = receipt.at_us;
    // By the broker's clock where that can be true, so that the way of the receipt does not count.
    auto told = milliseconds{receipt.at_us / 1000} - entry.command.accepted_at.time_since_epoch();
    move(entry, {CommandState::sent, "broker"},
         std::clamp(told, milliseconds{0}, since(entry.accepted, now.steady)), out);
    note(entry, now);
}

void CommandTracker::was_delivered(Entry& entry, Receipt const& receipt, Now const& now,
                                   TrackerPort& out) {
    entry.arrived = true;
    auto state = entry.command.state;
    if (state != CommandState::queued && state != CommandState::sent) return;
    auto t = since(entry.accepted, now.steady);
    if (state == CommandState::sent) {
        auto down = milliseconds{(receipt.at_us - entry.sent_us) / 1000};
        t = std::min(t, entry.command.timeline.back().t + std::max(down, milliseconds{0}));
    }
    move(entry, {CommandState::delivered, "device"}, t, out);
    note(entry, now);
}

/// A refusal by the device's MQTT client. Of several copies it may have taken another one.
void CommandTracker::was_refused(Entry& entry, Receipt const& receipt, Now const& now,
                                 TrackerPort& out) {
    auto is_only_copy = entry.copies == entry.first_copy;
    entry.arrived = true;
    if (!is_only_copy || entry.command.state == CommandState::running) return;
    settle(entry,
           {CommandState::rejected, "device", fmt::format("puback 0x{:02X}", receipt.reason)}, now,
           out);
}

}  // namespace spoke::bridge
