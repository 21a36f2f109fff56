#include "bridge/store/rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <iterator>
#include <limits>
#include <stdexcept>
#include <utility>

#include "bridge/store/audit_chain.hpp"

namespace spoke::bridge {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;

constexpr std::array<std::string_view, 2> kIfOfflineNames{"fail", "wait"};
constexpr std::array<std::string_view, 2> kDeliverNames{"once", "until"};

// Where read_command finds what; CommandWrite binds the same, counted from 1.
enum Column : int {
    id,
    device,
    verb,
    args,
    condition,
    ref,
    lane,
    ttl_ms,
    if_offline,
    deliver,
    supersede,
    fail_if_busy,
    caller,
    trace,
    address,
    keys,
    state,
    late,
    may_have_left,
    version,
    n,
    accepted_at,
    deadline,
    boot,
    exp_up,
    took_ms,
    answer,
    why,
    timeline,
    arrows_audited,
    settled_at,
};

std::int64_t ms_of(WallTime time) {
    return time.time_since_epoch().count();
}

WallTime time_of(std::int64_t ms) {
    return WallTime{milliseconds{ms}};
}

[[noreturn]] void unreadable(std::string_view what) {
    throw std::runtime_error{fmt::format("the column {} cannot be read", what)};
}

template <std::size_t Size>
std::size_t index_of(std::array<std::string_view, Size> const& names, std::string_view name,
                     std::string_view column) {
    for (std::size_t i = 0; i < Size; ++i) {
        if (names[i] == name) return i;
    }
    unreadable(column);
}

CommandState state_of(std::string_view name) {
    for (auto value = 0; value <= static_cast<int>(CommandState::abandoned); ++value) {
        auto candidate = static_cast<CommandState>(value);
        if (name_of(candidate) == name) return candidate;
    }
    unreadable("state");
}

void append_text(std::string& out, std::string_view text) {
    auto is_plain = [](char c) { return c >= ' ' && c != '"' && c != '\\' && c != '\x7F'; };
    if (std::ranges::all_of(text, is_plain)) {
        out += '"';
        out += text;
        out += '"';
    } else {
        out += json::serialize(json::string_view{text.data(), text.size()});
    }
}

void append_texts(std::string& out, std::vector<std::string> const& texts) {
    out += '[';
    for (auto const& text : texts) {
        if (out.size() > 1) out += ',';
        append_text(out, text);
    }
    out += ']';
}

void append_timeline(std::string& out, std::vector<TimelineEntry> const& arrows) {
    out += '[';
    for (auto const& arrow : arrows) {
        if (out.size() > 1) out += ',';
        fmt::format_to(std::back_inserter(out), R"({{"t":{},"state":"{}","by":)", arrow.t.count(),
                       name_of(arrow.state));
        append_text(out, arrow.by);
        if (!arrow.why.empty()) {
            out += R"(,"why":)";
            append_text(out, arrow.why);
        }
        out += '}';
    }
    out += ']';
}

std::string_view view_of(json::value const& value) {
    auto const& text = value.as_string();
    return {text.data(), text.size()};
}

std::vector<TimelineEntry> timeline_of(std::string_view text) {
    std::vector<TimelineEntry> out;
    auto document = json::parse(text);
    for (auto const& arrow : document.as_array()) {
        auto const& members = arrow.as_object();
        TimelineEntry entry;
        entry.t = milliseconds{members.at("t").to_number<std::int64_t>()};
        entry.state = state_of(view_of(members.at("state")));
        entry.by = view_of(members.at("by"));
        if (auto const* reason = members.if_contains("why")) entry.why = view_of(*reason);
        out.push_back(std::move(entry));
    }
    return out;
}

std::optional<std::uint64_t> unsigned_at(SqliteStatement const& row, int column) {
    if (row.is_null(column)) return std::nullopt;
    return static_cast<std::uint64_t>(row.integer(column));
}

std::string string_at(SqliteStatement const& row, int column) {
    return std::string{row.text(column)};
}

CommandRequest request_of(SqliteStatement const& row) {
    CommandRequest request;
    request.device = row.text(device);
    request.verb = row.text(verb);
    request.args = row.text(args);
    request.condition = row.text(condition);
    request.ref = row.text(ref);
    request.lane = row.text(lane);
    request.ttl = milliseconds{row.integer(ttl_ms)};
    request.if_offline =
        static_cast<IfOffline>(index_of(kIfOfflineNames, row.text(if_offline), "if_offline"));
    request.deliver = static_cast<Deliver>(index_of(kDeliverNames, row.text(deliver), "deliver"));
    request.supersede = row.integer(supersede) != 0;
    request.fail_if_busy = row.integer(fail_if_busy) != 0;
    return request;
}

Command command_of(SqliteStatement const& row) {
    Command command;
    auto parsed = CommandId::parse(row.text(id));
    if (!parsed) unreadable("id");
    command.id = *parsed;
    command.request = request_of(row);
    command.caller = {string_at(row, caller), string_at(row, trace), string_at(row, address)};
    command.keys = texts_of(row.text(keys));
    command.state = state_of(row.text(state));
    command.late = row.integer(late) != 0;
    command.may_have_left = row.integer(may_have_left) != 0;
    command.version = static_cast<std::uint32_t>(row.integer(version));
    command.n = static_cast<std::uint64_t>(row.integer(n));
    command.accepted_at = time_of(row.integer(accepted_at));
    command.deadline = time_of(row.integer(deadline));
    command.boot = unsigned_at(row, boot);
    command.exp_up = unsigned_at(row, exp_up);
    if (!row.is_null(took_ms)) command.took = milliseconds{row.integer(took_ms)};
    command.answer = row.text(answer);
    command.why = row.text(why);
    command.timeline = timeline_of(row.text(timeline));
    command.arrows_audited = static_cast<std::size_t>(row.integer(arrows_audited));
    return command;
}

WallTime end_of(Command const& command) {
    auto last = command.timeline.empty() ? milliseconds{} : command.timeline.back().t;
    return command.accepted_at + last;
}

std::string upsert(bool settled) {
    // Who asked for what, when, does not change.
    auto sql = fmt::format(
        "INSERT INTO commands ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, "
        "?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31) "
        "ON CONFLICT (id) DO UPDATE SET keys = excluded.keys, state = excluded.state, "
        "late = excluded.late, may_have_left = excluded.may_have_left, "
        "version = excluded.version, n = excluded.n, deadline = excluded.deadline, "
        "boot = excluded.boot, exp_up = excluded.exp_up, took_ms = excluded.took_ms, "
        "answer = excluded.answer, why = excluded.why, timeline = excluded.timeline, "
        "arrows_audited = excluded.arrows_audited",
        kCommandColumns);
    return settled ? sql + ", settled_at = excluded.settled_at" : sql;
}

}  // namespace

