#include "bridge/api/documents.hpp"

#include <fmt/format.h>

#include <boost/json.hpp>

#include "bridge/api/parameters.hpp"
#include "bridge/command/json_text.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

json::array timeline_of(Command const& command) {
    json::array out;
    for (auto const& entry : command.timeline) {
        json::object row{{"t", entry.t.count()}, {"state", name_of(entry.state)}, {"by", entry.by}};
        if (!entry.why.empty()) row["why"] = entry.why;
        out.push_back(std::move(row));
    }
    return out;
}

/// Where the time went, as far as it is known: without receipts of the broker, the bridge's queue
/// and both ways are one, `network`.
json::object spent_of(Command const& command) {
    json::object out;
    auto sent = command.reached(CommandState::sent);
    // A device that says it has begun has the order, whenever its PUBACK comes.
    auto delivered = command.reached(CommandState::delivered);
    if (!delivered) delivered = command.reached(CommandState::running);
    if (sent) out["queue"] = sent->count();
    if (sent && delivered) out["down"] = (*delivered - *sent).count();
    if (command.took) out["device"] = command.took->count();
    if (!is_settled(command.state) || !command.took) return out;
    auto begin = delivered ? *delivered : sent.value_or(milliseconds{0});
    auto rest = std::max(command.timeline.back().t - begin - *command.took, milliseconds{0});
    out[delivered ? "up" : "network"] = rest.count();
    return out;
}

void add_hint(Command const& command, json::object& out) {
    if (command.state != CommandState::unknown) return;
    out["hint"] = "it may have been done; it settles by itself when the device is heard of";
    out["location"] = "/v1/commands/" + command.id.text();
}

}  // namespace

std::string rfc3339(WallTime time) {
    auto day = std::chrono::floor<std::chrono::days>(time);
    std::chrono::year_month_day date{day};
    std::chrono::hh_mm_ss clock{time - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                       clock.subseconds().count());
}

std::string command_document(Command const& command) {
    auto const& request = command.request;
    json::object out;
    out["id"] = command.id.text();
    out["device"] = request.device;
    out["do"] = request.verb;
    if (!request.args.empty()) out["args"] = json::parse(request.args);
    if (!request.ref.empty()) out["ref"] = request.ref;
    if (!request.condition.empty()) out["if"] = json::parse(request.condition);
    out["state"] = name_of(command.state);
    out["settled"] = is_settled(command.state);
    out["late"] = command.late;
    if (!command.why.empty()) out["why"] = command.why;
    out["n"] = command.n;
    if (!request.lane.empty()) out["lane"] = request.lane;
    out["accepted"] = rfc3339(command.accepted_at);
    out["deadline"] = rfc3339(command.deadline);
    if (!command.answer.empty()) out["answer"] = json::parse(command.answer);
    out["timeline"] = timeline_of(command);
    out["spent_ms"] = spent_of(command);
    out["by"] = command.caller.by;
    if (!command.caller.trace.empty()) out["trace"] = command.caller.trace;
    add_hint(command, out);
    return json_text(out);
}

std::string device_document(Device const& device, Presence presence) {
    json::object out;
    out["id"] = device.id;
    static DeviceRecord const kNothingSaid;
    auto const& record = device.record ? *device.record : kNothingSaid;
    out["alias"] = record.alias.empty() ? json::value(nullptr) : json::value(record.alias);
    out["profile"] = record.profile.empty() ? json::value(nullptr) : json::value(record.profile);
    out["tags"] = json::value_from(record.tags);
    out["deny"] = json::value_from(record.deny);
    out["presence"] = name_of(presence);
    out["last_seen"] = device.last_seen ? json::value(rfc3339(*device.last_seen)) : nullptr;
    if (presence == Presence::asleep && device.wake) out["next_wake"] = rfc3339(*device.wake);
    if (device.boot) out["boot"] = *device.boot;
    if (!device.fw.empty()) out["fw"] = device.fw;
    if (!device.hw.empty()) out["hw"] = device.hw;
    out["n"] = device.n;
    if (device.state_at) out["state_at"] = rfc3339(*device.state_at);
    out["state"] = device.state.empty() ? json::value(nullptr) : json::parse(device.state);
    return json_text(out);
}

std::string audit_document(AuditLine const& line) {
    auto const& entry = line.entry;
    json::object out{{"number", line.number}, {"at", rfc3339(entry.at)}, {"who", entry.who}};
    auto add = [&out](std::string_view name, std::string const& value) {
        if (!value.empty()) out[name] = value;
    };
    add("address", entry.address);
    out["what"] = entry.what;
    add("device", entry.device);
    add("subject", entry.subject);
    add("why", entry.why);
    add("trace", entry.trace);
    if (!entry.detail.empty()) out["detail"] = json::parse(entry.detail);
    out["hash"] = line.hash;
    return json_text(out);
}

HttpResponse list_response(HttpRequest const& request, std::string_view name,
                           std::vector<std::string> const& documents) {
    HttpResponse response;
    if (wants_lines(request)) {
        response.content_type = "application/x-ndjson";
        for (auto const& document : documents) response.body += document + "\n";
        return response;
    }
    response.body = fmt::format("{{\"{}\":[{}]}}", name, fmt::join(documents, ","));
    return response;
}

}  // namespace spoke::bridge
