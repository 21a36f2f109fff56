#include "device-sim/device/payloads.hpp"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <iterator>
#include <utility>

// The numbers are printed by fmt, since Boost.JSON writes 3.96 as 3.96E0, which is legal and which
// no lock does.

namespace spoke::sim {
namespace {

template <class... Values>
void add(std::string& out, fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(out), format, std::forward<Values>(values)...);
}

/// For text that came from outside: with its quotes, escaped.
std::string quoted(std::string_view text) {
    return boost::json::serialize(boost::json::string{text.data(), text.size()});
}

double volts(Snapshot const& now) {
    return 3.3 + 0.009 * now.battery_percent;
}

/// An update is told by a number behind the version the lock was made with.
std::string firmware_text(Snapshot const& now) {
    std::string text{now.firmware};
    if (now.updates != 0) add(text, "+{}", now.updates);
    return text;
}

void add_position(std::string& out, Snapshot const& now) {
    add(out, R"("pos":{{"lat":{:.5f},"lon":{:.5f},"acc":6,"age":{},"sat":9}})", now.latitude,
        now.longitude, now.up.count() / 1000 % 10);
}

void add_last_n(std::string& out, Snapshot const& now) {
    add(out, R"("last_n":{{"lock":{},"info":{},"config":{}}})", now.last_n[index_of(Lane::lock)],
        now.last_n[index_of(Lane::info)], now.last_n[index_of(Lane::config)]);
}

void add_journal(std::string& out, Snapshot const& now) {
    out += R"("jrn":[)";
    for (auto entry = now.journal.rbegin(); entry != now.journal.rend(); ++entry) {
        if (entry != now.journal.rbegin()) out += ',';
        add(out, R"([{},"{}",{}])", quoted(entry->id), to_text(entry->result), entry->n);
    }
    out += ']';
}

void add_state(std::string& out, Snapshot const& now) {
    out += '{';
    if (now.wall) add(out, R"("at":{},)", *now.wall);
    add(out, R"("boot":{},"up":{},)", now.boot, now.up.count());
    add_last_n(out, now);
    add(out, R"(,"lock":"{}")", to_text(now.lock));
    if (!now.ride.empty()) add(out, R"(,"ride":{})", quoted(now.ride));
    add(out, R"(,"batt":{{"v":{:.2f},"pct":{:.0f},"chg":0,"solar":1}},)", volts(now),
        now.battery_percent);
    add_position(out, now);
    add(out, R"(,"net":{{"rssi":{},"rat":"{}","cell":"460-00-1234-5678"}},"speed":{})", now.rssi,
        now.rat, now.speed);
    add(out, R"(,"alarm":{},"fw":"{}","cfg_v":{},)", now.alarm, firmware_text(now),
        now.settings_version);
    add_journal(out, now);
    out += '}';
}

void add_detail(std::string& out, AnswerText const& answer, Snapshot const& now) {
    switch (answer.detail) {
        case Detail::none:
            return;
        case Detail::position:
            out += ',';
            add_position(out, now);
            return;
        case Detail::alarm:
            add(out, R"(,"alarm":{})", now.alarm);
            return;
        case Detail::settings:
            add(out, R"(,"cfg_v":{})", now.settings_version);
            return;
        case Detail::key:
            add(out, R"(,"key":"{:016x}")", answer.key);
            return;
        case Detail::whole_state:
            out += R"(,"state":)";
            add_state(out, now);
            return;
    }
}

}  // namespace

std::string birth_payload(Snapshot const& now, Nameplate const& plate) {
    return fmt::format(
        R"({{"on":true,"boot":{},"up":{},"fw":"{}","hw":"{}","proto":{},"iccid":"8986{:016}","jrn":{}}})",
        now.boot, now.up.count(), firmware_text(now), plate.hardware, plate.protocol_level,
        plate.sim_card % 10'000'000'000'000'000U, Journal::kJournalSize);
}

std::string gone_payload(std::uint32_t boot) {
    return fmt::format(R"({{"on":false,"boot":{}}})", boot);
}

std::string asleep_payload(std::uint32_t boot, std::optional<std::int64_t> wake) {
    if (!wake) return gone_payload(boot);
    return fmt::format(R"({{"on":false,"wake":{},"boot":{}}})", *wake, boot);
}

std::string track_payload(Snapshot const& now, std::span<TrackPoint const> points) {
    auto out = fmt::format(R"({{"boot":{},"ride":{},"track":[)", now.boot, quoted(now.ride));
    for (auto const& point : points) {
        if (&point != &points.front()) out += ',';
        add(out, "[{},{:.5f},{:.5f}]", point.up.count(), point.latitude, point.longitude);
    }
    return out + "]}";
}

std::string state_payload(Snapshot const& now) {
    std::string out;
    add_state(out, now);
    return out;
}

std::string answer_payload(AnswerText const& answer, Snapshot const& now) {
    auto const& entry = answer.entry;
    auto out = fmt::format(R"({{"id":{},"n":{},"r":"{}")", quoted(entry.id), entry.n,
                           to_text(entry.result.outcome));
    if (entry.result.why != Why::none) add(out, R"(,"why":"{}")", to_text(entry.result.why));
    if (entry.result.outcome == Outcome::ok || entry.result.outcome == Outcome::fail) {
        add(out, R"(,"took":{})", entry.took.count());
    }
    add(out, R"(,"lock":"{}","batt":{{"v":{:.2f},"pct":{:.0f}}},"rssi":{},"up":{})",
        to_text(now.lock), volts(now), now.battery_percent, now.rssi, now.up.count());
    add_detail(out, answer, now);
    if (!answer.trace.empty()) add(out, R"(,"tp":{})", quoted(answer.trace));
    out += '}';
    return out;
}

std::string locked_by_hand_payload(Snapshot const& now, std::string_view ride,
                                   std::chrono::milliseconds ridden) {
    return fmt::format(R"({{"type":"locked_by_hand","ride":{},"min":{},"boot":{},"up":{}}})",
                       quoted(ride), ridden.count() / 60'000, now.boot, now.up.count());
}

std::string battery_low_payload(Snapshot const& now) {
    return fmt::format(R"({{"type":"batt_low","v":{:.2f},"pct":{:.0f},"boot":{},"up":{}}})",
                       volts(now), now.battery_percent, now.boot, now.up.count());
}

}  // namespace spoke::sim
