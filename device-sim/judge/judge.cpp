#include "device-sim/judge/judge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace spoke::sim {
namespace {

constexpr std::size_t kLockStatesMax = 256;

bool says_nothing_happened(std::string_view state) {
    return state == "expired" || state == "superseded" || state == "cancelled";
}

bool says_not_done(std::string_view state) {
    return state == "failed" || state == "rejected";
}

bool comes_after_the_key(int status) {
    return status == 404 || status == 409 || status == 412;
}

}  // namespace

// ---- what riders are told ----

void Judge::on_asked(Wish const& wish, WallTime) {
    auto [at, is_new] = wishes_.try_emplace(wish.key);
    if (!is_new) return;
    at->second.wish = wish;
    at->second.n_before = bikes_[wish.bike].n_told;
}

void Judge::on_lost(std::string_view key, bool rider_gave_up) {
    auto* wish = find_in(wishes_, key);
    if (wish != nullptr) ++(rider_gave_up ? wish->given_up : wish->lost);
}

void Judge::on_refused(std::string_view key, int status, WallTime now) {
    auto* wish = find_in(wishes_, key);
    if (wish == nullptr || wish->given_up != 0) return;
    if (wish->lost != 0 && !comes_after_the_key(status)) return;
    if (!wish->order.empty()) return;  // one of its POSTs was answered: the command is what counts
    wish->refused_by = status;
    check_refused(*wish, now);
}

void Judge::on_told(std::string_view key, CommandNote const& note, WallTime now) {
    auto* wish = find_in(wishes_, key);
    if (wish == nullptr) return;
    auto& order = order_of(note.id);
    bool is_first = !order.note;
    if (wish->order.empty()) wish->order = note.id;
    if (wish->order != note.id) {
        flag(Invariant::record_lost, note.id, order,
             fmt::format("the same key led to {} before", wish->order), now);
    }
    order.bike = wish->wish.bike;
    order.wish = wish->wish.key;
    order.opens = wish->wish.opens;
    auto& bike = bikes_[wish->wish.bike];
    if (is_first && note.n <= wish->n_before) {
        flag(Invariant::order_reordered, note.id, order,
             fmt::format("it has n {}, and {} was told before it was asked for", note.n,
                         wish->n_before),
             now);
    }
    bike.n_told = std::max(bike.n_told, note.n);
    take_note(order, note, now);
}

void Judge::on_shown(CommandNote const& note, WallTime now) {
    take_note(order_of(note.id), note, now);
}

void Judge::on_missing(std::string_view id, WallTime now) {
    auto* order = find_in(orders_, id);
    if (order == nullptr || !order->note) return;
    flag(Invariant::record_lost, id, *order,
         fmt::format("it was told as {}, and now there is no such command", order->note->state),
         now);
    if (!order->note->settled) --open_;
    order->note->settled = true;  // nobody can follow it any further
}

Judge::Order& Judge::order_of(std::string_view id) {
    auto found = orders_.find(id);
    if (found == orders_.end()) found = orders_.emplace(std::string{id}, Order{}).first;
    return found->second;
}

void Judge::take_note(Order& order, CommandNote const& note, WallTime now) {
    bool was_open = order.note && !order.note->settled;
    if (order.note && order.note->settled) {
        compare_settled(order, note, now);
    } else {
        if (!order.note && !note.settled) ++open_;
        if (was_open && note.settled) --open_;
        order.note = note;
    }
    compare(note.id, order, now);
}

void Judge::compare_settled(Order& order, CommandNote const& note, WallTime now) {
    auto const& known = *order.note;
    auto is_lost = (order.flagged >> static_cast<unsigned>(Invariant::record_lost) & 1U) != 0;
    if (known == note || is_lost) return;
    flag(Invariant::settled_changed, note.id, order,
         fmt::format("told as {} {} {}, later as {} {} {}", known.state, known.why,
                     known.answer_result, note.state, note.why, note.answer_result),
         now);
}

// ---- the two compared ----

void Judge::compare(std::string_view id, Order& order, WallTime now) {
    if (!order.note) return;
    compare_state(id, order, now);
    compare_answer(id, order, now);
    compare_deadline(id, order, now);
}

