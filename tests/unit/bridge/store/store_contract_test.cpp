#include <catch2/catch.hpp>
#include <memory>
#include <vector>

#include "tests/support/seed.hpp"
#include "tests/unit/bridge/store/forms.hpp"
#include "tests/unit/bridge/store/random_writes.hpp"

namespace spoke::bridge::test {
namespace {

SqliteStore::Settings on_the_real_disk() {
    SqliteStore::Settings settings;
    settings.vfs = "unix";
    settings.classes = RandomWrites::classes();
    return settings;
}

std::unique_ptr<StoreForm> make_form(std::string_view name) {
    if (name == "sqlite") return std::make_unique<SqliteForm>(on_the_real_disk());
    return std::make_unique<MemoryForm>();
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

std::vector<std::uint64_t> numbers(Store const& store, AuditQuery const& query) {
    std::vector<std::uint64_t> out;
    for (auto const& line : store.audit(query)) out.push_back(line.number);
    return out;
}

/// Every list that can be asked for, of both, with limits and beginnings.
void check_lists(Store const& a, Store const& b, RandomWrites const& script) {
    for (auto const& device : RandomWrites::devices()) {
        for (auto open_only : {false, true}) {
            for (std::size_t limit : {0U, 1U, 3U, 1'000U}) {
                auto before = script.ids()[limit % script.ids().size()];
                CHECK(a.commands({device, open_only, {}, limit}) ==
                      b.commands({device, open_only, {}, limit}));
                CHECK(a.commands({device, open_only, before, limit}) ==
                      b.commands({device, open_only, before, limit}));
            }
        }
    }
    auto const all = a.audit({.limit = 1'000'000});
    std::vector<std::string> devices{""};
    std::vector<std::string> people{""};
    for (auto const& device : RandomWrites::devices()) devices.push_back(device);
    for (auto const& who : RandomWrites::people()) people.push_back(who);
    for (auto const& device : devices) {
        for (auto const& who : people) {
            for (std::size_t limit : {1U, 7U, 100'000U}) {
                auto since = limit == 7U ? WallTime{} : all[all.size() * 2 / 3].entry.at;
                AuditQuery query{all.size() / 4, device, who, since, limit};
                CHECK(numbers(a, query) == numbers(b, query));
                query.after = 0;
                CHECK(numbers(a, query) == numbers(b, query));
            }
        }
    }
}

}  // namespace

TEST_CASE("store: what was put is there, complete", "[bridge][store]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto& store = form->store();
    auto late = record(2, CommandState::queued);
    auto early = record(1, CommandState::sent);
    store.put(late, {}, Need::now_or_never, form->done());
    store.put(early, {}, Need::certain, form->done());
    CHECK(form->outcomes.empty());  // never before put has returned
    form->await_all();
    CHECK(form->outcomes == std::vector<std::pair<std::size_t, bool>>{{0, true}, {1, true}});

    auto open = [&] {
        std::vector<Command> out;
        store.visit_open([&](Command&& command) { out.push_back(std::move(command)); });
        return out;
    };
    CHECK(open() == std::vector{early, late});
    late.state = CommandState::succeeded;
    store.put(late, {}, Need::certain, form->done());
    form->await_all();
    CHECK(open() == std::vector{early});
    CHECK(store.find(late.id) == late);
    CHECK(store.commands({"b42"}) == std::vector{late, early});
    CHECK(store.find_by_key("k1") == late);
    CHECK_FALSE(store.find_by_key("k2"));
    CHECK_FALSE(store.find(record(3, CommandState::queued).id));
}

TEST_CASE("store: a device keeps its number when nothing is said of it any more",
          "[bridge][store]") {
    auto form = make_form(GENERATE("memory", "sqlite"));
    auto command = record(1, CommandState::queued);
    command.n = 7;
    form->store().put(command, {}, Need::now_or_never, form->done());
    DeviceRecord said{"b42", "Bike 42", "bike", {"north"}, {"unlock"}, 3};
    form->store().put_device(said, {}, form->done());
    auto only = [&] {
        std::vector<StoredDevice> out;
        form->store().visit_devices([&](StoredDevice&& device) { out.push_back(device); });
        REQUIRE(out.size() == 1);
        return out[0];
    };
    form->await_all();
    form->reopen();
    CHECK(only().record == said);
    CHECK(only().n == 7);
    form->store().erase_device("b42", {}, form->done());
    command.n = 6;  // of an older order
    form->store().put(command, {}, Need::certain, form->done());
    form->await_all();
    form->reopen();
    CHECK(only().record == DeviceRecord{"b42"});
    CHECK(only().n == 7);
}

TEST_CASE("store: the forms tell the same after the same writes, also when opened anew",
          "[bridge][store]") {
    auto seed = spoke::test::seed_or(5'001) + static_cast<std::uint64_t>(GENERATE(range(0, 4)));
    INFO("SPOKE_SEED=" << seed);
    MemoryForm memory{RandomWrites::classes()};
    SqliteForm sqlite{on_the_real_disk()};
    RandomWrites script{seed};
    for (auto round = 0; round < 4; ++round) {
        for (auto i = 0; i < 60; ++i) {
            auto step = script.next();
            step.run(memory.both(), memory.done());
            step.run(sqlite.both(), sqlite.done());
            // Some in one commit, some alone.
            if (i % 7 == 0) sqlite.await_all();
        }
        memory.await_all();
        sqlite.await_all();
        CHECK(sqlite.outcomes == memory.outcomes);
        auto expected = contents_of(memory.both(), script);
        CHECK(difference(contents_of(sqlite.both(), script), expected) == "");
        sqlite.reopen();
        CHECK(difference(contents_of(sqlite.both(), script), expected) == "");
        check_lists(sqlite.store(), memory.store(), script);
    }
}

}  // namespace spoke::bridge::test
