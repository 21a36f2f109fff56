#include <catch2/catch.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "bridge/store/memory_store.hpp"
#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {
namespace {

/// One form of the store, and a way to let it complete.
struct Form {
    std::vector<std::function<void()>> tasks;
    std::unique_ptr<CommandStore> store;

    void run() {
        for (auto& task : std::exchange(tasks, {})) task();
    }
};

Form memory_form(Form& form) {
    form.store = std::make_unique<MemoryStore>(
        [&form](std::function<void()> task) { form.tasks.push_back(std::move(task)); });
    return {};
}

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

TEST_CASE("command store: what was put is there, complete, until it is erased", "[bridge][store]") {
    Form form;
    memory_form(form);
    auto& store = *form.store;
    auto late = record(2, CommandState::queued);
    auto early = record(1, CommandState::sent);
    std::vector<bool> done;
    store.put(late, [&](bool stored) { done.push_back(stored); });
    store.put(early, [&](bool stored) { done.push_back(stored); });
    CHECK(done.empty());  // never before put has returned
    form.run();
    CHECK(done == std::vector{true, true});

    auto all = [&] {
        std::vector<Command> out;
        store.visit([&](Command const& command) { out.push_back(command); });
        return out;
    };
    CHECK(all() == std::vector{early, late});
    late.state = CommandState::succeeded;
    store.put(late, [](bool) {});
    form.run();
    CHECK(all() == std::vector{early, late});
    store.erase(early.id);
    store.erase(early.id);
    CHECK(all() == std::vector{late});
}

}  // namespace spoke::bridge::test
