#include "device-sim/device/journal.hpp"

#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

Journal::Entry entry(int number, Result result) {
    return {"c" + std::to_string(number), static_cast<std::uint64_t>(number), result, 0ms};
}

}  // namespace

TEST_CASE("Journal: an entry is found by its id and takes its result", "[sim][journal]") {
    Journal journal;
    CHECK(journal.find("c1") == nullptr);
    journal.write(entry(1, kStarted));
    REQUIRE(journal.find("c1") != nullptr);
    CHECK(journal.find("c1")->result == kStarted);

    journal.settle("c1", failed(Why::jam), 612ms);
    CHECK(journal.find("c1")->result == failed(Why::jam));
    CHECK(journal.find("c1")->took == 612ms);
    CHECK(journal.find("c1")->n == 1);
}

TEST_CASE("Journal: the ninth entry drops the oldest", "[sim][journal]") {
    Journal journal;
    for (int i = 1; i <= 9; ++i) journal.write(entry(i, kDone));
    CHECK(journal.entries().size() == Journal::kJournalSize);
    CHECK(journal.find("c1") == nullptr);
    CHECK(journal.find("c2") != nullptr);
    CHECK(journal.entries().back().id == "c9");
}

TEST_CASE("Journal: a running entry is never dropped for a new one", "[sim][journal]") {
    Journal journal;
    journal.write(entry(1, kStarted));
    for (int i = 2; i <= 20; ++i) journal.write(entry(i, kDone));
    REQUIRE(journal.find("c1") != nullptr);
    CHECK(journal.entries().size() == Journal::kJournalSize);

    journal.settle("c1", kDone, 4s);
    journal.write(entry(21, kDone));
    CHECK(journal.find("c1") == nullptr);
}

TEST_CASE("Journal: at boot what was started becomes fail:reboot, the rest stays",
          "[sim][journal]") {
    Journal journal;
    journal.write(entry(1, kDone));
    journal.write(entry(2, kStarted));
    journal.fail_running();
    CHECK(journal.find("c1")->result == kDone);
    CHECK(journal.find("c2")->result == failed(Why::reboot));
}
