#include "device-sim/load/flow.hpp"

#include <catch2/catch.hpp>

using namespace spoke;
using namespace spoke::sim::load;

TEST_CASE("flow window: one receiver frees what it has", "[load]") {
    FlowWindow window{2, 1};
    CHECK(window.is_empty());
    CHECK(window.take() == 0);
    CHECK(window.take() == 1);
    CHECK_FALSE(window.has_room());
    window.advance(1, 1);
    CHECK(window.has_room());
    CHECK_FALSE(window.is_empty());
    CHECK(window.take() == 2);
    window.advance(3, 2);
    CHECK(window.is_empty());
}

TEST_CASE("flow window: with many receivers the slowest one frees", "[load]") {
    FlowWindow window{2, 3};
    window.take();
    window.take();
    window.advance(2, 2);
    window.advance(2, 2);
    CHECK_FALSE(window.has_room());
    window.advance(1, 1);
    CHECK(window.has_room());
    CHECK(window.take() == 2);
    CHECK_FALSE(window.has_room());
    window.advance(2, 1);
    CHECK(window.has_room());
    for (int receiver = 0; receiver < 3; ++receiver) window.advance(3, 1);
    CHECK(window.is_empty());
}

TEST_CASE("flow window: what was written off and comes late is harmless", "[load]") {
    auto receivers = GENERATE(1U, 2U);
    FlowWindow window{2, receivers};
    window.take();
    window.take();
    window.write_off();
    CHECK(window.is_empty());
    CHECK(window.take() == 2);
    for (std::uint32_t i = 0; i < receivers; ++i) window.advance(2, 2);
    CHECK_FALSE(window.is_empty());
    for (std::uint32_t i = 0; i < receivers; ++i) window.advance(3, 1);
    CHECK(window.is_empty());
}

TEST_CASE("packet ids: each is given once until it is released", "[load]") {
    PacketIds ids{2};
    auto first = ids.take();
    auto second = ids.take();
    CHECK(first != second);
    CHECK_FALSE(ids.has_free());
    CHECK(ids.release(first));
    CHECK_FALSE(ids.release(first));
    CHECK_FALSE(ids.all_free());
    CHECK(ids.take() == first);
}

TEST_CASE("packet ids: an id that was never given cannot be released", "[load]") {
    PacketIds ids{2};
    CHECK_FALSE(ids.release(mqtt::PacketId{0}));
    CHECK_FALSE(ids.release(mqtt::PacketId{1}));
    CHECK_FALSE(ids.release(mqtt::PacketId{3}));
    CHECK(ids.all_free());
}
