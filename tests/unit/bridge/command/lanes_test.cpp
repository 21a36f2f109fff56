#include "bridge/command/lanes.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/bridge/support/fixture.hpp"

namespace spoke::bridge::test {

TEST_CASE("lanes: order of acceptance, each lane by itself", "[bridge][lanes]") {
    auto random = counting_random();
    auto make = [&] { return CommandId::make(WallTime{1s}, random); };
    auto a = make();
    auto b = make();
    auto c = make();
    Lanes lanes;
    CHECK_FALSE(lanes.front("b42", "lock"));
    lanes.push("b42", "lock", a);
    lanes.push("b42", "lock", b);
    lanes.push("b42", "info", c);
    CHECK(lanes.front("b42", "lock") == a);
    CHECK(lanes.front("b42", "info") == c);
    CHECK_FALSE(lanes.front("b43", "lock"));
    CHECK(lanes.size("b42", "lock") == 2);
    CHECK(lanes.all("b42", "lock") == std::vector{a, b});

    CHECK_FALSE(lanes.remove("b42", "lock", c));
    CHECK_FALSE(lanes.remove("b42", "lock", b));  // there, but not at the front
    CHECK(lanes.remove("b42", "lock", a));
    CHECK_FALSE(lanes.remove("b42", "lock", a));
    CHECK(lanes.size("b42", "lock") == 0);
    CHECK(lanes.front("b42", "info") == c);
}

}  // namespace spoke::bridge::test
