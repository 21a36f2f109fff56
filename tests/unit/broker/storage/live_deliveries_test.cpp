#include "broker/storage/live_deliveries.hpp"

#include <catch2/catch.hpp>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "broker/storage/flat_map.hpp"
#include "tests/support/seed.hpp"

using namespace spoke;
using namespace spoke::broker;
using Removed = LiveDeliveries::Removed;

namespace {

StoredAs own(std::uint64_t number) {
    return {DeliveryNumber{number}, 0};
}

}  // namespace

TEST_CASE("FlatMap: holds what a std::map holds", "[store]") {
    auto seed = test::seed_or(7);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    FlatMap<std::uint64_t> map;
    std::map<std::uint64_t, std::uint64_t> expected;
    CHECK(map.find(1) == nullptr);
    map.erase(1);
    for (int step = 0; step < 100'000; ++step) {
        // Few keys, so that they come and go; some side by side, some far apart.
        auto key = 1 + random() % 300;
        if (random() % 2 == 0) key *= 0x1'0000'0001;
        if (random() % 2 == 0) {
            map[key] = expected[key] = random();
        } else {
            map.erase(key);
            expected.erase(key);
        }
        auto const* value = map.find(key);
        REQUIRE((value != nullptr) == expected.contains(key));
    }
    REQUIRE(map.size() == expected.size());
    for (auto const& [key, value] : expected) {
        REQUIRE(map.find(key) != nullptr);
        REQUIRE(*map.find(key) == value);
    }
    map.clear();
    CHECK(map.size() == 0);
    CHECK(map.find(expected.begin()->first) == nullptr);
}

TEST_CASE("LiveDeliveries: each counts once", "[store]") {
    LiveDeliveries live;
    CHECK(live.remove(own(70)) == Removed::nothing);
    live.add(own(70), 100);
    live.add(own(70), 100);
    CHECK(live.has(DeliveryNumber{70}));
    CHECK_FALSE(live.has(DeliveryNumber{71}));
    CHECK(live.deliveries() == 1);
    CHECK(live.messages() == 1);
    CHECK(live.message_bytes() == 100);
    CHECK(live.remove(own(70)) == Removed::with_message);
    CHECK(live.remove(own(70)) == Removed::nothing);
    CHECK(live.deliveries() == 0);
    CHECK(live.messages() == 0);
    CHECK(live.message_bytes() == 0);
}

TEST_CASE("LiveDeliveries: a shared message goes with the last", "[store]") {
    LiveDeliveries live;
    StoredAs as{DeliveryNumber{120}, 1};
    std::vector<StoredAs> all;
    for (int i = 0; i < 200; ++i, as = following(as)) {
        live.add(as, 1000);
        all.push_back(as);
    }
    CHECK(live.deliveries() == 200);
    CHECK(live.messages() == 1);
    CHECK(live.message_bytes() == 1000);
    for (std::size_t i = 0; i + 1 < all.size(); ++i) {
        REQUIRE(live.remove(all[i]) == Removed::delivery);
        REQUIRE(live.remove(all[i]) == Removed::nothing);
    }
    CHECK(live.message_bytes() == 1000);
    CHECK(live.remove(all.back()) == Removed::with_message);
    CHECK(live.message_bytes() == 0);
    CHECK(live.messages() == 0);
}

TEST_CASE("LiveDeliveries: the weight of messages comes out even", "[store]") {
    auto seed = test::seed_or(9);
    INFO("SPOKE_SEED=" << seed);
    std::mt19937_64 random{seed};
    LiveDeliveries live;
    std::map<std::uint64_t, std::uint32_t> there;
    std::uint64_t number = 0;
    for (int step = 0; step < 20'000; ++step) {
        if (random() % 5 < 3) {
            auto size = static_cast<std::uint32_t>(random() % 1'000'000);
            live.add(own(++number), size);
            there[number] = size;
        } else if (!there.empty()) {
            auto victim = std::next(
                there.begin(),
                static_cast<std::ptrdiff_t>(random() % std::min<std::size_t>(there.size(), 200)));
            REQUIRE(live.remove(own(victim->first)) == Removed::with_message);
            there.erase(victim);
        }
    }
    std::uint64_t bytes = 0;
    for (auto const& entry : there) bytes += entry.second;
    CHECK(live.messages() == there.size());
    // An estimate: the messages of each 64 numbers count as if they were alike.
    CHECK(static_cast<double>(live.message_bytes()) ==
          Approx(static_cast<double>(bytes)).epsilon(0.05));
    for (auto const& entry : there) (void)live.remove(own(entry.first));
    CHECK(live.message_bytes() == 0);
    CHECK(live.deliveries() == 0);
}
