#include "device-sim/load/histogram.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <cmath>
#include <memory>
#include <random>
#include <vector>

using spoke::sim::load::Histogram;
using namespace std::chrono_literals;

namespace {

Histogram::Nanos exact(std::vector<Histogram::Nanos> values, double share) {
    std::ranges::sort(values);
    auto rank = static_cast<std::size_t>(std::ceil(share * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
}

}  // namespace

TEST_CASE("histogram: empty, all figures are zero", "[load]") {
    Histogram histogram;
    CHECK(histogram.count() == 0);
    CHECK(histogram.at(0.5) == 0ns);
    CHECK(histogram.min() == 0ns);
    CHECK(histogram.mean() == 0ns);
    CHECK(histogram.max() == 0ns);
}

TEST_CASE("histogram: durations below 128 ns are exact", "[load]") {
    Histogram histogram;
    for (int i = 0; i < 128; ++i) histogram.record(Histogram::Nanos{i});
    CHECK(histogram.count() == 128);
    CHECK(histogram.at(0) == 0ns);
    CHECK(histogram.at(0.5) == 63ns);
    CHECK(histogram.at(1) == 127ns);
    CHECK(histogram.mean() == 63ns);
}

TEST_CASE("histogram: one value is read back as itself at every share", "[load]") {
    auto value = GENERATE(0ns, 1ns, 63ns, 64ns, 127ns, 128ns, 1'000'000ns, 3'141'592'653ns);
    Histogram histogram;
    histogram.record(value);
    for (double share : {0.0, 0.5, 0.999, 1.0}) CHECK(histogram.at(share) == value);
    CHECK(histogram.min() == value);
    CHECK(histogram.max() == value);
}

TEST_CASE("histogram: percentiles are at most 1/64 above the exact ones, never below", "[load]") {
    std::mt19937 random{7};
    std::lognormal_distribution<double> latencies{11, 2};
    auto histogram = std::make_unique<Histogram>();
    std::vector<Histogram::Nanos> values;
    for (int i = 0; i < 20'000; ++i) {
        Histogram::Nanos value{static_cast<std::int64_t>(latencies(random))};
        values.push_back(value);
        histogram->record(value);
    }
    for (double share : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
        auto wanted = exact(values, share);
        CAPTURE(share, wanted.count());
        CHECK(histogram->at(share) >= wanted);
        CHECK(histogram->at(share) <= wanted + wanted / 64 + 1ns);
    }
}

TEST_CASE("histogram: what is out of range counts at the border", "[load]") {
    Histogram histogram;
    histogram.record(-5ns);
    CHECK(histogram.max() == 0ns);
    histogram.record(100h);
    CHECK(histogram.max() == Histogram::largest());
    CHECK(histogram.at(1) == Histogram::largest());
    CHECK(histogram.count() == 2);
}