Command read_command(SqliteStatement const& row) {
    try {
        return command_of(row);
    } catch (std::exception const& error) {
        throw std::runtime_error{fmt::format("command {}: {}", row.text(id), error.what())};
    }
}

CommandWrite::CommandWrite(SqliteConnection& connection)
    : open_(connection.prepare(upsert(false))), settled_(connection.prepare(upsert(true))) {}

void CommandWrite::run(Command const& command) {
    auto const& request = command.request;
    auto is_end = is_settled(command.state);
    auto& to = is_end ? settled_ : open_;
    id_ = command.id.text();
    keys_.clear();
    append_texts(keys_, command.keys);
    timeline_.clear();
    append_timeline(timeline_, command.timeline);
    auto flag = [](bool value) { return std::int64_t{value}; };
    auto texts = {
        std::pair{id, std::string_view{id_}},
        std::pair{device, std::string_view{request.device}},
        std::pair{verb, std::string_view{request.verb}},
        std::pair{args, std::string_view{request.args}},
        std::pair{condition, std::string_view{request.condition}},
        std::pair{ref, std::string_view{request.ref}},
        std::pair{lane, std::string_view{request.lane}},
        std::pair{if_offline, kIfOfflineNames.at(static_cast<std::size_t>(request.if_offline))},
        std::pair{deliver, kDeliverNames.at(static_cast<std::size_t>(request.deliver))},
        std::pair{caller, std::string_view{command.caller.by}},
        std::pair{trace, std::string_view{command.caller.trace}},
        std::pair{address, std::string_view{command.caller.address}},
        std::pair{keys, std::string_view{keys_}},
        std::pair{state, name_of(command.state)},
        std::pair{answer, std::string_view{command.answer}},
        std::pair{why, std::string_view{command.why}},
        std::pair{timeline, std::string_view{timeline_}}};
    for (auto const& [column, text] : texts) to.bind(column + 1, text);
    auto numbers = {std::pair{ttl_ms, std::int64_t{request.ttl.count()}},
                    std::pair{supersede, flag(request.supersede)},
                    std::pair{fail_if_busy, flag(request.fail_if_busy)},
                    std::pair{late, flag(command.late)},
                    std::pair{may_have_left, flag(command.may_have_left)},
                    std::pair{version, std::int64_t{command.version}},
                    std::pair{n, static_cast<std::int64_t>(command.n)},
                    std::pair{accepted_at, ms_of(command.accepted_at)},
                    std::pair{deadline, ms_of(command.deadline)},
                    std::pair{arrows_audited, static_cast<std::int64_t>(command.arrows_audited)}};
    for (auto const& [column, number] : numbers) to.bind(column + 1, number);
    to.bind(boot + 1, command.boot).bind(exp_up + 1, command.exp_up);
    command.took ? to.bind(took_ms + 1, std::int64_t{command.took->count()})
                 : to.bind_null(took_ms + 1);
    is_end ? to.bind(settled_at + 1, ms_of(end_of(command))) : to.bind_null(settled_at + 1);
    to.run();
}

StoredDevice read_device(SqliteStatement const& row) {
    try {
        StoredDevice stored;
        stored.record.id = row.text(0);
        stored.n = static_cast<std::uint64_t>(row.integer(1));
        stored.record.alias = row.text(2);
        stored.record.profile = row.text(3);
        stored.record.tags = texts_of(row.text(4));
        stored.record.deny = texts_of(row.text(5));
        stored.record.version = static_cast<std::uint32_t>(row.integer(6));
        return stored;
    } catch (std::exception const& error) {
        throw std::runtime_error{fmt::format("device {}: {}", row.text(0), error.what())};
    }
}

AuditLine read_audit_line(SqliteStatement const& row) {
    AuditLine line;
    line.number = static_cast<std::uint64_t>(row.integer(0));
    auto& entry = line.entry;
    entry.at = time_of(row.integer(1));
    entry.who = row.text(2);
    entry.address = row.text(3);
    entry.what = row.text(4);
    entry.device = row.text(5);
    entry.subject = row.text(6);
    entry.why = row.text(7);
    entry.trace = row.text(8);
    entry.detail = row.text(9);
    line.hash = hex(row.blob(10));
    return line;
}

std::string json_of(std::vector<std::string> const& texts) {
    std::string out;
    append_texts(out, texts);
    return out;
}

std::vector<std::string> texts_of(std::string_view text) {
    std::vector<std::string> out;
    auto document = json::parse(text);
    for (auto const& item : document.as_array()) out.emplace_back(view_of(item));
    return out;
}

}  // namespace spoke::bridge
