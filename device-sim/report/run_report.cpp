#include "device-sim/report/run_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <iterator>
#include <utility>

namespace spoke::sim {
namespace {

namespace json = boost::json;
using Millis = std::chrono::duration<double, std::milli>;

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

std::string case_text(JunitCase const& one) {
    auto out = fmt::format("  <testcase classname=\"{}\" name=\"{}\"", one.class_name, one.name);
    if (one.failure.empty()) return out + "/>\n";
    out += fmt::format(">\n    <failure message=\"{}\">", xml_text(one.failure));
    for (auto const& line : one.lines) out += xml_text(line) + '\n';
    return out + "</failure>\n  </testcase>\n";
}

}  // namespace

std::string_view to_text(RunEnd end) noexcept {
    switch (end) {
        case RunEnd::pass:
            return "PASS";
        case RunEnd::fail:
            return "FAIL";
        case RunEnd::invalid:
            return "INVALID";
    }
    return "";
}

json::object counts_json(CountsByName const& counts) {
    json::object out;
    for (auto const& [name, count] : counts) out[name] = count;
    return out;
}

std::string counts_text(CountsByName const& counts) {
    std::string out;
    for (auto const& [name, count] : counts) {
        fmt::format_to(std::back_inserter(out), "\n    {} x {}", count, name);
    }
    return out;
}

std::string clock_text(std::chrono::milliseconds elapsed) {
    auto seconds = elapsed.count() / 1000;
    return fmt::format("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string example_text(std::string_view what, std::int64_t at_ms, std::string_view where,
                         std::string_view text) {
    return fmt::format("! {} at {:.3f} s: {}: {}", what, static_cast<double>(at_ms) / 1000.0, where,
                       text);
}

std::string load_text(double cpu_percent, std::chrono::microseconds lag) {
    return fmt::format("cpu {:.0f} %  lag {:.0f} ms{}", cpu_percent, Millis{lag}.count(),
                       lag > LoopLag::kLate ? " LATE" : "");
}

std::string lag_text(LoopLag const& lag) {
    return fmt::format("loop lag  longest {:.0f} ms, {:.2f} % of the looks above {:.0f} ms",
                       Millis{lag.max()}.count(), lag.late_share() * 100,
                       Millis{LoopLag::kLate}.count());
}

std::string result_text(RunEnd end, LoopLag const& lag) {
    auto out = fmt::format("result: {}", to_text(end));
    if (end != RunEnd::invalid) return out;
    return out + (lag.is_overloaded() ? " (simulator overloaded)" : " (it proves nothing)");
}

void add_facts(json::object& summary, RunFacts const& facts, LoopLag const& lag) {
    json::array notes;
    for (auto const& note : facts.notes) {
        notes.push_back(json::object{{"at_ms", note.at.count()}, {"text", note.text}});
    }
    summary["result"] = to_text(facts.end);
    summary["seed"] = facts.seed;
    summary["fault_options"] = facts.faults;
    summary["kills"] = json::object{{"broker", facts.broker_kills}, {"bridge", facts.bridge_kills}};
    summary["notes"] = std::move(notes);
    summary["trouble"] = json::array(facts.trouble.begin(), facts.trouble.end());
    summary["loop_lag_max_us"] = lag.max().count();
    summary["loop_late_share"] = lag.late_share();
}

std::string junit_text(std::string_view name, std::chrono::milliseconds elapsed,
                       std::vector<JunitCase> cases, RunFacts const& facts) {
    auto failure = facts.end == RunEnd::pass ? std::string{} : std::string{to_text(facts.end)};
    cases.push_back({"run", "result", failure, facts.trouble});
    auto has_failed = [](JunitCase const& one) { return !one.failure.empty(); };
    auto out = fmt::format(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
        "<testsuite name=\"spoke-sim {}, seed {}\" tests=\"{}\" failures=\"{}\" time=\"{:.3f}\">\n",
        name, facts.seed, cases.size(), std::count_if(cases.begin(), cases.end(), has_failed),
        static_cast<double>(elapsed.count()) / 1000.0);
    for (auto const& one : cases) out += case_text(one);
    return out + "</testsuite>\n";
}

}  // namespace spoke::sim
