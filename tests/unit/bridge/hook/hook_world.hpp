#pragma once

#include <catch2/catch.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bridge/hook/hooks.hpp"
#include "bridge/store/memory_event_store.hpp"
#include "bridge/store/memory_hook_store.hpp"
#include "tests/unit/bridge/support/fake_hook_client.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

/// Hooks over a log and stores that outlive them, as a disk would.
struct HookWorld {
    explicit HookWorld(Hooks::Limits limits_ = {}, std::vector<EventClass> classes = {{"t/#"}})
        : limits{limits_},
          event_store{"k7", classes, defer()},
          log{EventLog::Settings{.classes = classes, .tail_events_max = 4}, event_store},
          hook_store{defer(), [this](AuditEntry entry) { trail.push_back(std::move(entry)); }} {
        start();
    }

    std::function<void(std::function<void()>)> defer() {
        return [this](std::function<void()> task) { tasks.push_back(std::move(task)); };
    }

    /// A process begins; whatever the one before it had under way is lost.
    void start() {
        client = std::make_unique<FakeHookClient>();
        wake.reset();
        hooks = std::make_unique<Hooks>(
            limits, Hooks::World{log, hook_store, *client, [this] { return clock.now; },
                                 [random = counting_random()] { return random(); },
                                 [this](SteadyTime when) { wake = when; },
                                 [this](std::string const& line) { lines.push_back(line); }});
        hooks->restore();
        run();
    }

    /// The store commits what it has, and timers that are due go off.
    void run() {
        for (;;) {
            if (!tasks.empty()) {
                auto task = std::move(tasks.front());
                tasks.pop_front();
                task();
            } else if (wake && *wake <= clock.now.steady) {
                wake.reset();
                hooks->on_timer();
            } else {
                return;
            }
        }
    }

    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        run();
    }

    void record(std::string topic, std::string data = "1") {
        EventDraft draft;
        draft.topic = std::move(topic);
        draft.data = std::move(data);
        log.record(std::move(draft), Need::now_or_never, clock.now, {});
        run();
    }

    std::pair<Hooks::Change, std::string> put(std::string const& name, HookWish wish) {
        std::pair<Hooks::Change, std::string> out;
        hooks->put(name, std::move(wish), {"user:7"},
                   [&](Hooks::Change change, auto const& secret) {
                       out = {change, secret};
                   });
        run();
        return out;
    }

    Hooks::Change erase(std::string const& name) {
        auto out = Hooks::Change::made;
        hooks->erase(name, {"user:7"}, [&](Hooks::Change change, auto const&) { out = change; });
        run();
        return out;
    }

    std::string answer(unsigned status, std::string retry_after = {}) {
        auto id = client->answer(status, std::move(retry_after));
        run();
        return id;
    }

    /// "k7.1 waiting 1", newest first.
    std::vector<std::string> deliveries(std::string_view name) const {
        std::vector<std::string> out;
        for (auto const& report : hooks->deliveries(name, 1'000)) {
            out.push_back(report.id + " " + std::string{report.state} + " " +
                          std::to_string(report.attempts));
        }
        return out;
    }

    using Ids = std::vector<std::string>;

    Hooks::Limits limits;
    FakeClock clock;
    std::deque<std::function<void()>> tasks;
    std::optional<SteadyTime> wake;
    std::vector<AuditEntry> trail;
    std::vector<std::string> lines;
    MemoryEventStore event_store;
    EventLog log;
    MemoryHookStore hook_store;
    std::unique_ptr<FakeHookClient> client;
    std::unique_ptr<Hooks> hooks;
};

inline HookWish wish(std::vector<std::string> topics = {"t/#"}) {
    HookWish out;
    out.url = "https://app.example/in";
    out.topics = std::move(topics);
    return out;
}

}  // namespace spoke::bridge::test
