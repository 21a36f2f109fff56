#include "bridge/store/write_queue.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <string>
#include <utility>

namespace spoke::bridge::test {
namespace {

using namespace std::chrono_literals;

Write position_of(std::string name, std::uint64_t offset) {
    Write write;
    write.record = ReaderPosition{std::move(name), offset};
    write.need = Need::certain;
    write.patience = 1h;
    return write;
}

Write event_of(std::uint64_t offset) {
    Write write;
    write.events.emplace_back().offset = offset;
    return write;
}

void add(WriteQueue& queue, Write write) {
    REQUIRE(queue.add(write));
}

ReaderPosition const& position_in(Write const& write) {
    return std::get<ReaderPosition>(write.record);
}

}  // namespace

TEST_CASE("write queue: a position does not go with every write, and only the newest stays",
          "[bridge][store]") {
    WriteQueue queue{100};
    add(queue, position_of("feed", 1));
    add(queue, event_of(2));
    add(queue, position_of("hook/a", 1));
    add(queue, position_of("feed", 2));
    auto writes = queue.take(SteadyTime::max(), true);
    REQUIRE(writes.size() == 1);
    CHECK(writes[0].events.size() == 1);
    CHECK(queue.size() == 2);
    queue.stop();
    writes = queue.take(SteadyTime::max(), true);
    REQUIRE(writes.size() == 2);
    CHECK(position_in(writes[0]).name == "feed");
    CHECK(position_in(writes[0]).offset == 2);
    CHECK(position_in(writes[1]).name == "hook/a");
}

TEST_CASE("write queue: a position that has waited as long as it may is taken", "[bridge][store]") {
    WriteQueue queue{100};
    auto position = position_of("feed", 1);
    position.patience = 1ms;
    add(queue, std::move(position));
    add(queue, position_of("feed", 2));
    auto writes = queue.take(SteadyTime::max(), true);
    REQUIRE(writes.size() == 1);
    CHECK(position_in(writes[0]).offset == 2);
    CHECK(queue.size() == 0);
}

TEST_CASE("write queue: of a position that could not be written the newer one stays",
          "[bridge][store]") {
    WriteQueue queue{100};
    add(queue, position_of("feed", 1));
    auto writes = queue.take(SteadyTime{}, false);
    REQUIRE(writes.size() == 1);
    add(queue, position_of("feed", 2));
    CHECK(queue.put_back(std::move(writes)).empty());
    writes = queue.take(SteadyTime{}, false);
    REQUIRE(writes.size() == 1);
    CHECK(position_in(writes[0]).offset == 2);
}

}  // namespace spoke::bridge::test
