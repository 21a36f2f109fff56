#include "device-sim/faults/fault_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <functional>

namespace spoke::sim {
namespace {

using namespace std::chrono_literals;
using Problem = std::optional<std::string>;

constexpr std::array kNets{
    NetKind{"perfect", "LTE-M", 0ms, 0ms, false, "no time on the way"},
    NetKind{"lte-m", "LTE-M", 120ms, 400ms, false,
            "a round trip of 120 ms, one in a hundred above 400 ms"},
    NetKind{"2g", "GSM", 600ms, 2000ms, false, "600 ms, one in a hundred above 2 s"},
    NetKind{"garage", "LTE-M", 120ms, 400ms, true,
            "as lte-m, and out of reach for 10 to 40 s about every minute"},
};

/// A mixture of everything, such that most orders still have a quiet life.
FaultPlan city_faults() {
    FaultPlan plan;
    auto set = [&](Fault fault, double percent) { plan.of(fault).share = percent / 100; };
    set(Fault::duplicate, 5);
    set(Fault::puback_lost, 1);
    set(Fault::puback_late, 3);
    set(Fault::answer_lost, 3);
    set(Fault::answer_late, 2);
    set(Fault::crash, 1);
    set(Fault::jam, 1);
    set(Fault::slow_motor, 2);
    set(Fault::stall, 1);
    set(Fault::cut, 1);
    set(Fault::vanish, 1);
    set(Fault::reboot, 1);
    set(Fault::clock_jump, 0.5);
    set(Fault::clock_wrong, 1);
    set(Fault::clock_none, 1);
    set(Fault::low_battery, 1);
    set(Fault::twin, 0.2);
    set(Fault::garage, 2);
    return plan;
}

/// Calls `take` for each part of `text`; the first problem ends it.
Problem for_each_part(std::string_view text, std::function<Problem(std::string_view)> const& take) {
    while (true) {
        auto comma = text.find(',');
        if (auto problem = take(text.substr(0, comma))) return problem;
        if (comma == std::string_view::npos) return std::nullopt;
        text.remove_prefix(comma + 1);
    }
}

/// "5%" or "0.2%" as a share.
std::optional<double> parse_percent(std::string_view text, double percent_max = 100) {
    if (!text.ends_with('%')) return std::nullopt;
    text.remove_suffix(1);
    double percent = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), percent);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    if (!(percent >= 0 && percent <= percent_max)) return std::nullopt;
    return percent / 100;
}

Problem parse_window(std::string_view text, FaultRow const& row, Window& window) {
    auto dash = text.find('-');
    auto from = parse_elapsed(text.substr(0, dash));
    auto to = dash == std::string_view::npos ? std::optional{Elapsed::max()}
                                             : parse_elapsed(text.substr(dash + 1));
    if (!from || !to || *from >= *to) {
        return fmt::format("{}: {:?} is no time; write 60s, or 60s-120s", row.name, text);
    }
    if (row.base == FaultBase::moment && dash != std::string_view::npos) {
        return fmt::format("{} has one moment, as in {}=30%@60s", row.name, row.name);
    }
    if (row.base == FaultBase::bikes) return fmt::format("{} lasts for the whole run", row.name);
    window = {*from, *to};
    return std::nullopt;
}

Problem read_fault(std::string_view item, FaultPlan& plan) {
    if (item == "none" || item == "city") {
        plan = item == "city" ? city_faults() : FaultPlan{};
        return std::nullopt;
    }
    auto equals = item.find('=');
    auto name = item.substr(0, equals);
    auto rows = fault_table();
    auto row =
        std::find_if(rows.begin(), rows.end(), [&](auto const& r) { return r.name == name; });
    if (row == rows.end()) return fmt::format("there is no fault {:?}", name);
    if (equals == std::string_view::npos) return fmt::format("how much? write {}=5%", name);
    auto value = item.substr(equals + 1);
    auto at = value.find('@');
    // A bike can be struck more than once a minute.
    auto percent_max = row->base == FaultBase::bikes_per_minute ? 6000.0 : 100.0;
    auto share = parse_percent(value.substr(0, at), percent_max);
    if (!share) {
        return fmt::format("{}: {:?} is no percentage of 0% to {}%", name, value.substr(0, at),
                           percent_max);
    }
    FaultPlan::Setting setting{*share, {}};
    if (at != std::string_view::npos) {
        if (auto problem = parse_window(value.substr(at + 1), *row, setting.window)) return problem;
    } else if (row->base == FaultBase::moment) {
        return fmt::format("when? write {}=30%@60s", name);
    }
    plan.of(row->fault) = setting;
    return std::nullopt;
}

