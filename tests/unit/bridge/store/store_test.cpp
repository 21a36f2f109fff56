#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "bridge/store/memory_store.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

/// The form in memory, and a way to let it complete.
struct Memory {
    std::vector<std::function<void()>> tasks;
    MemoryStore store{{}, [this](std::function<void()> task) { tasks.push_back(std::move(task)); }};

    void run() {
        for (auto& task : std::exchange(tasks, {})) task();
    }
};

Command record(std::int64_t ms, CommandState state) {
    static auto random = counting_random();
    Command command;
    command.id = CommandId::make(WallTime{std::chrono::milliseconds{ms}}, random);
    command.request = unlock();
    command.state = state;
    command.keys = {"k1"};
    command.timeline.push_back({0ms, state, "tester", "why"});
    return command;
}

}  // namespace

TEST_CASE("store: what was put is there, complete", "[bridge][store]") {
    Memory form;
    auto& store = form.store;
    auto late = record(2, CommandState::queued);
    auto early = record(1, CommandState::sent);
    std::vector<bool> done;
    store.put(late, {}, Need::now_or_never, [&](bool stored) { done.push_back(stored); });
    store.put(early, {}, Need::certain, [&](bool stored) { done.push_back(stored); });
    CHECK(done.empty());  // never before put has returned
    form.run();
    CHECK(done == std::vector{true, true});

    auto open = [&] {
        std::vector<Command> out;
        store.visit_open([&](Command&& command) { out.push_back(std::move(command)); });
        return out;
    };
    CHECK(open() == std::vector{early, late});
    late.state = CommandState::succeeded;
    store.put(late, {}, Need::certain, {});
    CHECK(open() == std::vector{early});
    CHECK(store.find(late.id) == late);
    CHECK(store.commands({"b42"}) == std::vector{late, early});
}

}  // namespace spoke::bridge::test
