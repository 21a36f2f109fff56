#include <algorithm>
#include <boost/json.hpp>
#include <utility>

#include "bridge/hook/hook_document.hpp"
#include "bridge/hook/hook_signature.hpp"
#include "bridge/hook/hooks.hpp"

namespace spoke::bridge {
namespace {

AuditEntry audit_of(Hook const& hook, std::string what, Caller const& caller, Now const& now) {
    AuditEntry audit;
    audit.at = now.wall;
    audit.who = caller.by;
    audit.address = caller.address;
    audit.trace = caller.trace;
    audit.what = std::move(what);
    audit.subject = hook.name;
    boost::json::object detail;
    detail["url"] = hook.url;
    detail["topics"] = boost::json::value_from(hook.topics);
    detail["state"] = name_of(hook.state);
    audit.detail = boost::json::serialize(detail);
    return audit;
}

}  // namespace

void Hooks::put(std::string const& name, HookWish wish, Caller const& caller, Changed done) {
    auto const* run = find(name);
    auto is_new = run == nullptr;
    auto now = world_.clock();
    if (changing_.contains(name)) return done(Change::busy, {});
    if (is_new && runs_.size() + changing_.size() >= limits_.hooks_max) {
        return done(Change::too_many, {});
    }
    auto hook = is_new ? Hook{} : run->hook;
    auto is_secret_new = is_new || (!wish.secret.empty() && wish.secret != hook.secret);
    if (is_new) hook.begin = world_.log.head_offset();
    if (is_secret_new && !is_new) {
        hook.old_secret = hook.secret;
        hook.old_secret_until = now.wall + limits_.secret_overlap;
    }
    if (is_secret_new) {
        hook.secret = wish.secret.empty() ? make_hook_secret(world_.random) : wish.secret;
    }
    hook.name = name;
    hook.url = std::move(wish.url);
    hook.topics = std::move(wish.topics);
    hook.format = wish.format;
    hook.state = wish.state;
    hook.why.clear();
    ++hook.version;
    changing_.insert(name);
    auto audit = audit_of(hook, is_new ? "hook.made" : "hook.updated", caller, now);
    auto shown = is_secret_new ? hook.secret : std::string{};
    world_.store.put_hook(
        hook, std::move(audit), Need::now_or_never,
        [this, hook, is_new, shown = std::move(shown), done = std::move(done)](bool stored) {
            changing_.erase(hook.name);
            if (!stored) return done(Change::store_failed, {});
            apply(hook, is_new);
            done(is_new ? Change::made : Change::changed, shown);
        });
}

void Hooks::apply(Hook hook, bool is_new) {
    if (is_new) {
        auto begin = hook.begin;
        add(std::move(hook), begin);
    } else {
        auto& run = *run_of(hook.name);
        auto is_other = run.hook.topics != hook.topics;
        run.hook = std::move(hook);
        // What was read by the old topics and has not begun is read again by the new ones.
        if (is_other) {
            auto place = run.taken.empty() ? run.reader->position() : run.taken.front().offset - 1;
            run.taken.clear();
            follow(run, place);
        }
    }
    wake(world_.clock().steady);
}

void Hooks::erase(std::string const& name, Caller const& caller, Changed done) {
    auto const* run = find(name);
    if (changing_.contains(name)) return done(Change::busy, {});
    if (run == nullptr) return done(Change::no_such_hook, {});
    changing_.insert(name);
    world_.store.erase_hook(name, audit_of(run->hook, "hook.deleted", caller, world_.clock()),
                            [this, name, done = std::move(done)](bool stored) {
                                changing_.erase(name);
                                if (stored) forget(name);
                                done(stored ? Change::removed : Change::store_failed, {});
                            });
}

void Hooks::forget(std::string const& name) {
    for (auto& [ticket, flight] : flights_) {
        if (flight.hook == name) flight.hook.clear();
    }
    runs_.erase(name);
    world_.log.store().erase_position("hook/" + name);
}

Hooks::Resend Hooks::resend(std::string const& name, std::string const& id) {
    auto& run = *run_of(name);
    auto is_it = [&](auto const& item) {
        return item.second.hook == name && item.second.delivery.id == id;
    };
    if (std::ranges::any_of(flights_, is_it)) return Resend::under_way;
    auto now = world_.clock();
    HookDelivery delivery;
    if (auto const* kept = run.kept(id)) {
        delivery = *kept;
    } else {
        auto cursor = Cursor::parse(id);
        if (!cursor || cursor->epoch != world_.log.epoch() || cursor->offset == 0) {
            return Resend::no_such_delivery;
        }
        auto page = world_.log.read(cursor->offset - 1, run.hook.topics, 1);
        if (page.events.empty() || page.events[0]->offset() != cursor->offset ||
            cursor->offset > run.place()) {
            return Resend::no_such_delivery;
        }
        delivery = make_hook_delivery(run.hook, *page.events[0]);
        delivery.made_at = now.wall;
    }
    if (run.waiting() + run.begun() >= limits_.queue_max) return Resend::queue_full;
    delivery.state = DeliveryState::waiting;
    delivery.attempts = 0;
    delivery.due_at = now.wall;
    keep(run, std::move(delivery), false);
    wake(now.steady);
    return Resend::asked;
}

HookRun const* Hooks::find(std::string_view name) const {
    auto found = runs_.find(name);
    return found == runs_.end() ? nullptr : found->second.get();
}

std::vector<HookRun const*> Hooks::list() const {
    std::vector<HookRun const*> out;
    for (auto const& [name, run] : runs_) out.push_back(run.get());
    return out;
}

std::vector<HookReport> Hooks::deliveries(std::string_view name, std::size_t limit) const {
    auto const* run = find(name);
    if (run == nullptr) return {};
    std::vector<HookReport> out;
    std::set<std::string_view> under_way;
    for (auto const& [ticket, flight] : flights_) {
        if (flight.hook != name) continue;
        auto const& d = flight.delivery;
        under_way.insert(d.id);
        out.push_back({d.id, d.topic, "sending", d.attempts, d.made_at, {}, d.outcome});
    }
    for (auto const& [id, d] : run->all_kept()) {
        if (under_way.contains(id)) continue;
        auto is_dead = d.state == DeliveryState::dead;
        auto due = is_dead ? std::nullopt : std::optional{d.due_at};
        out.push_back(
            {id, d.topic, is_dead ? "dead" : "waiting", d.attempts, d.made_at, due, d.outcome});
    }
    out.insert(out.end(), run->reports().begin(), run->reports().end());
    std::ranges::stable_sort(out, std::ranges::greater{}, &HookReport::made_at);
    if (out.size() > limit) out.resize(limit);
    return out;
}

std::uint64_t Hooks::behind(HookRun const& run) const {
    return world_.log.head_offset() - std::min(run.place(), world_.log.head_offset());
}

std::size_t Hooks::waiting() const {
    std::size_t out = 0;
    for (auto const& [name, run] : runs_) out += run->waiting();
    return out;
}

}  // namespace spoke::bridge
