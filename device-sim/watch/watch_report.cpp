#include "device-sim/watch/watch_report.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <iterator>
#include <numeric>

namespace spoke::sim {
namespace {

namespace json = boost::json;
using Millis = std::chrono::duration<double, std::milli>;

std::string clock_text(std::chrono::milliseconds elapsed) {
    auto seconds = elapsed.count() / 1000;
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

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

template <class Map>
json::object map_json(Map const& map) {
    json::object out;
    for (auto const& [key, count] : map) out[key] = count;
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
            {"refused", map_json(look.writers.refused)},
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

std::string example_text(WrongExample const& example) {
    return fmt::format("! {} at {:.3f} s: {}, event {}: {}", to_text(example.wrong),
                       static_cast<double>(example.at_ms) / 1000.0, example.who,
                       example.id.empty() ? "-" : example.id, example.text);
}

std::string faults_text(WatchFaultCounts const& faults) {
    std::string out;
    for (auto fault : kWatchFaults) {
        if (faults.of(fault) == 0) continue;
        fmt::format_to(std::back_inserter(out), "  {} {}", to_text(fault), faults.of(fault));
    }
    return out.empty() ? "  none" : out;
}

std::string xml_text(std::string_view text) {
    std::string out;
    for (auto c : text) {
        switch (c) {
            case '<':
                out += "&lt;";
                break;
            case '>':
                out += "&gt;";
                break;
            case '&':
                out += "&amp;";
                break;
            case '"':
                out += "&quot;";
                break;
            default:
                out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
        }
    }
    return out;
}

/// "\n    3 x what", for each.
template <class Map>
std::string list_text(Map const& map) {
    std::string out;
    for (auto const& [what, count] : map) {
        fmt::format_to(std::back_inserter(out), "\n    {} x {}", count, what);
    }
    return out;
}

}  // namespace

std::string watch_line(WatchLook const& look) {
    auto const& counts = look.counts;
    std::uint64_t wrong = 0;
    for (auto count : look.verdict.counts) wrong += count;
    return fmt::format(
        "{}  {:9} reading {}/{}  written {}  acknowledged {}  told {}  repeats {}  resets {}  "
        "faults {}  ended {}  cpu {:.0f} %  lag {:.0f} ms{}{}",
        clock_text(look.elapsed), look.phase, reading_now(look.tally), look.readers, counts.asked,
        counts.acknowledged, counts.told, counts.repeats, counts.resets, look.tally.faults.total(),
        look.tally.over, look.cpu_percent, Millis{look.lag_now}.count(),
        look.lag_now > LoopLag::kLate ? " LATE" : "",
        wrong == 0 ? std::string{} : fmt::format("  WRONG {}", wrong));
}

std::string watch_json(WatchLook const& look) {
    return text_of(look_json(look));
}

std::string watch_verdict(WatchLook const& look, WatchFacts const& facts) {
    auto const& counts = look.counts;
    std::string out;
    auto add = [&out](std::string const& line) { out += line + '\n'; };
    add(fmt::format("seed {}  readers {}  faults {}", facts.seed, look.readers, facts.faults));
    add(fmt::format("written   {}  acknowledged {}  asked again {}  unknown {}  log {}{}",
                    counts.asked, counts.acknowledged, look.writers.again, look.writers.unknown,
                    counts.log, list_text(look.writers.refused)));
    add("told    " + ways_text(look.tally.told));
    add("resets  " + ways_text(look.tally.resets) + list_text(look.tally.reset_why));
    add(fmt::format("repeats   {}  resets {} (excused {} events)", counts.repeats, counts.resets,
                    counts.excused));
    add(fmt::format(
        "inboxes   states {}  with TTL {}  expired {}  before they were recorded {}  collapsing {}",
        counts.inboxes, counts.expiring, counts.expired, counts.died, counts.collapsing));
    add(fmt::format("readers   connections {}  ended {}{}", look.tally.connections, look.tally.over,
                    list_text(look.tally.why)));
    add("faults  " + faults_text(look.tally.faults));
    add(fmt::format("kills     broker {}  bridge {}", facts.broker_kills, facts.bridge_kills));
    add(fmt::format("loop lag  longest {:.0f} ms, {:.2f} % of the looks above {:.0f} ms",
                    Millis{look.lag.max()}.count(), look.lag.late_share() * 100,
                    Millis{LoopLag::kLate}.count()));
    std::string wrongs = "WATCH   ";
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        fmt::format_to(std::back_inserter(wrongs), " {} {} ", to_text(static_cast<Wrong>(i)),
                       look.verdict.counts[i]);
    }
    add(wrongs);
    for (auto const& example : look.verdict.examples) add(example_text(example));
    for (auto const& trouble : facts.trouble) add("! " + trouble);
    out += fmt::format("result: {}", to_text(facts.end));
    if (facts.end == WatchEnd::invalid) {
        out += look.lag.is_overloaded() ? " (simulator overloaded)" : " (it proves nothing)";
    }
    return out;
}

std::string watch_summary(WatchLook const& look, WatchFacts const& facts) {
    auto out = look_json(look);
    json::array examples;
    for (auto const& example : look.verdict.examples) {
        examples.push_back(json::object{{"wrong", to_text(example.wrong)},
                                        {"who", example.who},
                                        {"event", example.id},
                                        {"at_ms", example.at_ms},
                                        {"text", example.text}});
    }
    json::array notes;
    for (auto const& note : facts.notes) {
        notes.push_back(json::object{{"at_ms", note.at.count()}, {"text", note.text}});
    }
    out["result"] = to_text(facts.end);
    out["seed"] = facts.seed;
    out["fault_options"] = facts.faults;
    out["faults_by_kind"] = faults_json(look.tally.faults);
    out["resets_why"] = map_json(look.tally.reset_why);
    out["ended_why"] = map_json(look.tally.why);
    out["kills"] = json::object{{"broker", facts.broker_kills}, {"bridge", facts.bridge_kills}};
    out["examples"] = std::move(examples);
    out["notes"] = std::move(notes);
    out["trouble"] = json::array(facts.trouble.begin(), facts.trouble.end());
    out["loop_lag_max_us"] = look.lag.max().count();
    out["loop_late_share"] = look.lag.late_share();
    return text_of(out);
}

std::string watch_junit(WatchLook const& look, WatchFacts const& facts) {
    std::size_t failures = facts.end == WatchEnd::pass ? 0 : 1;
    for (auto count : look.verdict.counts) failures += count == 0 ? 0 : 1;
    auto out = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"spoke-sim watch, seed {}\" tests=\"{}\" failures=\"{}\" "
        "time=\"{:.3f}\">\n",
        facts.seed, kWrongCount + 1, failures, static_cast<double>(look.elapsed.count()) / 1000.0);
    for (std::size_t i = 0; i < kWrongCount; ++i) {
        auto name = to_text(static_cast<Wrong>(i));
        out += fmt::format("  <testcase classname=\"watch\" name=\"{}\"", name);
        if (look.verdict.counts[i] == 0) {
            out += "/>\n";
            continue;
        }
        out += fmt::format(">\n    <failure message=\"{} times\">", look.verdict.counts[i]);
        for (auto const& example : look.verdict.examples) {
            if (static_cast<std::size_t>(example.wrong) == i) {
                out += xml_text(example_text(example)) + '\n';
            }
        }
        out += "</failure>\n  </testcase>\n";
    }
    out += "  <testcase classname=\"run\" name=\"result\"";
    if (facts.end == WatchEnd::pass) return out + "/>\n</testsuite>\n";
    out += fmt::format(">\n    <failure message=\"{}\">", to_text(facts.end));
    for (auto const& trouble : facts.trouble) out += xml_text(trouble) + '\n';
    return out + "</failure>\n  </testcase>\n</testsuite>\n";
}

}  // namespace spoke::sim
