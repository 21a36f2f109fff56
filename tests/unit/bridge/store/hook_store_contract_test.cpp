#include <sqlite3.h>

#include <catch2/catch.hpp>
#include <memory>
#include <string>
#include <vector>

#include "tests/unit/bridge/store/forms.hpp"

namespace spoke::bridge::test {
namespace {

std::unique_ptr<StoreForm> make_form(std::string_view name) {
    if (name == "sqlite") return std::make_unique<SqliteForm>();
    return std::make_unique<MemoryForm>();
}

Hook shop() {
    Hook hook;
    hook.name = "shop";
    hook.url = "https://shop.example/in?a=\"b'";
    hook.topics = {"d/+/evt", "t/#"};
    hook.format = HookFormat::cloudevents;
    hook.state = HookState::disabled;
    hook.why = "410";
    hook.secret = "whsec_1";
    hook.old_secret = "whsec_2";
    hook.old_secret_until = FakeClock{}.now.wall + 1h;
    hook.begin = 17;
    hook.version = 3;
    return hook;
}

HookDelivery delivery(std::string hook, std::uint64_t offset) {
    HookDelivery out;
    out.hook = std::move(hook);
    out.id = "k7." + std::to_string(offset);
    out.offset = offset;
    out.topic = "t/1";
    out.format = HookFormat::cloudevents;
    out.attempts = 2;
    out.made_at = FakeClock{}.now.wall;
    out.due_at = FakeClock{}.now.wall + 5s;
    out.outcome = "timeout";
    return out;
}

HookDelivery with_body(HookDelivery of, std::string body) {
    of.body = std::move(body);
    return of;
}

std::vector<Hook> hooks(StoreForm& form) {
    std::vector<Hook> out;
    form.hooks().visit_hooks([&](Hook&& hook) { out.push_back(std::move(hook)); });
    return out;
}

std::vector<HookDelivery> deliveries(StoreForm& form) {
    std::vector<HookDelivery> out;
    form.hooks().visit_deliveries([&](HookDelivery&& one) { out.push_back(std::move(one)); });
    return out;
}

AuditEntry line(std::string what) {
    AuditEntry entry;
    entry.who = "user:7";
    entry.what = std::move(what);
    return entry;
}

}  // namespace

TEST_CASE("hook store: a hook is there, complete, until it is removed", "[bridge][store][hook]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    Hook other;
    other.name = "a";
    form->hooks().put_hook(shop(), line("hook.made"), Need::now_or_never, form->done());
    form->hooks().put_hook(other, line("hook.made"), Need::certain, form->done());
    CHECK(form->outcomes.empty());  // never before the call has returned
    form->await_all();
    form->reopen();
    CHECK(hooks(*form) == std::vector{other, shop()});
    auto changed = shop();
    changed.url = "https://shop.example/2";
    changed.old_secret.clear();
    form->hooks().put_hook(changed, line("hook.updated"), Need::now_or_never, form->done());
    form->hooks().erase_hook("a", line("hook.deleted"), form->done());
    form->await_all();
    form->reopen();
    CHECK(hooks(*form) == std::vector{changed});
    std::vector<std::string> trail;
    for (auto const& told : form->store().audit({})) trail.push_back(told.entry.what);
    CHECK(trail ==
          std::vector<std::string>{"hook.made", "hook.made", "hook.updated", "hook.deleted"});
}

TEST_CASE("hook store: deliveries in the order of hooks and offsets, with their bodies",
          "[bridge][store][hook]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto& store = form->hooks();
    for (auto const& name : {"shop", "a"}) {
        Hook hook;
        hook.name = name;
        store.put_hook(hook, {}, Need::certain, form->done());
    }
    store.put_delivery(with_body(delivery("shop", 10), "ten"), form->done());
    store.put_delivery(with_body(delivery("shop", 9), "nine"), form->done());
    store.put_delivery(with_body(delivery("a", 10), "a's"), form->done());
    form->await_all();
    auto dead = delivery("shop", 10);
    dead.state = DeliveryState::dead;
    dead.attempts = 7;
    dead.outcome = "500";
    dead.due_at += 10h;
    store.put_delivery(dead, form->done());
    form->await_all();
    form->reopen();
    CHECK(deliveries(*form) == std::vector{delivery("a", 10), delivery("shop", 9), dead});
    CHECK(form->hooks().delivery_body("shop", "k7.10") == "ten");
    CHECK(form->hooks().delivery_body("a", "k7.10") == "a's");
    CHECK_FALSE(form->hooks().delivery_body("a", "k7.9"));

    form->hooks().erase_delivery("shop", "k7.10");
    form->hooks().erase_hook("a", {}, form->done());
    form->await_all();
    form->reopen();
    CHECK(deliveries(*form) == std::vector{delivery("shop", 9)});
}

TEST_CASE("hook store: while the disk fails a change is refused, a delivery waits",
          "[bridge][store][hook]") {
    SqliteForm form;
    form.hooks().put_hook(shop(), {}, Need::now_or_never, form.done());
    form.await_all();
    form.disk.fail_writes(SQLITE_FULL);
    form.hooks().put_hook(shop(), {}, Need::now_or_never, form.done());
    form.await_all();
    CHECK_FALSE(form.outcomes.back().second);
    form.hooks().erase_hook("shop", {}, form.done());
    form.await_all();
    CHECK_FALSE(form.outcomes.back().second);
    form.hooks().put_delivery(with_body(delivery("shop", 9), "nine"), form.done());
    form.tasks.run_all();
    CHECK(form.outcomes.size() + 1 == form.asked);
    form.disk.fail_writes(SQLITE_OK);
    form.await_all();
    CHECK(form.outcomes.back().second);
    form.reopen();
    CHECK(form.hooks().delivery_body("shop", "k7.9") == "nine");
    CHECK(hooks(form) == std::vector{shop()});
}

}  // namespace spoke::bridge::test