NetKind const* find_net(std::string_view name) {
    auto found =
        std::find_if(kNets.begin(), kNets.end(), [&](auto const& net) { return net.name == name; });
    return found == kNets.end() ? nullptr : &*found;
}

Problem read_net(std::string_view item, NetPlan& plan) {
    auto equals = item.find('=');
    auto name = equals == std::string_view::npos ? item : item.substr(equals + 1);
    auto const* kind = find_net(name);
    if (kind == nullptr) return fmt::format("there is no network {:?}", name);
    if (equals == std::string_view::npos) {
        if (plan.usual != nullptr)
            return fmt::format("a share of bikes for {:?}? write 5%={}", name, name);
        plan.usual = kind;
        return std::nullopt;
    }
    auto share = parse_percent(item.substr(0, equals));
    if (!share) return fmt::format("{:?} is no percentage of 0% to 100%", item.substr(0, equals));
    plan.parts.push_back({*share, kind});
    double all = 0;
    for (auto const& part : plan.parts) all += part.share;
    if (all > 1) return "the shares of the networks are more than 100% together";
    return std::nullopt;
}

}  // namespace

bool FaultPlan::is_none() const noexcept {
    return std::all_of(settings.begin(), settings.end(),
                       [](Setting const& setting) { return setting.share == 0; });
}

std::variant<FaultPlan, std::string> parse_faults(std::string_view text) {
    FaultPlan plan;
    auto problem = for_each_part(text, [&](auto item) { return read_fault(item, plan); });
    if (problem) return *problem;
    return plan;
}

std::string describe_faults() {
    auto base_text = [](FaultBase base) -> std::string_view {
        switch (base) {
            case FaultBase::orders:
                return "% of orders";
            case FaultBase::bikes_per_minute:
                return "% of bikes a minute";
            case FaultBase::bikes:
                return "% of bikes";
            case FaultBase::moment:
                return "% of bikes at once";
        }
        return "";
    };
    std::string out;
    for (auto const& row : fault_table()) {
        out += fmt::format("  {:12} {:20} {}\n", row.name, base_text(row.base), row.meaning);
    }
    return out;
}

NetKind const& NetPlan::of(double drawn) const noexcept {
    for (auto const& part : parts) {
        if (drawn < part.share) return *part.kind;
        drawn -= part.share;
    }
    return usual == nullptr ? kNets.front() : *usual;
}

std::variant<NetPlan, std::string> parse_net(std::string_view text) {
    NetPlan plan;
    auto problem = for_each_part(text, [&](auto item) { return read_net(item, plan); });
    if (problem) return *problem;
    return plan;
}

std::string describe_nets() {
    std::string out;
    for (auto const& net : kNets) out += fmt::format("  {:12} {}\n", net.name, net.meaning);
    return out;
}

std::optional<Elapsed> parse_elapsed(std::string_view text) {
    struct Unit {
        std::string_view name;
        std::int64_t millis;
    };
    constexpr std::array kUnits{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                Unit{"h", 3'600'000}};
    std::int64_t number = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    constexpr std::int64_t kMax = 1'000'000;
    if (error != std::errc{} || number < 0 || number > kMax) return std::nullopt;
    std::string_view unit{end, static_cast<std::size_t>(text.data() + text.size() - end)};
    auto row =
        std::find_if(kUnits.begin(), kUnits.end(), [&](auto const& u) { return u.name == unit; });
    if (row == kUnits.end()) return std::nullopt;
    return Elapsed{number * row->millis};
}

}  // namespace spoke::sim