void Judge::compare_state(std::string_view id, Order& order, WallTime now) {
    auto const& state = order.note->state;
    if (state == "succeeded" && order.opens && order.opened == 0) {
        flag(Invariant::succeeded_but_locked, id, order, "it has not opened", now);
    }
    if (order.opened == 0) return;
    if (says_nothing_happened(state)) {
        flag(Invariant::expired_but_opened, id, order,
             fmt::format("told as {}, and the lock has opened", state), now);
    } else if (says_not_done(state)) {
        flag(Invariant::answer_contradicts_lock, id, order,
             fmt::format("told as {} {}, and the lock has opened", state, order.note->why), now);
    }
}

void Judge::compare_answer(std::string_view id, Order& order, WallTime now) {
    auto const& note = *order.note;
    if (note.answer_result.empty() || note.answer_result == "started") return;
    auto is_it = [&](Result result) {
        return to_text(result.outcome) == note.answer_result &&
               to_text(result.why) == note.answer_why;
    };
    if (std::none_of(order.results.begin(), order.results.end(), is_it)) {
        flag(Invariant::answer_contradicts_lock, id, order,
             fmt::format("the answer {} {} is not the lock's", note.answer_result, note.answer_why),
             now);
    } else if (!was_ever(order, note.answer_lock)) {
        flag(Invariant::answer_contradicts_lock, id, order,
             fmt::format("the answer says {}, which the lock was not", note.answer_lock), now);
    }
}

void Judge::compare_deadline(std::string_view id, Order& order, WallTime now) {
    if (order.opened == 0 || !order.began_at) return;
    auto deadline = WallTime::max();
    if (order.expires_at) deadline = WallTime{std::chrono::milliseconds{*order.expires_at}};
    if (order.note && order.note->deadline) deadline = std::min(deadline, *order.note->deadline);
    if (deadline == WallTime::max() || *order.began_at <= deadline + kClockTolerance) return;
    flag(Invariant::late_open, id, order,
         fmt::format("set out to open at {}, the deadline was {}", when(*order.began_at),
                     when(deadline)),
         now);
}

bool Judge::was_ever(Order const& order, std::string_view lock) const {
    if (lock.empty() || !order.first_seen) return true;
    auto const* bike = find_in(bikes_, order.bike);
    if (bike == nullptr) return true;
    // The state when it came, and all later ones. What is no longer known may have been.
    if (bike->states.size() == kLockStatesMax && bike->states.front().first > *order.first_seen) {
        return true;
    }
    std::optional<LockState> before;
    for (auto const& [at, state] : bike->states) {
        if (at < *order.first_seen) {
            before = state;
        } else if (to_text(state) == lock) {
            return true;
        }
    }
    return to_text(before.value_or(LockState::locked)) == lock;
}

// ---- what happens to locks ----

void Judge::on_fact(std::string_view bike_id, LockFact const& fact, WallTime now) {
    auto at = bikes_.find(bike_id);
    if (at == bikes_.end()) at = bikes_.emplace(std::string{bike_id}, Bike{}).first;
    auto& bike = at->second;
    note_lock(bike, fact.lock, now);
    if (fact.order.empty()) return;
    auto& order = order_of(fact.order);
    if (order.bike.empty()) order.bike = bike_id;
    if (!order.first_seen) order.first_seen = now;
    switch (fact.kind) {
        case LockFact::Kind::began:
            return on_began(bike, fact, order, now);
        case LockFact::Kind::ended:
        case LockFact::Kind::refused:
            order.results.push_back(fact.result);
            return;
        case LockFact::Kind::opened:
            return on_opened(bike_id, fact, order, now);
        case LockFact::Kind::closed:
            ++order.closed;
            return;
    }
}

void Judge::note_lock(Bike& bike, LockState lock, WallTime now) {
    if (!bike.states.empty() && bike.states.back().second == lock) return;
    if (bike.states.size() == kLockStatesMax) bike.states.erase(bike.states.begin());
    bike.states.emplace_back(now, lock);
}

