#include "device-sim/report/progress.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <iterator>

namespace spoke::sim {
namespace {

constexpr std::chrono::milliseconds kLagWorthSaying{20};
constexpr std::uint64_t kBikesForMemory = 1000;  // of fewer, the program itself is the most

std::string clock_text(std::chrono::milliseconds elapsed) {
    auto seconds = elapsed.count() / 1000;
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::uint64_t per_second(std::uint64_t now, std::uint64_t before,
                         std::chrono::milliseconds interval) {
    auto milliseconds = static_cast<std::uint64_t>(interval.count());
    return milliseconds == 0 ? 0 : (now - before) * 1000 / milliseconds;
}

std::string orders_text(FleetCounts const& counts) {
    return fmt::format("orders {}  ok {}  fail {}  refused {}", counts.orders, counts.ok,
                       counts.failed(), counts.refused());
}

/// Only what should not be there.
std::string oddities_text(FleetCounts const& counts) {
    std::string out;
    auto add = [&](std::string_view name, std::uint64_t count) {
        if (count != 0) fmt::format_to(std::back_inserter(out), "  {} {}", name, count);
    };
    add("ignored", counts.ignored);
    add("cancelled", counts.cancelled);
    add("power cycles", counts.power_cycles);
    add("connections lost", counts.losses);
    add("publishes refused", counts.publishes_refused);
    add("publishes lost", counts.publishes_lost);
    add("subscriptions refused", counts.subscriptions_refused);
    return out;
}

std::string by_why_json(FleetCounts const& counts, Why first, Why last) {
    std::string out = "{";
    for (auto i = static_cast<std::size_t>(first); i <= static_cast<std::size_t>(last); ++i) {
        if (counts.by_why[i] == 0) continue;
        fmt::format_to(std::back_inserter(out), R"({}"{}":{})", out.size() > 1 ? "," : "",
                       to_text(static_cast<Why>(i)), counts.by_why[i]);
    }
    return out + "}";
}

}  // namespace

std::string progress_line(Progress const& progress) {
    auto const& counts = progress.counts;
    auto line =
        fmt::format("{}  online {}/{}", clock_text(progress.elapsed), counts.online, counts.bikes);
    if (counts.online == 0 && !progress.trouble.empty()) {
        return line + fmt::format("  waiting for the broker: {}", progress.trouble);
    }
    if (counts.connecting != 0) line += fmt::format("  connecting {}", counts.connecting);
    if (counts.waiting != 0) line += fmt::format("  waiting {}", counts.waiting);
    auto const& before = progress.before;
    line += fmt::format("  {}  in {}/s  out {}/s", orders_text(counts),
                        per_second(counts.messages_in, before.messages_in, progress.interval),
                        per_second(counts.messages_out, before.messages_out, progress.interval));
    line += oddities_text(counts);
    if (counts.bikes >= kBikesForMemory) {
        line +=
            fmt::format("  {:.1f} KiB/bike", static_cast<double>(progress.bytes_per_bike) / 1024.0);
    }
    if (progress.loop_lag >= kLagWorthSaying) {
        line += fmt::format("  LATE by {} ms: more than this process can do",
                            progress.loop_lag.count() / 1000);
    }
    if (counts.waiting != 0 && !progress.trouble.empty()) {
        line += fmt::format("  ({})", progress.trouble);
    }
    return line;
}

std::string progress_json(Progress const& progress) {
    auto const& counts = progress.counts;
    auto out = fmt::format(
        R"({{"t_ms":{},"bikes":{},"online":{},"connecting":{},"waiting":{},"connects":{},)"
        R"("losses":{},"power_cycles":{},"messages_in":{},"messages_out":{},)"
        R"("publishes_refused":{},"publishes_lost":{},"subscriptions_refused":{},)"
        R"("orders":{},"ok":{},"cancelled":{},"ignored":{},"fail":{},"refused":{},)"
        R"("bytes_per_bike":{},"loop_lag_us":{})",
        progress.elapsed.count(), counts.bikes, counts.online, counts.connecting, counts.waiting,
        counts.connects, counts.losses, counts.power_cycles, counts.messages_in,
        counts.messages_out, counts.publishes_refused, counts.publishes_lost,
        counts.subscriptions_refused, counts.orders, counts.ok, counts.cancelled, counts.ignored,
        by_why_json(counts, Why::jam, Why::reboot),
        by_why_json(counts, Why::late, Why::not_allowed), progress.bytes_per_bike,
        progress.loop_lag.count());
    if (!progress.trouble.empty()) {
        boost::json::string trouble{progress.trouble.data(), progress.trouble.size()};
        out += fmt::format(R"(,"trouble":{})", boost::json::serialize(trouble));
    }
    return out + "}";
}

std::string summary_line(Progress const& progress) {
    auto const& counts = progress.counts;
    if (counts.connects == 0) {
        return fmt::format("{}  {} bikes, none was ever connected  {}",
                           clock_text(progress.elapsed), counts.bikes, progress.trouble);
    }
    return fmt::format("{}  {} bikes  connects {}  {}  messages in {}  out {}{}",
                       clock_text(progress.elapsed), counts.bikes, counts.connects,
                       orders_text(counts), counts.messages_in, counts.messages_out,
                       oddities_text(counts));
}

}  // namespace spoke::sim
