#include "device-sim/load/sequence_checker.hpp"

#include <catch2/catch.hpp>
#include <initializer_list>

using spoke::sim::load::SequenceChecker;

namespace {

SequenceChecker after(std::initializer_list<std::uint32_t> sequences) {
    SequenceChecker checker;
    for (auto sequence : sequences) checker.accept(sequence);
    return checker;
}

}  // namespace

TEST_CASE("sequence checker: in order, nothing is wrong", "[load]") {
    auto totals = after({0, 1, 2, 3}).totals(4);
    CHECK(totals.received == 4);
    CHECK(totals.lost == 0);
    CHECK(totals.duplicated == 0);
    CHECK(totals.reordered == 0);
}

TEST_CASE("sequence checker: a gap and a missing end are lost", "[load]") {
    auto totals = after({0, 1, 4}).totals(7);
    CHECK(totals.received == 3);
    CHECK(totals.lost == 4);  // 2, 3 and 5, 6
}

TEST_CASE("sequence checker: a second copy is a duplicate, wherever it comes", "[load]") {
    auto totals = after({0, 0, 1, 2, 1, 5, 1}).totals(6);
    CHECK(totals.duplicated == 3);
    CHECK(totals.received == 4);
    CHECK(totals.lost == 2);
}

TEST_CASE("sequence checker: a late message is reordered, not lost and not a duplicate", "[load]") {
    auto totals = after({0, 5, 3, 1, 4, 2, 6}).totals(7);
    CHECK(totals.received == 7);
    CHECK(totals.lost == 0);
    CHECK(totals.reordered == 4);
    CHECK(totals.duplicated == 0);
}

TEST_CASE("sequence checker: a late message twice is one of each", "[load]") {
    auto totals = after({0, 3, 2, 2}).totals(4);
    CHECK(totals.reordered == 1);
    CHECK(totals.duplicated == 1);
    CHECK(totals.lost == 1);
}

TEST_CASE("sequence checker: accept says how far the flow moved", "[load]") {
    SequenceChecker checker;
    CHECK(checker.accept(0) == 1);
    CHECK(checker.accept(4) == 4);
    CHECK(checker.accept(2) == 0);
    CHECK(checker.accept(4) == 0);
    CHECK(checker.next() == 5);
}

TEST_CASE("sequence checker: beyond its bound of gaps the oldest is given up", "[load]") {
    SequenceChecker checker;
    std::uint32_t sent = 2 * SequenceChecker::kGapsMax + 2;
    for (std::uint32_t sequence = 1; sequence < sent; sequence += 2) checker.accept(sequence);
    checker.accept(2);  // remembered
    checker.accept(0);  // forgotten
    auto totals = checker.totals(sent);
    CHECK(totals.reordered == 1);
    CHECK(totals.duplicated == 1);
    CHECK(totals.lost == SequenceChecker::kGapsMax);
}
