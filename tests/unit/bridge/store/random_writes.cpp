#include "tests/unit/bridge/store/random_writes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <limits>

#include "bridge/store/memory_event_store.hpp"
#include "bridge/store/memory_store.hpp"

namespace spoke::bridge::test {

using namespace std::chrono_literals;
using std::chrono::milliseconds;

std::vector<std::string> RandomWrites::keys() {
    return {"k1", "k2", "k3", "k4", "k5", "k6", "key with \"quotes\"", "schl\xC3\xBCssel"};
}

std::vector<EventClass> RandomWrites::classes() {
    return {{"d/+/evt", 1h, 100'000, 1'000'000'000}, {"t/#", 1h, 15, 1'000'000'000}};
}

std::vector<std::string> RandomWrites::devices() {
    return {"b1", "b2", "b3", "b\xC3\xA4r", "it's"};
}

std::vector<std::string> RandomWrites::people() {
    return {"user:1", "user:2", "device", "broker", "bridge"};
}

std::uint64_t RandomWrites::below(std::uint64_t bound) {
    return random_() % bound;
}

std::string const& RandomWrites::one_of(std::vector<std::string> const& texts) {
    return texts[below(texts.size())];
}

std::string RandomWrites::odd_text() {
    static std::vector<std::string> const kTexts{"",
                                                 "why",
                                                 "two\nlines",
                                                 "quote \" and \\",
                                                 std::string{"zero \0 inside", 13},
                                                 "\xE2\x82\xAC 5",
                                                 std::string(3'000, 'x'),
                                                 "'); DROP TABLE commands; --"};
    return one_of(kTexts);
}

WallTime RandomWrites::now() {
    ms_ += static_cast<std::int64_t>(below(50)) - (one_in(40) ? 5'000 : 0);  // the clock jumps
    return WallTime{milliseconds{ms_}};
}

Command RandomWrites::fresh() {
    Command command;
    command.id = CommandId::make(now(), [this] { return random_(); });
    command.request.device = one_of(devices());
    command.request.verb = one_in(3) ? "ring" : "unlock";
    command.request.args = one_in(2) ? R"({"ride":"r1"})" : "";
    command.request.condition = one_in(4) ? R"({"lock":"locked"})" : "";
    command.request.ref = odd_text();
    command.request.lane = "lock";
    command.request.ttl = milliseconds{below(86'400'000)};
    command.request.if_offline = one_in(2) ? IfOffline::fail : IfOffline::wait;
    command.request.deliver = one_in(2) ? Deliver::once : Deliver::until;
    command.request.supersede = one_in(2);
    command.request.fail_if_busy = one_in(2);
    command.caller = {one_of(people()), one_in(2) ? "00-abc-def-01" : "", "127.0.0.1"};
    if (!one_in(3)) command.keys.push_back(one_of(keys()));
    command.n = 1 + below(1'000);
    command.accepted_at = now();
    command.deadline = command.accepted_at + command.request.ttl;
    if (one_in(2)) command.boot = one_in(9) ? std::numeric_limits<std::uint64_t>::max() : below(9);
    if (one_in(2)) command.exp_up = below(1'000'000);
    move(command, CommandState::queued);
    return command;
}

void RandomWrites::move(Command& command, CommandState state) {
    command.state = state;
    command.why = odd_text();
    ++command.version;
    auto t = command.timeline.empty() ? milliseconds{} : command.timeline.back().t;
    command.timeline.push_back({t + milliseconds{below(900)}, state, one_of(people()), odd_text()});
}

void RandomWrites::change(Command& command) {
    command.may_have_left = command.may_have_left || one_in(2);
    command.late = one_in(5);
    if (one_in(3)) command.keys.push_back(one_of(keys()));
    if (one_in(3)) command.took = milliseconds{below(10'000)};
    if (one_in(3)) command.answer = R"({"r":"ok","lock":"unlocked"})";
    auto last = static_cast<std::uint64_t>(CommandState::abandoned);
    move(command, static_cast<CommandState>(1 + below(last)));
}

AuditEntry RandomWrites::entry(std::string what) {
    AuditEntry out;
    out.at = now();
    out.who = one_of(people());
    out.what = std::move(what);
    out.subject = odd_text();
    out.why = odd_text();
    out.trace = one_in(2) ? "00-abc-def-01" : "";
    out.detail = step_mark();
    return out;
}

std::vector<AuditEntry> RandomWrites::entries_of(Command& command) {
    std::vector<AuditEntry> out;
    for (; command.arrows_audited < command.timeline.size(); ++command.arrows_audited) {
        auto const& arrow = command.timeline[command.arrows_audited];
        AuditEntry line;
        line.at = command.accepted_at + arrow.t;
        line.who = arrow.by;
        line.what = fmt::format("command.{}", name_of(arrow.state));
        line.device = command.request.device;
        line.subject = command.id.text();
        line.why = arrow.why;
        line.detail = step_mark();
        out.push_back(std::move(line));
    }
    return out;
}

std::string RandomWrites::step_mark() const {
    return fmt::format(R"({{"step":{}}})", steps_);
}

RandomWrites::Step RandomWrites::put(Command command, Need need) {
    auto lines = entries_of(command);
    commands_[command.id] = command;
    std::erase(open_, command.id);
    if (!is_settled(command.state)) open_.push_back(command.id);
    auto events = one_in(2) ? fresh_events() : std::vector<Event>{};
    auto witness = events.empty() ? 0 : events.front().offset;
    auto run = [command, lines, events, need](BothStores to, Store::Done done) {
        to.store.put(command, lines, events, need, std::move(done));
    };
    return {run, lines, need, witness};
}

RandomWrites::Step RandomWrites::put_device() {
    DeviceRecord record;
    record.id = one_of(devices());
    record.alias = odd_text();
    record.profile = "bike";
    record.tags = {"a", one_of(keys())};
    if (one_in(2)) record.deny = {"*"};
    record.version = static_cast<std::uint32_t>(below(100));
    auto line = entry("device.updated");
    line.device = record.id;
    auto run = [record, line](BothStores to, Store::Done done) {
        to.store.put_device(record, line, std::move(done));
    };
    return {run, {line}};
}

Event RandomWrites::fresh_event(std::string topic) {
    Event event;
    event.offset = ++offset_;
    event.n = offset_;
    event.at = now();
    event.topic = std::move(topic);
    event.data = one_in(5) ? '"' + std::string(3'000, 'x') + '"' : R"({"e":"moved"})";
    event.type = one_in(2) ? "moved" : "";
    if (one_in(3)) event.key = fmt::format("key-{}", offset_);
    if (one_in(3)) event.expires_at = event.at + milliseconds{below(1'000)};
    if (one_in(2)) event.arrival = {static_cast<std::uint16_t>(1 + below(1'000)), random_()};
    return event;
}

/// The first of them stays.
std::vector<Event> RandomWrites::fresh_events() {
    std::vector<Event> out;
    out.push_back(fresh_event("d/" + one_of(devices()) + "/evt"));
    while (one_in(2)) out.push_back(fresh_event(fmt::format("t/{}", below(4))));
    return out;
}

RandomWrites::Step RandomWrites::append_events() {
    auto events = fresh_events();
    auto witness = events.front().offset;
    auto need = static_cast<Need>(below(3));
    std::optional<InboxMark> mark;
    if (one_in(3)) mark = InboxMark{one_of(people()), below(offset_)};
    auto moves = one_in(3);
    auto forgets = one_in(10);
    auto run = [=](BothStores to, Store::Done done) {
        if (moves) to.events.put_position("feed", witness);
        if (forgets) to.events.forget_arrivals();
        to.events.append_events(events, mark, need, std::move(done));
    };
    return {run, {}, need == Need::certain_soon ? Need::certain : need, witness};
}

RandomWrites::Step RandomWrites::next() {
    ++steps_;
    if (one_in(4)) return append_events();
    auto kind = below(10);
    if (kind < 6 && !open_.empty()) {
        auto command = commands_.at(open_[below(open_.size())]);
        change(command);
        if (one_in(4)) move(command, command.state);  // two arrows in one write
        return put(std::move(command), Need::certain);
    }
    if (kind < 8 || open_.empty()) {
        auto command = fresh();
        ids_.push_back(command.id);
        return put(std::move(command), Need::now_or_never);
    }
    if (kind == 8) return put_device();
    auto line = entry(one_in(2) ? "publish" : "device.deleted");
    if (line.what == "publish") {
        auto append = [line](BothStores to, Store::Done done) {
            to.store.append(line, std::move(done));
        };
        return {append, {line}};
    }
    auto device = one_of(devices());
    line.device = device;
    auto erase = [line, device](BothStores to, Store::Done done) {
        to.store.erase_device(device, line, std::move(done));
    };
    return {erase, {line}};
}

namespace {

void add_events(EventStore const& log, Contents& out) {
    EventQuery query;
    query.limit = std::numeric_limits<std::size_t>::max();
    query.scan_max = query.limit;
    for (auto const& event : log.events(query).events) {
        auto expires = event.expires_at ? event.expires_at->time_since_epoch().count() : 0;
        out.events[event.offset] =
            fmt::format("{} {} {} {} {} {} {}", event.topic, event.n, event.type, event.data,
                        event.key, event.at.time_since_epoch().count(), expires);
    }
    for (std::size_t i = 0; i <= RandomWrites::classes().size(); ++i) {
        out.removed.push_back(log.removed_upto(i));
    }
    for (auto const& who : RandomWrites::people()) out.marks.push_back(log.inbox_mark(who));
}

}  // namespace

Contents contents_of(BothStores stores, RandomWrites const& script) {
    Contents out;
    auto const& store = stores.store;
    add_events(stores.events, out);
    store.visit_open([&](Command&& command) { out.open.push_back(std::move(command)); });
    store.visit_devices([&](StoredDevice&& device) {
        // A form may know a device of which nothing was said and which never had an order.
        if (device.n > 0 || device.record != DeviceRecord{device.record.id}) {
            out.devices.push_back(std::move(device));
        }
    });
    for (auto const& id : script.ids()) {
        if (auto command = store.find(id)) out.commands.push_back(*command);
    }
    for (auto const& key : RandomWrites::keys()) {
        if (auto command = store.find_by_key(key)) out.by_key.emplace_back(key, *command);
    }
    AuditQuery query;
    query.limit = std::numeric_limits<std::size_t>::max();
    for (auto& line : store.audit(query)) out.trail.push_back(std::move(line.entry));
    return out;
}

std::string difference(Contents const& a, Contents const& b) {
    auto same_devices =
        std::ranges::equal(a.devices, b.devices, [](StoredDevice const& x, StoredDevice const& y) {
            return x.record == y.record && x.n == y.n;
        });
    std::string out;
    if (a.open != b.open) out += fmt::format("open: {} and {}; ", a.open.size(), b.open.size());
    if (!same_devices) out += fmt::format("devices: {}, {}; ", a.devices.size(), b.devices.size());
    if (a.commands != b.commands) {
        out += fmt::format("commands: {} and {}; ", a.commands.size(), b.commands.size());
    }
    if (a.by_key != b.by_key) out += fmt::format("{} keys, {}; ", a.by_key.size(), b.by_key.size());
    if (a.events != b.events) {
        out += fmt::format("events: {} and {}; ", a.events.size(), b.events.size());
    }
    if (a.removed != b.removed) {
        out += fmt::format("removed: {} and {}; ", fmt::join(a.removed, ","),
                           fmt::join(b.removed, ","));
    }
    if (a.marks != b.marks) out += "inbox marks; ";
    if (a.trail != b.trail) out += fmt::format("trail: {}, {}; ", a.trail.size(), b.trail.size());
    return out;
}

std::string judge(BothStores stores, RandomWrites const& script,
                  std::vector<RandomWrites::Step> const& steps,
                  std::vector<Outcome> const& outcomes) {
    auto found = contents_of(stores, script);
    auto at_once = [](std::function<void()> const& task) { task(); };
    MemoryEventStore expected_log{"m", RandomWrites::classes(), at_once};
    MemoryStore expected{{}, at_once, &expected_log};
    std::size_t at = 0;
    for (std::size_t i = 0; i < steps.size(); ++i) {
        auto const& lines = steps[i].lines;
        auto is_there = at + lines.size() <= found.trail.size() &&
                        std::equal(lines.begin(), lines.end(),
                                   found.trail.begin() + static_cast<std::ptrdiff_t>(at));
        auto has_event = steps[i].event == 0 || found.events.contains(steps[i].event);
        if (lines.empty()) is_there = has_event;
        if (is_there != has_event && steps[i].event != 0) {
            return fmt::format("step {} is half there", i);
        }
        auto const& told = outcomes[i];
        if (told && *told != is_there) {
            return fmt::format("step {} was told {}, but is {}there", i, *told,
                               is_there ? "" : "not ");
        }
        if (!is_there) continue;
        at += lines.size();
        steps[i].run({expected, expected_log}, {});
    }
    if (at != found.trail.size()) return fmt::format("line {} is of no step", at + 1);
    return difference(found, contents_of({expected, expected_log}, script));
}

}  // namespace spoke::bridge::test
