#include "device-sim/load/acknowledged_feed.hpp"

#include <catch2/catch.hpp>
#include <vector>

#include "tests/unit/device-sim/load/lone_client.hpp"

using namespace spoke;
using namespace spoke::sim::load;
using namespace std::chrono_literals;

namespace {

/// A feed whose messages are one byte each: what was sent shows in the client's buffer.
class Bench {
public:
    explicit Bench(AcknowledgedFeed::Plan const& plan)
        : feed{lone.client(), plan, start,
               [this](Buffer& out, mqtt::PacketId id, std::uint64_t index) {
                   out.push_back(static_cast<std::byte>(index));
                   ids.push_back(id);
               }} {}

    std::size_t sent() { return lone.written().size(); }

    LoneClient lone;
    SteadyTime start{1s};
    std::vector<mqtt::PacketId> ids;
    AcknowledgedFeed feed;
};

}  // namespace

TEST_CASE("feed: a window is sent at once, each answer makes room for one more", "[load]") {
    Bench bench{{.window = 2, .total = 3}};
    bench.feed.pump(bench.start);
    CHECK(bench.sent() == 2);
    bench.feed.pump(bench.start + 1h);
    CHECK(bench.sent() == 2);
    CHECK(bench.feed.take({.id = bench.ids[1], .reason = 0}, bench.start + 5ms) == 5ms);
    bench.feed.pump(bench.start + 5ms);
    CHECK(bench.sent() == 3);
    CHECK(bench.feed.take({.id = bench.ids[2], .reason = 0}, bench.start + 6ms) == 1ms);
    CHECK_FALSE(bench.feed.is_done());
    CHECK(bench.feed.take({.id = bench.ids[0], .reason = 0}, bench.start + 7ms) == 7ms);
    CHECK(bench.feed.is_done());
    CHECK(bench.feed.next_due() == SteadyTime::max());
}

TEST_CASE("feed: an answer nobody waits for is none", "[load]") {
    Bench bench{{.window = 2, .total = 2}};
    CHECK_FALSE(bench.feed.take({.id = mqtt::PacketId{1}, .reason = 0}, bench.start));
    CHECK(bench.feed.acknowledged() == 0);
}

TEST_CASE("feed: at a rate each message leaves when it is due", "[load]") {
    Bench bench{{.window = 10, .total = 3, .rate = 100}};
    bench.feed.pump(bench.start);
    CHECK(bench.sent() == 1);
    CHECK(bench.feed.next_due() == bench.start + 10ms);
    bench.feed.pump(bench.start + 9ms);
    CHECK(bench.sent() == 1);
    bench.feed.pump(bench.start + 10ms);
    CHECK(bench.sent() == 2);
    bench.feed.pump(bench.start + 20ms);
    CHECK(bench.sent() == 3);
    CHECK(bench.feed.next_due() == SteadyTime::max());
}

TEST_CASE("feed: at a rate, time spent waiting for the window counts as latency", "[load]") {
    Bench bench{{.window = 1, .total = 2, .rate = 100}};
    bench.feed.pump(bench.start);
    bench.feed.pump(bench.start + 30ms);
    CHECK(bench.sent() == 1);
    CHECK(bench.feed.next_due() == SteadyTime::max());  // an answer wakes it
    CHECK(bench.feed.take({.id = bench.ids[0], .reason = 0}, bench.start + 30ms) == 30ms);
    bench.feed.pump(bench.start + 30ms);
    CHECK(bench.feed.take({.id = bench.ids[1], .reason = 0}, bench.start + 40ms) == 30ms);
}
