#include "device-sim/watch/watch_faults.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <numeric>

namespace spoke::sim {
namespace {

struct Row {
    WatchFault fault;
    std::string_view name;
    double usual;  // per minute
    std::string_view meaning;
};

constexpr std::array kRows{
    Row{WatchFault::cut, "cut", 0.6, "the connection is closed in the middle"},
    Row{WatchFault::rst, "rst", 0.4, "the connection is reset in the middle"},
    Row{WatchFault::vanish, "vanish", 0.4, "the connection is left half open, without FIN or RST"},
    Row{WatchFault::slow, "slow", 0.4, "nothing is read for 1 to 15 s"},
    Row{WatchFault::change, "change", 0.6, "the reader goes on in another way, from its cursor"},
    Row{WatchFault::cursor, "cursor", 1.0, "the reader comes with a cursor that is of no use"},
};
constexpr double kPercentMax = 6000;
constexpr double kMinutesMax = 1e6;

/// "60%" as 0.6; nullopt if it is none.
std::optional<double> parse_share(std::string_view text) {
    if (!text.ends_with('%')) return std::nullopt;
    text.remove_suffix(1);
    double percent = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (!(percent >= 0 && percent <= kPercentMax)) return std::nullopt;
    return percent / 100;
}

/// Empty if all is well.
std::string read_item(std::string_view item, WatchFaultPlan& plan) {
    if (item == "none" || item == "all") {
        for (auto const& row : kRows) {
            plan.per_minute[static_cast<std::size_t>(row.fault)] = item == "all" ? row.usual : 0;
        }
        return {};
    }
    auto equals = item.find('=');
    auto name = item.substr(0, equals);
    auto const* row =
        std::find_if(kRows.begin(), kRows.end(), [&](Row const& r) { return r.name == name; });
    if (row == kRows.end()) return fmt::format("there is no fault {:?}", name);
    if (equals == std::string_view::npos) return fmt::format("how much? write {}=50%", name);
    auto share = parse_share(item.substr(equals + 1));
    if (!share) {
        return fmt::format("{}: {:?} is no percentage of 0% to {}%", name, item.substr(equals + 1),
                           kPercentMax);
    }
    plan.per_minute[static_cast<std::size_t>(row->fault)] = *share;
    return {};
}

}  // namespace

std::string_view to_text(WatchFault fault) noexcept {
    return kRows[static_cast<std::size_t>(fault)].name;
}

double WatchFaultPlan::all() const noexcept {
    return std::accumulate(per_minute.begin(), per_minute.end(), 0.0);
}

std::optional<WatchFaultPlan::Blow> WatchFaultPlan::draw(Dice& dice) const noexcept {
    auto rate = all();
    if (rate <= 0) return std::nullopt;
    auto minutes = std::min(-std::log(1.0 - dice.unit()) / rate, kMinutesMax);
    auto drawn = dice.unit() * rate;
    Blow blow{WatchFault::cut, Elapsed{static_cast<Elapsed::rep>(minutes * 60'000)}};
    for (auto fault : kWatchFaults) {
        auto share = per_minute[static_cast<std::size_t>(fault)];
        if (share <= 0) continue;
        blow.fault = fault;
        if (drawn < share) break;
        drawn -= share;
    }
    return blow;
}

std::variant<WatchFaultPlan, std::string> parse_watch_faults(std::string_view text) {
    WatchFaultPlan plan;
    while (true) {
        auto comma = text.find(',');
        if (auto problem = read_item(text.substr(0, comma), plan); !problem.empty()) {
            return problem;
        }
        if (comma == std::string_view::npos) return plan;
        text.remove_prefix(comma + 1);
    }
}

std::string describe_watch_faults() {
    std::string out;
    for (auto const& row : kRows) {
        out += fmt::format("  {:8} {:3.0f}%  {}\n", row.name, row.usual * 100, row.meaning);
    }
    return out;
}

std::uint64_t WatchFaultCounts::total() const noexcept {
    return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

}  // namespace spoke::sim
