#include "device-sim/load/bystander.hpp"

#include <catch2/catch.hpp>

#include "tests/unit/device-sim/load/lone_client.hpp"

using namespace spoke;
using namespace spoke::sim::load;
using namespace std::chrono_literals;

namespace {

constexpr SteadyTime kStart{1s};

/// Takes the next message in `sent` as if the broker had sent it back.
bool give_back(Buffer& sent, Bystander& bystander, SteadyTime now) {
    Frame frame;
    REQUIRE(cut_frame(sent, frame) == Cut::whole);
    auto delivery = read_delivery(frame, mqtt::Version::v3_1_1);
    REQUIRE(delivery);
    auto is_taken = bystander.take(*delivery, now);
    sent.erase(sent.begin(), sent.begin() + static_cast<std::ptrdiff_t>(frame.bytes.size()));
    return is_taken;
}

}  // namespace

TEST_CASE("bystander: what is due while nothing comes back waits as long as it takes", "[load]") {
    LoneClient lone;
    Bystander bystander{lone.client(), {.topic = "b"}, 100, kStart};
    CHECK(bystander.is_of(lone.client()));
    CHECK(bystander.next_due() == kStart);
    bystander.pump(kStart + 25ms);
    CHECK(bystander.sent() == 3);
    CHECK(bystander.next_due() == kStart + 30ms);
    for (int i = 0; i < 3; ++i) CHECK(give_back(lone.written(), bystander, kStart + 25ms));
    CHECK(bystander.returned() == 3);
    CHECK(bystander.latency().max() == 25ms);
    CHECK(bystander.latency().min() == 5ms);
}

TEST_CASE("bystander: a message that is not the next of its own is refused", "[load]") {
    LoneClient lone;
    Bystander bystander{lone.client(), {.topic = "b"}, 100, kStart};
    bystander.pump(kStart + 10ms);
    auto first = lone.written();
    first.resize(first.size() / 2);
    auto again = first;
    CHECK(give_back(first, bystander, kStart + 10ms));
    CHECK_FALSE(give_back(again, bystander, kStart + 10ms));

    LoneClient other;
    Bystander stranger{other.client(), {.topic = "c"}, 100, kStart};
    stranger.pump(kStart);
    CHECK_FALSE(give_back(other.written(), bystander, kStart + 10ms));
    CHECK(bystander.returned() == 1);
}
