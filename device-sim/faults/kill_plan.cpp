#include "device-sim/faults/kill_plan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "device-sim/device/dice.hpp"
#include "device-sim/faults/fault_plan.hpp"

namespace spoke::sim {
namespace {

constexpr std::array kPrograms{Program::broker, Program::bridge};

void sort_by_time(std::vector<Kill>& kills) {
    std::stable_sort(kills.begin(), kills.end(),
                     [](Kill const& a, Kill const& b) { return a.at < b.at; });
}

}  // namespace

std::string_view to_text(Program program) noexcept {
    switch (program) {
        case Program::broker:
            return "broker";
        case Program::bridge:
            return "bridge";
    }
    return "";
}

std::variant<std::vector<Kill>, std::string> parse_kills(std::string_view text) {
    std::vector<Kill> kills;
    while (!text.empty()) {
        auto comma = text.find(',');
        auto item = text.substr(0, comma);
        text.remove_prefix(comma == std::string_view::npos ? text.size() : comma + 1);
        auto at = item.find('@');
        auto name = item.substr(0, at);
        auto const* program = std::find_if(kPrograms.begin(), kPrograms.end(),
                                           [&](Program p) { return to_text(p) == name; });
        auto time =
            at == std::string_view::npos ? std::nullopt : parse_elapsed(item.substr(at + 1));
        if (program == kPrograms.end() || !time) {
            return fmt::format("{:?} is no kill; write broker@60s or bridge@120s", item);
        }
        kills.push_back({*program, *time});
    }
    sort_by_time(kills);
    return kills;
}

std::vector<Kill> random_kills(std::size_t each, Elapsed run_for, std::uint64_t seed) {
    std::vector<Kill> kills;
    for (auto program : kPrograms) {
        Dice dice{seed ^ (0x6B69'6C6C'0000'0000U + static_cast<std::uint64_t>(program))};
        for (std::size_t i = 0; i < each; ++i) {
            kills.push_back({program, dice.between(run_for / 10, run_for / 10 * 9)});
        }
    }
    sort_by_time(kills);
    return kills;
}

}  // namespace spoke::sim
