#include "device-sim/fleet/pending.hpp"

#include <catch2/catch.hpp>

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

TEST_CASE("PendingQueue: by time, and of the same time in order", "[sim][fleet]") {
    PendingQueue queue;
    SteadyTime begin{1h};
    auto push = [&](std::string name, std::chrono::milliseconds at) {
        Pending item;
        item.payload = std::move(name);
        item.due = begin + at;
        queue.push(std::move(item));
    };
    CHECK_FALSE(queue.next());
    push("b", 5ms);
    push("c", 5ms);
    push("a", 1ms);
    CHECK(queue.next() == begin + 1ms);
    CHECK(queue.pop_due(begin + 1ms)->payload == "a");
    CHECK_FALSE(queue.pop_due(begin + 4ms));
    CHECK(queue.pop_due(begin + 5ms)->payload == "b");
    CHECK(queue.pop_due(begin + 5ms)->payload == "c");
    CHECK_FALSE(queue.pop_due(begin + 1h));
}
