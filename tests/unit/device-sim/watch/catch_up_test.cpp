#include "device-sim/watch/catch_up.hpp"

#include <fmt/format.h>

#include <catch2/catch.hpp>
#include <initializer_list>
#include <string>

namespace spoke::sim::test {
namespace {

struct World {
    void take(std::initializer_list<std::uint64_t> offsets) {
        for (auto offset : offsets) {
            SeenEvent event;
            event.place = {"k7", offset};
            add(catch_up.take(std::move(event)));
        }
    }
    void take_rest() { add(catch_up.take_rest()); }
    void add(std::vector<SeenEvent> const& list) {
        for (auto const& event : list) {
            told += fmt::format("{}{}", told.empty() ? "" : " ", event.place.offset);
        }
    }

    CatchUp catch_up;
    std::string told;
};

}  // namespace

TEST_CASE("catch up: while nothing is missing all is told at once", "[catch-up]") {
    World w;
    w.take({1, 3, 2, 2});
    CHECK(w.told == "1 3 2 2");
    CHECK(w.catch_up.is_whole());
}

TEST_CASE("catch up: what is ahead of a missing topic waits for it", "[catch-up]") {
    World w;
    w.take({1});
    w.catch_up.begin();
    w.take({3, 6});
    w.take_rest();  // it says nothing of the missing one
    CHECK(w.told == "1");
    CHECK_FALSE(w.catch_up.is_whole());
    w.catch_up.resume();
    w.take({2, 4, 5});
    CHECK(w.told == "1 2 3 4 5");
    CHECK(w.catch_up.kept() == 1);
    SECTION("something behind all of it comes") {
        w.take({7});
        CHECK(w.told == "1 2 3 4 5 6 7");
    }
    SECTION("the server says that this was all") {
        w.take_rest();
        CHECK(w.told == "1 2 3 4 5 6");
    }
    CHECK(w.catch_up.is_whole());
}

TEST_CASE("catch up: it hides neither what comes twice nor a wrong order", "[catch-up]") {
    World w;
    w.catch_up.begin();
    w.take({4, 3});
    w.catch_up.resume();
    SECTION("twice") {
        w.take({1, 1, 3, 5});
        CHECK(w.told == "1 1 3 4 3 5");
    }
    SECTION("a wrong order") {
        w.take({2, 1});
        w.take_rest();
        CHECK(w.told == "2 1 4 3");
    }
}

}  // namespace spoke::sim::test
