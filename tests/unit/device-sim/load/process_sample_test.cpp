#include "device-sim/load/process_sample.hpp"

#include <unistd.h>

#include <catch2/catch.hpp>

using namespace spoke::sim::load;
using namespace std::chrono_literals;

TEST_CASE("proc stat: user and system time are fields 14 and 15", "[load]") {
    auto cpu = parse_proc_stat(
        "5824 (mosquitto) S 5806 5806 2888 0 -1 4194304 105 0 0 0 123 4567 8 9 20 0 1 0 102368 "
        "3133440 418\n",
        100);
    REQUIRE(cpu);
    CHECK(cpu->user == 1230ms);
    CHECK(cpu->system == 45670ms);
    CHECK(cpu->total() == 46900ms);
}

TEST_CASE("proc stat: a name with blanks and parentheses does not shift the fields", "[load]") {
    auto cpu =
        parse_proc_stat("7 (a) (b c) d) R 1 1 1 0 -1 0 0 0 0 0 30 40 0 0 20 0 1 0 1 1 1\n", 1000);
    REQUIRE(cpu);
    CHECK(cpu->user == 30ms);
    CHECK(cpu->system == 40ms);
}

TEST_CASE("proc stat: a line cut short gives nothing", "[load]") {
    CHECK_FALSE(parse_proc_stat("", 100));
    CHECK_FALSE(parse_proc_stat("5824 (mosquitto", 100));
    CHECK_FALSE(parse_proc_stat("5824 (mosquitto) S 1 1 1 0 -1 0 0 0 0 0 30", 100));
    CHECK_FALSE(parse_proc_stat("5824 (mosquitto) S 1 1 1 0 -1 0 0 0 0 0 30 x", 100));
}

TEST_CASE("proc status: resident memory in bytes", "[load]") {
    CHECK(
        parse_resident_bytes("Name:\tx\nVmHWM:\t  99 kB\nVmRSS:\t    1024 kB\nRssAnon:\t 1 kB\n") ==
        1024U * 1024U);
}

TEST_CASE("proc status: a process without memory gives nothing", "[load]") {
    CHECK_FALSE(parse_resident_bytes("Name:\tkthreadd\nThreads:\t1\n"));
    CHECK_FALSE(parse_resident_bytes("Name:\tx\nVmRSS:\t kB\n"));
}

TEST_CASE("proc schedstat: the second number is the wait for a core", "[load]") {
    CHECK(parse_schedstat_wait("5824000 1234567890 42\n") == 1'234'567'890ns);
    CHECK_FALSE(parse_schedstat_wait("5824000"));
    CHECK_FALSE(parse_schedstat_wait(""));
    CHECK_FALSE(parse_schedstat_wait("1 x 2"));
}

TEST_CASE("process sample: this process has used memory and time", "[load]") {
    auto sample = sample_process(::getpid());
    REQUIRE(sample);
    CHECK(sample->resident_bytes > 0);
    CHECK(sample->cpu_total > 0ns);
}

TEST_CASE("process sample: a process that cannot be gives nothing", "[load]") {
    CHECK_FALSE(sample_process(-1));
}
