#include "device-sim/watch/watch_report.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>
#include <numeric>
#include <utility>
#include <vector>

namespace spoke::sim {
namespace {

namespace json = boost::json;

std::uint64_t reading_now(ReaderTally const& tally) {
    return std::accumulate(tally.reading.begin(), tally.reading.end(), std::uint64_t{0});
}

/// "  poll 12  sse 9".
std::string ways_text(std::array<std::uint64_t, kWays.size()> const& counts) {
    std::string out;
    for (auto way : kWays) {
        fmt::format_to(std::back_inserter(out), "  {} {}", to_text(way),
                       counts[static_cast<std::size_t>(way)]);
    }
    return out;
}

json::object ways_json(std::array<std::uint64_t, kWays.size()> const& counts) {
    json::object out;
    for (auto way : kWays) out[to_text(way)] = counts[static_cast<std::size_t>(way)];
    return out;
}

json::object wrongs_json(WatchVerdict const& verdict) {
    json::object out;
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        out[to_text(static_cast<Wrong>(i))] = verdict.counts[i];
    }
    return out;
}

json::object faults_json(WatchFaultCounts const& faults) {
    json::object out;
    for (auto fault : kWatchFaults) out[to_text(fault)] = faults.of(fault);
    return out;
}

json::object look_json(WatchLook const& look) {
    auto const& counts = look.counts;
    return {{"t_ms", look.elapsed.count()},
            {"phase", look.phase},
            {"readers", look.readers},
            {"reading", ways_json(look.tally.reading)},
            {"told", ways_json(look.tally.told)},
            {"connections", look.tally.connections},
            {"connections_ended", look.tally.over},
            {"faults", look.tally.faults.total()},
            {"written", counts.asked},
            {"acknowledged", counts.acknowledged},
            {"written_again", look.writers.again},
            {"unknown", look.writers.unknown},
            {"refused", counts_json(look.writers.refused)},
            {"log", counts.log},
            {"repeats", counts.repeats},
            {"resets", counts.resets},
            {"resets_told", ways_json(look.tally.resets)},
            {"excused", counts.excused},
            {"inbox_states", counts.inboxes},
            {"expiring", counts.expiring},
            {"expired", counts.expired},
            {"expired_unrecorded", counts.died},
            {"collapsing", counts.collapsing},
            {"wrong", wrongs_json(look.verdict)},
            {"cpu_percent", look.cpu_percent},
            {"loop_lag_us", look.lag_now.count()}};
}

std::string text_of(json::value const& value) {
    return json::serialize(value);
}

std::string wrong_text(WrongExample const& example) {
    auto where = fmt::format("{}, event {}", example.who, example.id.empty() ? "-" : example.id);
    return example_text(to_text(example.wrong), example.at_ms, where, example.text);
}

std::string faults_text(WatchFaultCounts const& faults) {
    std::string out;
    for (auto fault : kWatchFaults) {
        if (faults.of(fault) == 0) continue;
        fmt::format_to(std::back_inserter(out), "  {} {}", to_text(fault), faults.of(fault));
    }
    return out.empty() ? "  none" : out;
}

}  // namespace

std::string watch_line(WatchLook const& look) {
    auto const& counts = look.counts;
    std::uint64_t wrong = 0;
    for (auto count : look.verdict.counts) wrong += count;
    return fmt::format(
        "{}  {:9} reading {}/{}  written {}  acknowledged {}  told {}  repeats {}  resets {}  "
        "faults {}  ended {}  {}{}",
        clock_text(look.elapsed), look.phase, reading_now(look.tally), look.readers, counts.asked,
        counts.acknowledged, counts.told, counts.repeats, counts.resets, look.tally.faults.total(),
        look.tally.over, load_text(look.cpu_percent, look.lag_now),
        wrong == 0 ? std::string{} : fmt::format("  WRONG {}", wrong));
}

std::string watch_json(WatchLook const& look) {
    return text_of(look_json(look));
}

std::string watch_verdict(WatchLook const& look, RunFacts const& facts) {
    auto const& counts = look.counts;
    std::string out;
    auto add = [&out](std::string const& line) { out += line + '\n'; };
    add(fmt::format("seed {}  readers {}  faults {}", facts.seed, look.readers, facts.faults));
    add(fmt::format("written   {}  acknowledged {}  asked again {}  unknown {}  log {}{}",
                    counts.asked, counts.acknowledged, look.writers.again, look.writers.unknown,
                    counts.log, counts_text(look.writers.refused)));
    add("told    " + ways_text(look.tally.told));
    add("resets  " + ways_text(look.tally.resets) + counts_text(look.tally.reset_why));
    add(fmt::format("repeats   {}  resets {} (excused {} events)", counts.repeats, counts.resets,
                    counts.excused));
    add(fmt::format(
        "inboxes   states {}  with TTL {}  expired {}  before they were recorded {}  collapsing {}",
        counts.inboxes, counts.expiring, counts.expired, counts.died, counts.collapsing));
    add(fmt::format("readers   connections {}  ended {}{}", look.tally.connections, look.tally.over,
                    counts_text(look.tally.why)));
    add("faults  " + faults_text(look.tally.faults));
    add(fmt::format("kills     broker {}  bridge {}", facts.broker_kills, facts.bridge_kills));
    add(lag_text(look.lag));
    std::string wrongs = "WATCH   ";
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        fmt::format_to(std::back_inserter(wrongs), " {} {} ", to_text(static_cast<Wrong>(i)),
                       look.verdict.counts[i]);
    }
    add(wrongs);
    for (auto const& example : look.verdict.examples) add(wrong_text(example));
    for (auto const& trouble : facts.trouble) add("! " + trouble);
    return out + result_text(facts.end, look.lag);
}

std::string watch_summary(WatchLook const& look, RunFacts const& facts) {
    auto out = look_json(look);
    json::array examples;
    for (auto const& example : look.verdict.examples) {
        examples.push_back(json::object{{"wrong", to_text(example.wrong)},
                                        {"who", example.who},
                                        {"event", example.id},
                                        {"at_ms", example.at_ms},
                                        {"text", example.text}});
    }
    add_facts(out, facts, look.lag);
    out["faults_by_kind"] = faults_json(look.tally.faults);
    out["resets_why"] = counts_json(look.tally.reset_why);
    out["ended_why"] = counts_json(look.tally.why);
    out["examples"] = std::move(examples);
    return text_of(out);
}

std::string watch_junit(WatchLook const& look, RunFacts const& facts) {
    std::vector<JunitCase> cases;
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        auto& one = cases.emplace_back();
        one.class_name = "watch";
        one.name = to_text(static_cast<Wrong>(i));
        if (look.verdict.counts[i] == 0) continue;
        one.failure = fmt::format("{} times", look.verdict.counts[i]);
        for (auto const& example : look.verdict.examples) {
            if (static_cast<std::size_t>(example.wrong) != i) continue;
            one.lines.push_back(wrong_text(example));
        }
    }
    return junit_text("watch", look.elapsed, std::move(cases), facts);
}

}  // namespace spoke::sim
