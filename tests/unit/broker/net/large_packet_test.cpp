#include "broker/net/large_packet.hpp"

#include <catch2/catch.hpp>

using namespace spoke;
using namespace spoke::broker;

namespace {

constexpr std::size_t kGrowthMin = 64 * 1024;
constexpr std::size_t kPacket = std::size_t{100} << 20;

/// One read that brings `size` bytes.
void read(Buffer& partial, std::size_t size) {
    std::size_t held = partial.size();
    auto room = make_room(partial, kPacket, kGrowthMin);
    partial.resize(held + std::min(size, room.size()));
}

}  // namespace

TEST_CASE("Large packet: the room is what a read may bring, however much is missing", "[net]") {
    auto held = GENERATE(std::size_t{1}, std::size_t{1000}, kGrowthMin, kPacket / 2);
    Buffer partial(held);
    auto room = make_room(partial, kPacket, kGrowthMin);
    CHECK(room.size() >= std::min(held, kGrowthMin));
    CHECK(room.size() <= kLargeReadMax);
    CHECK(room.data() == partial.data() + held);
    CHECK(partial.capacity() <= held + std::max(held, kGrowthMin));
}

TEST_CASE("Large packet: the room ends with the packet", "[net]") {
    auto missing = GENERATE(std::size_t{1}, std::size_t{2}, kLargeReadMax - 1, kLargeReadMax);
    Buffer partial(kPacket - missing);
    CHECK(make_room(partial, kPacket, kGrowthMin).size() == missing);
    CHECK(partial.size() == kPacket);
    CHECK(partial.capacity() == kPacket);
}

TEST_CASE("Large packet: memory grows by doubling, also when it comes byte by byte", "[net]") {
    auto size = GENERATE(std::size_t{1}, std::size_t{1500}, kLargeReadMax);
    Buffer partial(kGrowthMin);
    std::size_t moves = 0;
    for (int i = 0; i < 200'000 && partial.size() < kPacket; ++i) {
        auto const* before = partial.data();
        read(partial, size);
        if (partial.data() != before) ++moves;
        REQUIRE(partial.capacity() <= std::max(2 * partial.size(), partial.size() + kGrowthMin));
    }
    CHECK(moves <= 12);  // log2 of packet by first room, and one
}
