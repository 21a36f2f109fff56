#include "device-sim/watch/bad_cursor.hpp"

#include <catch2/catch.hpp>
#include <set>

namespace spoke::sim::test {

TEST_CASE("bad cursor: each kind is what it says", "[bad-cursor]") {
    Place start{"k7", 12};
    Dice dice{7};
    std::set<std::string> malformed;
    for (int i = 0; i < 100; ++i) {
        auto text = make_bad_cursor(BadCursor::malformed, start, dice);
        CHECK_FALSE(Place::parse(text));
        malformed.insert(text);
    }
    CHECK(malformed.size() == 5);
    for (auto const* epoch : {"k7", "other"}) {
        auto other = Place::parse(make_bad_cursor(BadCursor::epoch, {epoch, 12}, dice));
        REQUIRE(other);
        CHECK(other->epoch != epoch);
    }
    auto future = Place::parse(make_bad_cursor(BadCursor::future, start, dice));
    REQUIRE(future);
    CHECK(future->epoch == "k7");
    CHECK(future->offset > 1'000'000);
    CHECK(make_bad_cursor(BadCursor::too_old, start, dice) == "k7.12");
}

}  // namespace spoke::sim::test
