#include "device-sim/judge/command_note.hpp"

#include <catch2/catch.hpp>

using namespace spoke;
using namespace spoke::sim;
using namespace std::chrono_literals;

TEST_CASE("CommandNote: what the judge minds of a document", "[sim][judge][note]") {
    auto note = read_command_note(R"({"id":"c_1","device":"b42","do":"unlock","state":"failed",
        "settled":true,"late":true,"why":"jam","n":118,"deadline":"2026-11-22T19:00:08.250Z",
        "answer":{"r":"fail","why":"jam","lock":"jammed"},"spent_ms":{"queue":2,"device":612.5}})");
    REQUIRE(note);
    CHECK(note->id == "c_1");
    CHECK(note->device == "b42");
    CHECK(note->verb == "unlock");
    CHECK(note->state == "failed");
    CHECK(note->settled);
    CHECK(note->late);
    CHECK(note->why == "jam");
    CHECK(note->n == 118);
    CHECK(note->deadline == WallTime{1'795'374'008'250ms});
    CHECK(note->answer_result == "fail");
    CHECK(note->answer_why == "jam");
    CHECK(note->answer_lock == "jammed");
}

TEST_CASE("CommandNote: what is no command is none", "[sim][judge][note]") {
    auto text = GENERATE("", "[]", "{", "{}", R"({"id":"c_1"})", R"({"state":"queued"})",
                         R"({"id":7,"state":"queued"})");
    CHECK_FALSE(read_command_note(text));
}

TEST_CASE("CommandNote: the times that are there", "[sim][judge][note]") {
    auto spent = read_spent_times(R"({"spent_ms":{"queue":2,"device":612.5,"up":"?"}})");
    CHECK(spent.queue == 2.0);
    CHECK(spent.device == 612.5);
    CHECK_FALSE(spent.down);
    CHECK_FALSE(spent.up);
    CHECK_FALSE(read_spent_times("[]").queue);
}

TEST_CASE("CommandNote: the type of a problem is its last word", "[sim][judge][note]") {
    CHECK(read_problem_type(R"({"type":"https://x/problems/device-offline"})") == "device-offline");
    CHECK(read_problem_type(R"({"type":"rate"})") == "rate");
    CHECK(read_problem_type("<html>") == "?");
}

TEST_CASE("CommandNote: a time is read whole or not", "[sim][judge][note]") {
    CHECK(read_rfc3339("1970-01-01T00:00:01.002Z") == WallTime{1002ms});
    auto bad =
        GENERATE("", "1970-01-01T00:00:01Z", "1970-13-01T00:00:01.002Z", "1970-01-01 00:00:01.002Z",
                 "1970-01-01T00:00:0x.002Z", "1970-01-01T00:00:01.002+");
    CHECK_FALSE(read_rfc3339(bad));
}
