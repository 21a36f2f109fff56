#include "broker/core/ring.hpp"

#include <catch2/catch.hpp>
#include <deque>
#include <memory>
#include <random>

#include "tests/support/seed.hpp"

using namespace spoke;
using broker::Ring;

TEST_CASE("ring: is a queue") {
    Ring<int> ring;
    CHECK(ring.empty());
    for (int i = 0; i < 10; ++i) CHECK(ring.push_back(i) == i);
    CHECK(ring.size() == 10);
    CHECK(ring.front() == 0);
    CHECK(ring.back() == 9);
    ring.pop_front();
    ring.pop_back();
    CHECK(ring.front() == 1);
    CHECK(ring.back() == 8);
    CHECK(ring[3] == 4);
    ring.clear();
    CHECK(ring.empty());
    ring.push_back(5);
    CHECK(ring.front() == 5);
}

TEST_CASE("ring: moves, and destroys what it holds once") {
    auto counted = std::make_shared<int>(1);
    {
        Ring<std::shared_ptr<int>> ring;
        for (int i = 0; i < 100; ++i) ring.push_back(counted);
        for (int i = 0; i < 40; ++i) ring.pop_front();
        CHECK(counted.use_count() == 61);
        Ring<std::shared_ptr<int>> moved(std::move(ring));
        CHECK(moved.size() == 60);
        CHECK(counted.use_count() == 61);
        Ring<std::shared_ptr<int>> other;
        other.push_back(counted);
        other = std::move(moved);
        CHECK(other.size() == 60);
        CHECK(counted.use_count() == 61);
    }
    CHECK(counted.use_count() == 1);
}

TEST_CASE("ring: agrees with a deque under random use") {
    auto seed = test::seed_or(7);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    Ring<std::unique_ptr<int>> ring;
    std::deque<int> model;
    int next = 0;
    for (int step = 0; step < 30'000; ++step) {
        // Grows for a while, then shrinks, so that it passes every size up and down.
        bool grows = (step / 500) % 2 == 0;
        auto dice = random() % 10;
        if (grows ? dice < 7 : dice < 3) {
            ring.push_back(std::make_unique<int>(next));
            model.push_back(next++);
        } else if (!model.empty() && dice % 4 == 0) {
            ring.pop_back();
            model.pop_back();
        } else if (!model.empty()) {
            ring.pop_front();
            model.pop_front();
        }
        REQUIRE(ring.size() == model.size());
        if (model.empty()) continue;
        REQUIRE(*ring.front() == model.front());
        REQUIRE(*ring.back() == model.back());
        auto at = random() % model.size();
        REQUIRE(*ring[static_cast<std::uint32_t>(at)] == model[at]);
    }
}
