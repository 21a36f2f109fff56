#include "device-sim/report/progress.hpp"

#include <catch2/catch.hpp>

using namespace spoke::sim;
using namespace std::chrono_literals;

namespace {

bool contains(std::string const& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

Progress running() {
    Progress progress;
    progress.elapsed = 3'723s;
    progress.interval = 500ms;
    progress.counts.bikes = 200;
    progress.counts.online = 198;
    progress.counts.messages_in = 120;
    progress.before.messages_in = 100;
    progress.counts.orders = 9;
    progress.counts.add(kDone);
    progress.counts.add(kStarted);
    progress.counts.add(failed(Why::jam));
    progress.counts.add(failed(Why::reboot));
    progress.counts.add(refused(Why::late));
    progress.counts.add(refused(Why::not_allowed));
    progress.counts.add(refused(Why::late));
    progress.bytes_per_bike = 2560;
    return progress;
}

}  // namespace

TEST_CASE("Progress line: time, bikes, orders, rates", "[sim][report]") {
    auto line = progress_line(running());
    CHECK(line.find("01:02:03  online 198/200") == 0);
    CHECK(contains(line, "orders 9  ok 1  fail 2  refused 3"));
    CHECK(contains(line, "in 40/s"));
    CHECK_FALSE(contains(line, "KiB/bike"));  // of a small fleet the program itself is the most
    auto large = running();
    large.counts.bikes = 2000;
    CHECK(contains(progress_line(large), "2.5 KiB/bike"));
}

TEST_CASE("Progress line: what should not be there is said only if it is", "[sim][report]") {
    auto progress = running();
    auto calm = progress_line(progress);
    CHECK_FALSE(contains(calm, "lost"));
    CHECK_FALSE(contains(calm, "LATE"));
    CHECK_FALSE(contains(calm, "waiting"));

    progress.counts.losses = 4;
    progress.counts.waiting = 2;
    progress.trouble = "connection refused";
    progress.loop_lag = 35ms;
    auto line = progress_line(progress);
    CHECK(contains(line, "connections lost 4"));
    CHECK(contains(line, "waiting 2"));
    CHECK(contains(line, "(connection refused)"));
    CHECK(contains(line, "LATE by 35 ms"));
}

TEST_CASE("Progress line: while nobody is connected it says what is waited for", "[sim][report]") {
    auto progress = running();
    progress.counts.online = 0;
    progress.trouble = "127.0.0.1:1883: connection refused";
    CHECK(progress_line(progress) ==
          "01:02:03  online 0/200  waiting for the broker: 127.0.0.1:1883: connection refused");
}

TEST_CASE("Progress JSON: one object, reasons by name, text escaped", "[sim][report]") {
    auto progress = running();
    progress.trouble = "say \"please\"";
    CHECK(progress_json(progress) ==
          R"({"t_ms":3723000,"bikes":200,"online":198,"connecting":0,"waiting":0,"connects":0,)"
          R"("losses":0,"power_cycles":0,"messages_in":120,"messages_out":0,)"
          R"("publishes_refused":0,"publishes_lost":0,"subscriptions_refused":0,)"
          R"("orders":9,"ok":1,"cancelled":0,"ignored":0,"fail":{"jam":1,"reboot":1},)"
          R"("refused":{"late":2,"not_allowed":1},"bytes_per_bike":2560,"loop_lag_us":0,)"
          R"("trouble":"say \"please\""})");
}

TEST_CASE("Summary line: the whole run", "[sim][report]") {
    auto progress = running();
    progress.counts.connects = 201;
    progress.counts.ignored = 1;
    auto line = summary_line(progress);
    CHECK(contains(line, "200 bikes  connects 201"));
    CHECK(contains(line, "ok 1  fail 2  refused 3"));
    CHECK(contains(line, "ignored 1"));

    progress.counts.connects = 0;
    progress.trouble = "connection refused";
    CHECK(summary_line(progress) ==
          "01:02:03  200 bikes, none was ever connected  connection refused");
}
