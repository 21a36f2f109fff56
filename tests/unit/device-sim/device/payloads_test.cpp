#include "device-sim/device/payloads.hpp"

#include <catch2/catch.hpp>
#include <vector>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

Snapshot snapshot(std::vector<Journal::Entry> const& journal) {
    Snapshot shot;
    shot.wall = 1'763'838'000'700;
    shot.boot = 7;
    shot.up = 905'130ms;
    shot.last_n = {118, 97, 0};
    shot.lock = LockState::unlocked;
    shot.ride = "r_9f31";
    shot.battery_percent = 86;
    shot.latitude = 31.23041;
    shot.longitude = 121.4737;
    shot.firmware = "2.4.1";
    shot.settings_version = 12;
    shot.journal = journal;
    return shot;
}

std::vector<Journal::Entry> const kJournal{{"c_01K9ZZ", 117, refused(Why::late), 0ms},
                                           {"c_01KABC", 118, kDone, 612ms}};

}  // namespace

TEST_CASE("Payloads: the birth is spelt as in the contract", "[sim][payloads]") {
    CHECK(birth_payload(snapshot({}), {"OC33", 42, 5}) ==
          R"({"on":true,"boot":7,"up":905130,"fw":"2.4.1","hw":"OC33","proto":5,)"
          R"("iccid":"89860000000000000042","jrn":8})");
    CHECK(gone_payload(7) == R"({"on":false,"boot":7})");
}

TEST_CASE("Payloads: the state is spelt as in the contract, newest receipt first",
          "[sim][payloads]") {
    CHECK(
        state_payload(snapshot(kJournal)) ==
        R"({"at":1763838000700,"boot":7,"up":905130,"last_n":{"lock":118,"info":97,"config":0},)"
        R"("lock":"unlocked","ride":"r_9f31","batt":{"v":4.07,"pct":86,"chg":0,"solar":1},)"
        R"("pos":{"lat":31.23041,"lon":121.47370,"acc":6,"age":5,"sat":9},)"
        R"("net":{"rssi":-87,"rat":"LTE-M","cell":"460-00-1234-5678"},"speed":0,"alarm":false,)"
        R"("fw":"2.4.1","cfg_v":12,"jrn":[["c_01KABC","ok",118],["c_01K9ZZ","refused:late",117]]})");
}

TEST_CASE("Payloads: without a clock there is no time of day, without a rider no ride",
          "[sim][payloads]") {
    auto shot = snapshot({});
    shot.wall.reset();
    shot.ride = {};
    auto text = state_payload(shot);
    CHECK(text.find(R"("at")") == std::string::npos);
    CHECK(text.find(R"("ride")") == std::string::npos);
    CHECK(text.find(R"("jrn":[])") != std::string::npos);
}

TEST_CASE("Payloads: the answer is spelt as in the contract", "[sim][payloads]") {
    CHECK(answer_payload({kJournal[1]}, snapshot({})) ==
          R"({"id":"c_01KABC","n":118,"r":"ok","took":612,"lock":"unlocked",)"
          R"("batt":{"v":4.07,"pct":86},"rssi":-87,"up":905130})");
    CHECK(answer_payload({kJournal[0]}, snapshot({})) ==
          R"({"id":"c_01K9ZZ","n":117,"r":"refused","why":"late","lock":"unlocked",)"
          R"("batt":{"v":4.07,"pct":86},"rssi":-87,"up":905130})");
}

TEST_CASE("Payloads: an answer carries what its verb adds, and the trace", "[sim][payloads]") {
    auto shot = snapshot({});
    auto text = answer_payload({kJournal[1], "00-a\"b", Detail::position}, shot);
    CHECK(text.find(R"("pos":{"lat":31.23041)") != std::string::npos);
    CHECK(text.find(R"("tp":"00-a\"b"})") != std::string::npos);
    CHECK(answer_payload({kJournal[1], {}, Detail::settings}, shot).find(R"("cfg_v":12})") !=
          std::string::npos);
    CHECK(answer_payload({kJournal[1], {}, Detail::alarm}, shot).find(R"("alarm":false})") !=
          std::string::npos);
    CHECK(answer_payload({kJournal[1], {}, Detail::whole_state}, shot)
              .find(R"("state":{"at":1763838000700,)") != std::string::npos);
}

TEST_CASE("Payloads: text from outside is escaped", "[sim][payloads]") {
    std::vector<Journal::Entry> journal{{"c\"\n\\", 1, kDone, 0ms}};
    auto shot = snapshot(journal);
    shot.ride = "\"},{\"";
    CHECK(state_payload(shot).find(R"("ride":"\"},{\"")") != std::string::npos);
    CHECK(state_payload(shot).find(R"([["c\"\n\\","ok",1]])") != std::string::npos);
    CHECK(answer_payload({journal[0]}, shot).find(R"({"id":"c\"\n\\",)") == 0);
    CHECK(locked_by_hand_payload(shot, "\"", 14min) ==
          R"({"type":"locked_by_hand","ride":"\"","min":14,"boot":7,"up":905130})");
}
