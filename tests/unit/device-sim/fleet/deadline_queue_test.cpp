#include "device-sim/fleet/deadline_queue.hpp"

#include <catch2/catch.hpp>

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

SteadyTime at(std::chrono::milliseconds time) {
    return SteadyTime{} + time;
}

}  // namespace

TEST_CASE("Deadline queue: empty, nothing is due", "[sim][fleet]") {
    DeadlineQueue queue{2};
    CHECK_FALSE(queue.next());
    CHECK_FALSE(queue.pop_due(at(1h)));
    queue.arm(0, SteadyTime::max());
    CHECK_FALSE(queue.next());
}

TEST_CASE("Deadline queue: members come in the order of their deadlines, once", "[sim][fleet]") {
    DeadlineQueue queue{3};
    queue.arm(0, at(30ms));
    queue.arm(1, at(10ms));
    queue.arm(2, at(20ms));
    CHECK(queue.next() == at(10ms));
    CHECK_FALSE(queue.pop_due(at(9ms)));
    CHECK(queue.pop_due(at(20ms)) == 1U);
    CHECK(queue.pop_due(at(20ms)) == 2U);
    CHECK_FALSE(queue.pop_due(at(20ms)));
    CHECK(queue.pop_due(at(30ms)) == 0U);
    CHECK_FALSE(queue.pop_due(at(1h)));
}

TEST_CASE("Deadline queue: an earlier deadline replaces the later, a later one does not",
          "[sim][fleet]") {
    DeadlineQueue queue{1};
    queue.arm(0, at(30ms));
    queue.arm(0, at(10ms));
    queue.arm(0, at(20ms));
    CHECK(queue.next() == at(10ms));
    CHECK(queue.pop_due(at(10ms)) == 0U);
    CHECK_FALSE(queue.pop_due(at(1h)));

    queue.arm(0, at(2h));  // it can be armed again, for the time that was overtaken too
    CHECK(queue.pop_due(at(2h)) == 0U);
}
