#include "broker/auth/hash_pool.hpp"

#include <atomic>
#include <catch2/catch.hpp>
#include <cstdlib>
#include <future>
#include <string>
#include <thread>
#include <tuple>
#include <vector>

using namespace spoke;
using namespace spoke::broker;

namespace {

std::shared_ptr<PasswordFile const> users() {
    Sha512Hash form{"salt", std::string(64, '\0')};
    auto text = "bob:" + to_text(hash_like(form, "open"));
    auto file = PasswordFile::parse(text, "users");
    if (!file) FAIL(file.error().text());
    return std::make_shared<PasswordFile const>(std::move(*file));
}

/// Holds a thread of the pool in a check's `done` until it is released.
struct Held {
    std::promise<void> begun;
    std::promise<void> release;

    [[nodiscard]] HashPool::Done done() {
        return [this](bool) {
            begun.set_value();
            release.get_future().wait();
        };
    }
};

}  // namespace

TEST_CASE("HashPool: tells the verdict on a thread of its own", "[auth]") {
    HashPool pool{{}};
    for (auto [user, password, expected] :
         {std::tuple{"bob", "open", true}, {"bob", "shut", false}, {"eve", "open", false}}) {
        std::promise<std::pair<bool, std::thread::id>> told;
        REQUIRE(pool.check(users(), user, Secret{password}, [&told](bool accepted) {
            told.set_value({accepted, std::this_thread::get_id()});
        }));
        auto [accepted, thread] = told.get_future().get();
        CHECK(accepted == expected);
        CHECK(thread != std::this_thread::get_id());
    }
}

TEST_CASE("HashPool: refuses at once what is more than may wait", "[auth]") {
    HashPool pool{{1, 2}};
    auto file = users();
    Held held;
    REQUIRE(pool.check(file, "bob", Secret{"open"}, held.done()));
    held.begun.get_future().wait();
    std::string order;
    std::promise<void> last;
    CHECK(pool.check(file, "bob", Secret{"open"}, [&order](bool) { order += '1'; }));
    CHECK(pool.check(file, "bob", Secret{"open"}, [&](bool) {
        order += '2';
        last.set_value();
    }));
    CHECK(pool.pending() == 2);
    CHECK_FALSE(pool.check(file, "bob", Secret{"open"}, [&order](bool) { order += '3'; }));
    held.release.set_value();
    last.get_future().wait();
    CHECK(order == "12");
    std::promise<bool> after;
    CHECK(
        pool.check(file, "bob", Secret{"open"}, [&](bool accepted) { after.set_value(accepted); }));
    CHECK(after.get_future().get());
}

TEST_CASE("HashPool: a stop drops what waits and awaits what has begun", "[auth]") {
    HashPool pool{{1, 100}};
    auto file = users();
    Held held;
    std::atomic<int> told{0};
    REQUIRE(pool.check(file, "bob", Secret{"open"}, held.done()));
    held.begun.get_future().wait();
    for (auto i = 0; i < 50; ++i)
        REQUIRE(pool.check(file, "bob", Secret{"open"}, [&told](bool) { ++told; }));
    auto stopping = std::async(std::launch::async, [&pool] { pool.stop(); });
    while (pool.pending() > 0) std::this_thread::yield();
    held.release.set_value();
    stopping.get();
    CHECK(told == 0);
    CHECK_FALSE(pool.check(file, "bob", Secret{"open"}, [&told](bool) { ++told; }));
    pool.stop();
    CHECK(told == 0);
    CHECK(file.use_count() == 1);
}

TEST_CASE("HashPool: several threads take checks from several others", "[auth]") {
    HashPool pool{{3, 10'000}};
    auto file = users();
    std::atomic<int> accepted{0};
    std::atomic<int> refused{0};
    auto told = [&](bool yes) { ++(yes ? accepted : refused); };
    std::vector<std::thread> callers;
    for (auto caller = 0; caller < 4; ++caller) {
        callers.emplace_back([&] {
            for (auto i = 0; i < 100; ++i) {
                if (!pool.check(file, "bob", Secret{i % 2 ? "open" : "shut"}, told)) std::abort();
            }
        });
    }
    for (auto& caller : callers) caller.join();
    while (accepted + refused < 400) std::this_thread::yield();
    CHECK(accepted == 200);
    CHECK(refused == 200);
}
