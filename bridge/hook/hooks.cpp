#include "bridge/hook/hooks.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "bridge/hook/hook_document.hpp"
#include "bridge/hook/hook_schedule.hpp"
#include "bridge/hook/hook_signature.hpp"

namespace spoke::bridge {
namespace {

constexpr std::chrono::seconds kNoteEvery{10};
constexpr std::size_t kTakeMax = 16;
/// Begun and not over: what is sent again after a kill.
constexpr std::size_t kWindowMax = 1'000;
constexpr unsigned kGone = 410;

std::string position_name(std::string const& hook) {
    return "hook/" + hook;
}

std::string outcome_text(HookOutcome const& outcome) {
    return outcome.status != 0 ? std::to_string(outcome.status) : outcome.problem;
}

}  // namespace

void Hooks::restore() {
    auto const& log = world_.log;
    world_.store.visit_hooks([&](Hook&& hook) {
        auto noted = log.store().position(position_name(hook.name)).value_or(0);
        auto place = std::max(hook.begin, noted);
        // Of a log that is gone: everything in this one is new.
        auto is_foreign = place > log.head_offset();
        auto& run = add(std::move(hook), is_foreign ? 0 : place);
        if (is_foreign) tell_gap(run, name_of(CursorProblem::other_epoch), 0, 0);
    });
    std::vector<HookDelivery> strays;
    world_.store.visit_deliveries([&](HookDelivery&& delivery) {
        auto* run = run_of(delivery.hook);
        if (run == nullptr) return strays.push_back(std::move(delivery));
        run->known.insert(delivery.id);
        run->keep(std::move(delivery));
    });
    for (auto& [name, run] : runs_) {
        std::erase_if(run->taken, [&](auto const& gap) { return run->known.erase(gap.id) != 0; });
    }
    // Their attempt ended while their hook was being removed.
    for (auto const& stray : strays) world_.store.erase_delivery(stray.hook, stray.id);
    wake(world_.clock().steady);
}

HookRun& Hooks::add(Hook hook, std::uint64_t place) {
    auto name = hook.name;
    auto& run = *(runs_[name] = std::make_unique<HookRun>(std::move(hook)));
    run.noted_place = place;
    follow(run, place);
    return run;
}

void Hooks::follow(HookRun& run, std::uint64_t after) {
    run.may_take = true;
    auto on_more = [this, &run] {
        run.may_take = true;
        wake(world_.clock().steady);
    };
    run.reader = std::make_unique<LogReader>(world_.log, run.hook.topics, after, std::move(on_more),
                                             world_.log.removed_upto(run.hook.topics));
    // The reader tells only what the log loses from now on.
    auto place = world_.log.locate(Cursor{world_.log.epoch(), after}.text(), run.hook.topics);
    if (std::holds_alternative<std::uint64_t>(place)) return;
    tell_gap(run, name_of(std::get<CursorProblem>(place)), after,
             world_.log.removed_upto(run.hook.topics));
}

HookRun* Hooks::run_of(std::string_view name) {
    auto found = runs_.find(name);
    return found == runs_.end() ? nullptr : found->second.get();
}

void Hooks::on_timer() {
    wake_.reset();
    auto now = world_.clock();
    if (now.steady >= note_at_) {
        note_at_ = now.steady + kNoteEvery;
        for (auto& [name, run] : runs_) note_place(*run);
    }
    pump();
}

void Hooks::drain() {
    is_draining_ = true;
    for (auto& [name, run] : runs_) note_place(*run);
}

/// Begins what may begin: one of each hook in turn, so that none takes all the room.
void Hooks::pump() {
    if (is_draining_) return;
    auto now = world_.clock();
    is_more_ = false;
    auto is_started = !runs_.empty();
    while (is_started) {
        is_started = false;
        auto at = runs_.upper_bound(last_served_);
        for (std::size_t i = 0; i < runs_.size(); ++i, ++at) {
            if (at == runs_.end()) at = runs_.begin();
            if (flights_.size() >= limits_.requests_max) break;
            if (!start_one(*at->second, now)) continue;
            last_served_ = at->first;
            is_started = true;
        }
    }
    arm(now);
}

bool Hooks::start_one(HookRun& run, Now const& now) {
    if (run.hook.state != HookState::active) return false;
    if (run.requests >= limits_.requests_per_hook_max) return false;
    auto due = run.next_due();
    if (due && due->first <= now.wall) return retry(run, due->second, now);
    auto has_room = run.waiting() + run.begun() < limits_.queue_max && run.begun() < kWindowMax;
    if (!has_room) return false;
    if (run.taken.empty() && run.may_take) fetch(run);
    if (run.taken.empty()) {
        is_more_ = is_more_ || (run.may_take && !run.is_stuck);
        return false;
    }
    auto delivery = std::move(run.taken.front());
    run.taken.pop_front();
    delivery.made_at = now.wall;
    run.begin(delivery.offset, delivery.id);
    start(run, std::move(delivery), true, now);
    return true;
}

/// Events that are in the queue already, from before a restart, are passed over.
void Hooks::fetch(HookRun& run) {
    auto after = run.reader->position();
    auto got = run.reader->take(kTakeMax);
    run.may_take = !got.is_end;
    run.is_stuck = got.is_stuck;
    if (got.has_lost) {
        auto upto = world_.log.removed_upto(run.hook.topics);
        tell_gap(run, name_of(CursorProblem::too_old), after, upto);
    }
    for (auto const& event : got.events) {
        if (run.known.erase(event->id()) == 0) {
            run.taken.push_back(make_hook_delivery(run.hook, *event));
        }
    }
}

/// Between the two, events may have left the log before their turn came.
void Hooks::tell_gap(HookRun& run, std::string_view reason, std::uint64_t after,
                     std::uint64_t upto) {
    auto const& epoch = world_.log.epoch();
    ++counters_.resets;
    Cursor from{epoch, after};
    Cursor cursor{epoch, upto};
    HookDelivery delivery;
    delivery.hook = run.hook.name;
    delivery.id = "reset_" + cursor.text();
    delivery.offset = after + 1;
    delivery.format = run.hook.format;
    HookGap gap{delivery.id, reason, from.text(), cursor.text(), world_.clock().wall};
    delivery.body = hook_body(run.hook.format, gap);
    run.taken.push_back(std::move(delivery));
}

bool Hooks::retry(HookRun& run, std::string const& id, Now const& now) {
    auto delivery = *run.kept(id);
    auto body = world_.store.delivery_body(delivery.hook, id);
    if (!body) {
        // Not stored yet, or the store cannot be read now.
        delivery.due_at = now.wall + std::chrono::seconds{1};
        run.keep(std::move(delivery));
        return false;
    }
    delivery.body = std::move(*body);
    run.set_sending(id);
    start(run, std::move(delivery), false, now);
    return true;
}

void Hooks::start(HookRun& run, HookDelivery delivery, bool is_first, Now const& now) {
    auto ticket = ++last_ticket_;
    auto request = make_hook_request(run.hook, delivery, now.wall);
    if (!is_first) delivery.body.clear();
    ++delivery.attempts;
    ++run.requests;
    flights_.emplace(ticket, Flight{run.hook.name, std::move(delivery), is_first});
    world_.client.send(std::move(request),
                       [this, ticket](HookOutcome outcome) { on_outcome(ticket, outcome); });
}

void Hooks::on_outcome(std::uint64_t ticket, HookOutcome const& outcome) {
    auto node = flights_.extract(ticket);
    auto* run = node.empty() ? nullptr : run_of(node.mapped().hook);
    if (run != nullptr) {
        auto flight = std::move(node.mapped());
        --run->requests;
        flight.delivery.outcome = outcome_text(outcome);
        run->last_problem = outcome.is_success() ? "" : flight.delivery.outcome;
        if (outcome.is_success()) {
            succeed(*run, std::move(flight));
        } else {
            fail(*run, std::move(flight), outcome, world_.clock());
        }
    }
    pump();
}

void Hooks::succeed(HookRun& run, Flight flight) {
    auto& delivery = flight.delivery;
    ++counters_.delivered;
    ++run.delivered;
    run.add_report({delivery.id,
                    delivery.topic,
                    "delivered",
                    delivery.attempts,
                    delivery.made_at,
                    {},
                    delivery.outcome});
    if (flight.is_first) return over(run, delivery.id);
    run.drop(delivery.id);
    world_.store.erase_delivery(delivery.hook, delivery.id);
}

void Hooks::fail(HookRun& run, Flight flight, HookOutcome const& outcome, Now const& now) {
    auto delivery = std::move(flight.delivery);
    ++counters_.failed;
    ++run.failed;
    auto delay = hook_retry_delay(delivery.attempts, world_.random());
    if (delay) {
        auto asked = parse_retry_after(outcome.retry_after, now.wall);
        delivery.due_at = std::max(now.wall + *delay, asked.value_or(now.wall));
    } else {
        ++counters_.dead;
        delivery.state = DeliveryState::dead;
        world_.warn(fmt::format("hook {}: {} was not delivered in {} attempts, the last one: {}",
                                run.hook.name, delivery.id, delivery.attempts, delivery.outcome));
    }
    keep(run, std::move(delivery), flight.is_first);
    if (outcome.status == kGone) disable(run, now);
}

/// In the durable queue; of a first attempt the place in the log may move on then.
void Hooks::keep(HookRun& run, HookDelivery delivery, bool is_first) {
    HookStore::Done done;
    if (is_first) {
        done = [this, name = run.hook.name, id = delivery.id](bool) {
            auto* kept = run_of(name);
            if (kept == nullptr) return;
            over(*kept, id);
            pump();
        };
    }
    run.keep(delivery);
    while (run.dead() > limits_.dead_max) {
        auto oldest = run.oldest_dead();
        run.drop(oldest);
        world_.store.erase_delivery(run.hook.name, oldest);
    }
    if (run.kept(delivery.id) == nullptr && !is_first) return;
    world_.store.put_delivery(std::move(delivery), std::move(done));
}

void Hooks::disable(HookRun& run, Now const& now) {
    auto& hook = run.hook;
    // A change that is on its way decides; the next 410 comes soon, if it must.
    if (hook.state != HookState::active || changing_.contains(hook.name)) return;
    hook.state = HookState::disabled;
    hook.why = "its receiver has answered 410 (gone)";
    ++hook.version;
    ++counters_.disabled;
    world_.warn(fmt::format("hook {}: disabled, {}", hook.name, hook.why));
    AuditEntry audit;
    audit.at = now.wall;
    audit.who = "bridge";
    audit.what = "hook.disabled";
    audit.subject = hook.name;
    audit.why = hook.why;
    world_.store.put_hook(hook, std::move(audit), Need::certain, {});
}

void Hooks::over(HookRun& run, std::string const& id) {
    run.end(id);
    note_place(run);
}

void Hooks::note_place(HookRun& run) {
    auto place = run.place();
    if (place <= run.noted_place) return;
    run.noted_place = place;
    world_.log.store().put_position(position_name(run.hook.name), place);
}

void Hooks::wake(SteadyTime when) {
    if (wake_ && *wake_ <= when) return;
    wake_ = when;
    world_.wake_at(when);
}

void Hooks::arm(Now const& now) {
    if (runs_.empty()) return;
    if (is_more_) return wake(now.steady);
    auto next = std::max(note_at_, now.steady);
    for (auto const& [name, run] : runs_) {
        auto due = run->next_due();
        auto is_ready = run->hook.state == HookState::active &&
                        run->requests < limits_.requests_per_hook_max &&
                        flights_.size() < limits_.requests_max;
        if (!due || !is_ready) continue;
        next = std::min(next, now.steady + std::max(due->first - now.wall, {}));
    }
    wake(next);
}

}  // namespace spoke::bridge