void Judge::on_began(Bike& bike, LockFact const& fact, Order& order, WallTime now) {
    if (order.begun++ != 0) {  // carried out again: of the two the later may be the late one
        order.began_at = now;
        return;
    }
    order.began_at = now;
    order.expires_at = fact.expires_at;
    if (fact.lane == Lane::none) return;
    auto& last_n = bike.last_n[index_of(fact.lane)];
    if (fact.n <= last_n) {
        flag(Invariant::order_reordered, fact.order, order,
             fmt::format("n {} was carried out after n {}", fact.n, last_n), now);
    }
    last_n = std::max(last_n, fact.n);
}

void Judge::on_opened(std::string_view bike, LockFact const& fact, Order& order, WallTime now) {
    ++openings_;
    ++order.opened;
    order.opens = true;
    auto* wish = find_in(wishes_, fact.ride);
    bool is_wanted = wish != nullptr && wish->wish.opens && wish->wish.bike == bike;
    if (!is_wanted) {
        flag(Invariant::open_without_order, fact.order, order,
             fmt::format("opened for ride {:?}, which nobody has asked for here", fact.ride), now);
    }
    if (order.wish.empty()) order.wish = fact.ride;
    bool again = order.opened > 1;
    if (is_wanted && ++wish->opened > 1 && !std::exchange(wish->flagged_double, true)) again = true;
    if (again) flag(Invariant::double_open, fact.order, order, "opened again", now);
    if (is_wanted) check_refused(*wish, now);
    compare(fact.order, order, now);
    compare_deadline(fact.order, order, now);
}

void Judge::check_refused(WishRecord& wish, WallTime now) {
    if (wish.refused_by == 0 || wish.opened == 0 || wish.flagged_refused) return;
    wish.flagged_refused = true;
    add({Invariant::error_status_but_opened, wish.wish.bike, wish.order, wish.wish.key,
         fmt::format("refused with {}, and the lock has opened", wish.refused_by)},
        now);
}

// ---- the end ----

void Judge::on_end(CouldTell const& could_tell, WallTime now) {
    for (auto& [id, order] : orders_) {
        if (!order.note || order.note->settled) continue;
        if (!could_tell(order.bike, *order.note)) {
            ++excused_;
            continue;
        }
        flag(Invariant::left_open, id, order,
             fmt::format("still told as {}, though the lock knows better", order.note->state), now);
    }
}

std::size_t Judge::count_mute(CouldTell const& could_tell) const {
    std::size_t count = 0;
    for (auto const& [id, order] : orders_) {
        bool is_open = order.note && !order.note->settled;
        if (is_open && !could_tell(order.bike, *order.note)) ++count;
    }
    return count;
}

std::vector<std::string> Judge::commands() const {
    std::vector<std::string> ids;
    for (auto const& [id, order] : orders_) {
        if (order.note) ids.push_back(id);
    }
    return ids;
}

std::vector<std::string> Judge::open_commands() const {
    std::vector<std::string> ids;
    for (auto const& [id, order] : orders_) {
        if (order.note && !order.note->settled) ids.push_back(id);
    }
    return ids;
}

std::map<std::string, std::uint64_t> Judge::states() const {
    std::map<std::string, std::uint64_t> counts;
    for (auto const& [id, order] : orders_) {
        if (order.note) ++counts[order.note->state];
    }
    return counts;
}

void Judge::flag(Invariant invariant, std::string_view id, Order& order, std::string text,
                 WallTime now) {
    auto bit = 1U << static_cast<unsigned>(invariant);
    if ((order.flagged & bit) != 0) return;
    order.flagged |= bit;
    add({invariant, order.bike, std::string{id}, order.wish, std::move(text)}, now);
}

void Judge::add(Violation violation, WallTime now) {
    auto& count = verdict_.counts[static_cast<std::size_t>(violation.invariant)];
    if (++count > Verdict::kExamplesMax) return;
    violation.at_ms = (now - began_).count();
    verdict_.examples.push_back(std::move(violation));
}

std::string Judge::when(WallTime time) const {
    return fmt::format("{:.3f} s", static_cast<double>((time - began_).count()) / 1000.0);
}

}  // namespace spoke::sim
