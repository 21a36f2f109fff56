#include "device-sim/report/city_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json.hpp>
#include <iterator>
#include <utility>
#include <vector>

namespace spoke::sim {
namespace {

namespace json = boost::json;
using Millis = std::chrono::duration<double, std::milli>;

constexpr std::array kStages{Stage::whole, Stage::queue, Stage::down, Stage::device, Stage::up};
constexpr std::array kShares{std::pair{"p50", 0.5}, std::pair{"p90", 0.9}, std::pair{"p95", 0.95},
                             std::pair{"p99", 0.99}, std::pair{"p99.9", 0.999}};

std::string time_text(std::chrono::nanoseconds time) {
    auto millis = Millis{time}.count();
    if (millis < 1000) return fmt::format("{:.0f} ms", millis);
    return fmt::format("{:.2f} s", millis / 1000);
}

std::string times_text(load::Histogram const& times) {
    std::string out;
    for (auto const& [name, share] : kShares) {
        fmt::format_to(std::back_inserter(out), "  {} {}", name, time_text(times.at(share)));
    }
    return out;
}

std::uint64_t state_count(CityLook const& look, std::string const& state) {
    auto found = look.states.find(state);
    return found == look.states.end() ? 0 : found->second;
}

std::string states_text(CityLook const& look) {
    return fmt::format("ok {}  fail {}  refused {}  expired {}  unknown {}",
                       state_count(look, "succeeded"), state_count(look, "failed"),
                       state_count(look, "rejected"), state_count(look, "expired"),
                       state_count(look, "unknown"));
}

json::object times_json(load::Histogram const& times) {
    json::object out{{"count", times.count()}};
    for (auto const& [name, share] : kShares) out[name] = Millis{times.at(share)}.count();
    out["max"] = Millis{times.max()}.count();
    return out;
}

json::object stages_json(Tally const& tally) {
    json::object out;
    for (auto stage : kStages) out[to_text(stage)] = times_json(tally.of(stage));
    return out;
}

json::object safety_json(Verdict const& verdict) {
    json::object out;
    for (std::size_t i = 0; i < kInvariantCount; ++i) {
        out[to_text(static_cast<Invariant>(i))] = verdict.counts[i];
    }
    return out;
}

json::object faults_json(FaultCounts const& faults) {
    json::object out;
    for (auto const& row : fault_table()) out[row.name] = faults.of(row.fault);
    return out;
}

json::object look_json(CityLook const& look) {
    auto const& tally = look.tally;
    return {{"t_ms", look.elapsed.count()},
            {"phase", look.phase},
            {"bikes", look.fleet.bikes},
            {"online", look.fleet.online},
            {"waiting", look.fleet.waiting},
            {"reconnects", look.fleet.connects - std::min(look.fleet.connects, look.fleet.bikes)},
            {"power_cycles", look.fleet.power_cycles},
            {"messages_in", look.fleet.messages_in},
            {"messages_out", look.fleet.messages_out},
            {"riders", look.riders},
            {"wishes", tally.wishes},
            {"posts", tally.posts},
            {"retries", tally.retries},
            {"requests", tally.requests},
            {"requests_lost", tally.lost},
            {"requests_given_up", tally.given_up},
            {"replayed", tally.replayed},
            {"unreadable", tally.unreadable},
            {"errors", counts_json(tally.errors)},
            {"commands", counts_json(look.states)},
            {"open_commands", look.open_commands},
            {"excused", look.excused},
            {"openings", look.openings},
            {"rides", tally.rides},
            {"faults", look.faults.total()},
            {"safety", safety_json(look.verdict)},
            {"latency_ms", stages_json(tally)},
            {"cpu_percent", look.cpu_percent},
            {"loop_lag_us", look.lag_now.count()}};
}

std::string text_of(json::value const& value) {
    return json::serialize(value);
}

std::string violation_text(Violation const& violation) {
    auto where = fmt::format("bike {}, order {}, wish {}", violation.bike,
                             violation.order.empty() ? "-" : violation.order,
                             violation.wish.empty() ? "-" : violation.wish);
    return example_text(to_text(violation.invariant), violation.at_ms, where, violation.text);
}

std::string faults_text(FaultCounts const& faults) {
    std::string out;
    for (auto const& row : fault_table()) {
        if (faults.of(row.fault) == 0) continue;
        fmt::format_to(std::back_inserter(out), "  {} {}", row.name, faults.of(row.fault));
    }
    return out.empty() ? "  none" : out;
}

}  // namespace

std::string city_line(CityLook const& look) {
    auto const& whole = look.tally.of(Stage::whole);
    std::uint64_t violations = 0;
    for (auto count : look.verdict.counts) violations += count;
    return fmt::format(
        "{}  {:9} online {}/{}  rides {}  cmds {}  {}  open {}  errors {}  unlock p50 {} p99 {}  "
        "reconnects {}  faults {}  {}{}",
        clock_text(look.elapsed), look.phase, look.fleet.online, look.fleet.bikes, look.tally.rides,
        look.tally.wishes, states_text(look), look.open_commands, look.tally.error_count(),
        time_text(whole.at(0.5)), time_text(whole.at(0.99)),
        look.fleet.connects - std::min(look.fleet.connects, look.fleet.bikes), look.faults.total(),
        load_text(look.cpu_percent, look.lag_now),
        violations == 0 ? std::string{} : fmt::format("  VIOLATIONS {}", violations));
}

std::string city_json(CityLook const& look) {
    return text_of(look_json(look));
}

std::string city_verdict(CityLook const& look, CityFacts const& facts) {
    auto const& tally = look.tally;
    std::string out;
    auto add = [&out](std::string const& line) { out += line + '\n'; };
    add(fmt::format("seed {}  bikes {}  riders {}  firmware {}  net {}", facts.seed, facts.bikes,
                    look.riders, facts.firmware, facts.net));
    add(fmt::format("wishes {}  posts {}  retries {}  joined {}  lost {}  given up {}  errors {}{}",
                    tally.wishes, tally.posts, tally.retries, tally.replayed, tally.lost,
                    tally.given_up, tally.error_count(), counts_text(tally.errors)));
    add(fmt::format("commands  {}  left open {} (excused {})  openings {}  rides {}",
                    states_text(look), look.open_commands, look.excused, look.openings,
                    tally.rides));
    for (auto stage : kStages) {
        if (tally.of(stage).count() == 0) continue;
        add(fmt::format("  {:8}{}", to_text(stage), times_text(tally.of(stage))));
    }
    add("faults  " + faults_text(look.faults));
    add(fmt::format("kills     broker {}  bridge {}    reconnects {}  power cycles {}",
                    facts.broker_kills, facts.bridge_kills,
                    look.fleet.connects - std::min(look.fleet.connects, look.fleet.bikes),
                    look.fleet.power_cycles));
    add(lag_text(look.lag));
    std::string safety = "SAFETY   ";
    for (std::size_t i = 0; i < kInvariantCount; ++i) {
        fmt::format_to(std::back_inserter(safety), " {} {} ", to_text(static_cast<Invariant>(i)),
                       look.verdict.counts[i]);
    }
    add(safety);
    for (auto const& example : look.verdict.examples) add(violation_text(example));
    for (auto const& trouble : facts.trouble) add("! " + trouble);
    return out + result_text(facts.end, look.lag);
}

std::string city_summary(CityLook const& look, CityFacts const& facts) {
    auto out = look_json(look);
    json::array examples;
    for (auto const& example : look.verdict.examples) {
        examples.push_back(json::object{{"invariant", to_text(example.invariant)},
                                        {"bike", example.bike},
                                        {"order", example.order},
                                        {"wish", example.wish},
                                        {"at_ms", example.at_ms},
                                        {"text", example.text}});
    }
    add_facts(out, facts, look.lag);
    out["firmware"] = facts.firmware;
    out["net"] = facts.net;
    out["faults_by_kind"] = faults_json(look.faults);
    out["examples"] = std::move(examples);
    return text_of(out);
}

std::string city_junit(CityLook const& look, CityFacts const& facts) {
    std::vector<JunitCase> cases;
    for (std::size_t i = 0; i < kInvariantCount; ++i) {
        auto& one = cases.emplace_back();
        one.class_name = "safety";
        one.name = to_text(static_cast<Invariant>(i));
        if (look.verdict.counts[i] == 0) continue;
        one.failure = fmt::format("{} times", look.verdict.counts[i]);
        for (auto const& example : look.verdict.examples) {
            if (static_cast<std::size_t>(example.invariant) != i) continue;
            one.lines.push_back(violation_text(example));
        }
    }
    return junit_text("city", look.elapsed, std::move(cases), facts);
}

}  // namespace spoke::sim
