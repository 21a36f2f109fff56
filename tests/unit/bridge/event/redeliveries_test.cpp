#include "bridge/event/redeliveries.hpp"

#include <catch2/catch.hpp>
#include <memory>
#include <vector>

namespace spoke::bridge::test {
namespace {

Redeliveries::Hold hold() {
    return std::make_shared<int>(1);
}

/// What a session delivers, and what of it is recorded.
struct Deliveries {
    void comes(EventArrival arrival, bool is_stored = true) {
        redeliveries.add(arrival);
        if (is_stored) redeliveries.on_stored(arrival);
    }
    bool comes_again(EventArrival arrival) { return redeliveries.knows(arrival, hold()); }

    Redeliveries redeliveries;
};

}  // namespace

TEST_CASE("redeliveries: what is recorded is known in the order of the first time",
          "[bridge][event]") {
    Deliveries d;
    d.redeliveries.on_session(false);
    for (std::uint16_t id = 1; id <= 5; ++id) d.comes({id, 100U + id});
    d.redeliveries.on_session(true);
    CHECK(d.comes_again({3, 103}));
    CHECK(d.comes_again({4, 104}));
    CHECK_FALSE(d.comes_again({3, 103}));  // it comes once
    CHECK(d.comes_again({5, 105}));
    CHECK_FALSE(d.comes_again({6, 106}));  // not recorded
}

TEST_CASE("redeliveries: another message with the same packet id is new", "[bridge][event]") {
    Deliveries d;
    d.redeliveries.on_session(true);
    d.comes({1, 101});
    CHECK_FALSE(d.comes_again({1, 999}));
    d.comes({1, 999});
    d.redeliveries.on_session(true);
    CHECK_FALSE(d.comes_again({1, 101}));  // the broker has given its id away: it was acknowledged
    CHECK(d.comes_again({1, 999}));
}

TEST_CASE("redeliveries: identical messages are told apart by their packet ids",
          "[bridge][event]") {
    Deliveries d;
    d.redeliveries.on_session(false);
    for (std::uint16_t id = 1; id <= 3; ++id) d.comes({id, 7});
    d.redeliveries.on_session(true);
    CHECK(d.comes_again({2, 7}));
    CHECK(d.comes_again({3, 7}));
    CHECK_FALSE(d.comes_again({4, 7}));
    CHECK_FALSE(d.comes_again({1, 7}));  // it would have come first
}

TEST_CASE("redeliveries: a new session has nothing to do with the one before", "[bridge][event]") {
    Deliveries d;
    d.redeliveries.on_session(false);
    d.comes({1, 7});
    d.redeliveries.on_session(false);
    CHECK_FALSE(d.comes_again({1, 7}));
    d.redeliveries.on_session(true);
    CHECK_FALSE(d.comes_again({1, 7}));
}

TEST_CASE("redeliveries: what the process before has recorded is known", "[bridge][event]") {
    Redeliveries redeliveries;
    redeliveries.restore({{1, 101}, {2, 102}, {1, 103}});
    CHECK_FALSE(redeliveries.knows({2, 102}, hold()));  // no connection yet
    redeliveries.on_session(true);
    CHECK(redeliveries.knows({2, 102}, hold()));
    CHECK_FALSE(redeliveries.knows({1, 101}, hold()));
    CHECK(redeliveries.knows({1, 103}, hold()));
}

TEST_CASE("redeliveries: what is on its way to the store is held until it is there",
          "[bridge][event]") {
    EventArrival arrival{GENERATE(as<std::uint16_t>{}, 0, 1), 101};
    Deliveries d;
    d.redeliveries.on_session(false);
    d.comes(arrival, false);
    d.redeliveries.on_session(true);
    auto again = hold();
    std::weak_ptr<void> held{again};
    CHECK(d.redeliveries.knows(arrival, std::move(again)));
    CHECK_FALSE(held.expired());
    d.redeliveries.on_stored(arrival);
    CHECK(held.expired());
}

TEST_CASE("redeliveries: what the broker has named is known whenever and however often it comes",
          "[bridge][event]") {
    Deliveries d;
    d.redeliveries.on_session(false);
    for (std::uint64_t name = 1; name <= 3; ++name) d.comes({0, name});
    CHECK(d.comes_again({0, 2}));
    d.redeliveries.on_session(true);
    CHECK(d.comes_again({0, 3}));
    CHECK(d.comes_again({0, 1}));
    CHECK(d.comes_again({0, 1}));
    CHECK_FALSE(d.comes_again({0, 4}));
    CHECK_FALSE(d.comes_again({1, 1}));  // a fingerprint that looks like a name
    d.redeliveries.on_session(false);
    CHECK_FALSE(d.comes_again({0, 1}));
}

TEST_CASE("redeliveries: so many names are remembered", "[bridge][event]") {
    Deliveries d;
    constexpr auto kMax = Redeliveries::kNamesMax;
    for (std::uint64_t name = 1; name <= kMax; ++name) d.comes({0, name});
    CHECK(d.comes_again({0, 1}));
    d.comes({0, kMax + 1});
    CHECK_FALSE(d.comes_again({0, 1}));
    CHECK(d.comes_again({0, 2}));
}

TEST_CASE("redeliveries: a fingerprint is of all parts and their borders", "[bridge][event]") {
    auto of = [](std::string_view a, std::string_view b) {
        return Fingerprint{}.add(a).add(b).value();
    };
    CHECK(of("a", "b") == of("a", "b"));
    CHECK(of("a", "b") != of("b", "a"));
    CHECK(of("ab", "") != of("a", "b"));
    CHECK(of("", "ab") != of("ab", ""));
}

}  // namespace spoke::bridge::test
