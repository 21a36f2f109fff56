#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bridge/command/command_tracker.hpp"
#include "bridge/command/device_message.hpp"
#include "bridge/hook/hooks.hpp"
#include "bridge/service/service.hpp"
#include "bridge/service/uplink.hpp"
#include "bridge/store/memory_event_store.hpp"
#include "bridge/store/memory_hook_store.hpp"
#include "bridge/store/memory_store.hpp"
#include "protocol/base/base64.hpp"
#include "tests/unit/bridge/support/fake_hook_client.hpp"

namespace spoke::bridge::test {

using namespace std::chrono_literals;

/// Both clocks, moved by the test alone. Starts at 2026-11-22T19:00:00.000Z.
struct FakeClock {
    Now now{SteadyTime{} + 1'000'000s, WallTime{1'795'374'000'000ms}};

    void advance(std::chrono::milliseconds by) {
        now.steady += by;
        now.wall += by;
    }
};

/// The same numbers in every run.
inline std::function<std::uint64_t()> counting_random() {
    return [next = std::uint64_t{0x1234'5678'9ABC'DEF0}]() mutable { return ++next; };
}

inline CommandRequest unlock(std::string device = "b42") {
    CommandRequest request;
    request.device = std::move(device);
    request.verb = "unlock";
    request.lane = "lock";
    request.ttl = 8s;
    return request;
}

/// A receipt as the broker writes it; `more` is JSON behind a comma.
inline std::string receipt_text(CommandId const& id, std::string_view step, WallTime at,
                                std::string_view more = {}) {
    auto base64 = to_base64(as_text(id.raw()));
    auto us = std::to_string(at.time_since_epoch().count() * 1000);
    return "{\"step\":\"" + std::string{step} + "\",\"client\":\"b42\",\"at_us\":" + us +
           ",\"id\":\"" + base64 + "\"" + std::string{more} + "}";
}

/// A tracker with a world that does nothing by itself: records are stored when the test says so.
class TrackerWorld : public TrackerPort {
public:
    struct Save {
        CommandId id;
        SavePurpose purpose;
        CommandState state;
        bool may_have_left;
    };
    struct Sent {
        CommandId id;
        std::uint64_t n;
        std::optional<std::uint64_t> boot;
        std::optional<std::uint64_t> exp_up;
        std::uint32_t copy;
        std::chrono::milliseconds left;
        WallTime deadline;
    };

    explicit TrackerWorld(CommandTracker::Limits limits = {}, DeviceRegistry::Limits devices = {})
        : registry{devices}, tracker{limits, registry, counting_random()} {
        tracker.on_broker(true, clock.now, *this);
    }

    /// A birth of `device` that is seen live.
    void birth(std::string_view device = "b42", std::uint64_t boot = 7, std::uint64_t up = 1'000) {
        Birth message;
        message.on = true;
        message.boot = boot;
        message.up = up;
        if (registry.on_birth(device, message, {clock.now})) {
            tracker.on_device_reachable(device, clock.now, *this);
        }
    }

    void will(std::string_view device = "b42", std::uint64_t boot = 7) {
        Birth message;
        message.boot = boot;
        registry.on_birth(device, message, {clock.now});
    }

    /// The store completes what it was given so far, and what that brings about.
    void store(bool works = true) {
        while (!pending.empty()) {
            auto save = pending.front();
            pending.pop_front();
            if (!works && save.purpose == SavePurpose::accept) saved.erase(save.id);
            tracker.on_saved(save.id, save.purpose, works, clock.now, *this);
        }
    }

    std::variant<CommandTracker::Accepted, Refusal> try_submit(CommandRequest request,
                                                               std::string key = {}) {
        return tracker.submit(std::move(request), {"tester"}, std::move(key), clock.now, *this);
    }

    /// Submits what must be accepted; not stored yet.
    CommandId submit(CommandRequest request, std::string key = {}) {
        return std::get<CommandTracker::Accepted>(try_submit(std::move(request), std::move(key)))
            .id;
    }

    /// An order that has been sent.
    CommandId sent(CommandRequest request = unlock()) {
        auto id = submit(std::move(request));
        store();
        return id;
    }

    void answer(CommandId const& id, Verdict verdict, std::string why = {},
                std::string_view device = "b42") {
        Answer message;
        message.id = id;
        message.verdict = verdict;
        message.why = std::move(why);
        message.document = "{}";
        tracker.on_answer(device, message, clock.now, *this);
    }

    /// A state, and the store has taken what follows from it.
    void report(StateReport const& message, std::string_view device = "b42") {
        tracker.on_state(device, message, clock.now, *this);
        store();
    }

    /// Of the last copy, unless another is named.
    void handover(CommandId const& id, Handover outcome, std::string_view why = {},
                  std::uint32_t copy = 0) {
        if (copy == 0) copy = last_copy(id);
        tracker.on_handover(id, {copy, outcome, why}, clock.now, *this);
    }

    std::uint32_t last_copy(CommandId const& id) const {
        std::uint32_t copy = 0;
        for (auto const& sent : sends) copy = sent.id == id ? sent.copy : copy;
        return copy;
    }

    /// What the broker did with the last copy, or with another.
    void receipt(CommandId const& id, ReceiptStep step, std::string why = {},
                 std::uint32_t copy = 0) {
        Receipt message;
        message.id = id;
        message.step = step;
        message.client = "b42";
        message.at_us = clock.now.wall.time_since_epoch().count() * 1000;
        message.why = std::move(why);
        receive(message, copy);
    }

    void receive(Receipt const& message, std::uint32_t copy = 0) {
        if (copy == 0) copy = last_copy(message.id);
        tracker.on_receipt(message, copy, clock.now, *this);
    }

    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        tracker.on_timer(clock.now, *this);
    }

    /// As the API finds it: open, or else as it was stored.
    Command const& at(CommandId const& id) const {
        auto const* open = tracker.find(id);
        return open != nullptr ? *open : saved.at(id);
    }
    CommandState state(CommandId const& id) const { return at(id).state; }

    void save(Command const& command, SavePurpose purpose) override {
        pending.push_back({command.id, purpose, command.state, command.may_have_left});
        saved[command.id] = command;
        saved[command.id].arrows_audited = command.timeline.size();
    }
    bool takes_writes() const override { return store_works; }
    std::optional<Command> recall(std::string_view key) const override {
        for (auto const& [id, command] : saved) {
            if (std::ranges::find(command.keys, key) != command.keys.end()) return command;
        }
        return std::nullopt;
    }
    SendResult send(Command const& command, Copy const& copy, Now const&) override {
        ++send_tries;
        if (send_result != SendResult::done) return send_result;
        sends.push_back({command.id, command.n, command.boot, command.exp_up, copy.number,
                         copy.left, command.deadline});
        if (room > 0 && --room == 0) send_result = SendResult::no_room;
        return SendResult::done;
    }
    void changed(Command const& command) override { changes.push_back(command.state); }
    void discarded(CommandId const& id) override { discards.push_back(id); }

    FakeClock clock;
    std::deque<Save> pending;
    std::map<CommandId, Command> saved;  // the last record put for each
    std::vector<Sent> sends;
    std::vector<CommandState> changes;
    std::vector<CommandId> discards;
    bool store_works = true;
    SendResult send_result = SendResult::done;
    int room = -1;  // sends until there is none left
    int send_tries = 0;
    DeviceRegistry registry;
    CommandTracker tracker;
};

/// A store in memory that commits when told to, or fails.
class FakeStore final : public Store {
public:
    using Store::put;
    void put(Command const& record, std::vector<AuditEntry> audit, std::vector<Event> events,
             Need need, Done done) override {
        enqueue(need, std::move(done), [this, record, audit = std::move(audit), events, need] {
            held_.put(record, audit, {}, need, {});
            if (log != nullptr && !events.empty()) log->append_events(events, {}, need, {});
        });
    }
    void put_device(DeviceRecord const& record, AuditEntry audit, Done done) override {
        enqueue(Need::now_or_never, std::move(done),
                [this, record, audit = std::move(audit)] { held_.put_device(record, audit, {}); });
    }
    void erase_device(std::string_view id, AuditEntry audit, Done done) override {
        enqueue(Need::now_or_never, std::move(done),
                [this, id = std::string{id}, audit = std::move(audit)] {
                    held_.erase_device(id, audit, {});
                });
    }
    void append(AuditEntry audit, Done done) override {
        enqueue(Need::now_or_never, std::move(done),
                [this, audit = std::move(audit)] { held_.append(audit, {}); });
    }
    bool takes_writes() const override { return works; }
    std::optional<Command> find(CommandId const& id) const override { return held_.find(id); }
    std::optional<Command> find_by_key(std::string_view key) const override {
        return held_.find_by_key(key);
    }
    std::vector<Command> commands(CommandQuery const& query) const override {
        return held_.commands(query);
    }
    std::vector<AuditLine> audit(AuditQuery const& query) const override {
        return held_.audit(query);
    }
    void visit_open(std::function<void(Command&&)> const& visit) const override {
        held_.visit_open(visit);
    }
    void visit_devices(std::function<void(StoredDevice&&)> const& visit) const override {
        held_.visit_devices(visit);
    }

    /// What was asked for so far is committed or not, with what that brings about. What must be
    /// written goes on waiting after a failure.
    void complete(bool stored = true) {
        // With `automatic` a put inside a completion must not complete inside it.
        if (completing_) return;
        completing_ = true;
        std::deque<Write> kept;
        while (!pending.empty()) {
            auto write = std::move(pending.front());
            pending.pop_front();
            if (!stored && write.need == Need::certain) {
                kept.push_back(std::move(write));
                continue;
            }
            if (stored) write.commit();
            if (write.done) write.done(stored);
        }
        pending = std::move(kept);
        completing_ = false;
    }

    struct Write {
        Need need;
        Done done;
        std::function<void()> commit;
    };

    std::deque<Write> pending;
    bool automatic = false;
    bool works = true;
    EventStore* log = nullptr;  // gets what is put with a record

private:
    void enqueue(Need need, Done done, std::function<void()> commit) {
        pending.push_back({need, std::move(done), std::move(commit)});
        if (automatic) complete(works);
    }

    MemoryStore held_{{}, [](std::function<void()> const&) {}};
    bool completing_ = false;
};

/// A broker that takes everything and says nothing until told to.
class FakeUplink final : public Uplink {
public:
    struct Entry {
        mqtt::Publish message;
        std::optional<SteadyTime> deadline;
        Done done;
    };

    mqtt::NotSent publish(mqtt::Publish const& message, std::optional<SteadyTime> deadline,
                          Done done) override {
        if (cause != mqtt::NotSent::none) return cause;
        if (message.topic == invalid_topic) return mqtt::NotSent::topic_invalid;
        if (message.payload.size() > payload_max) return mqtt::NotSent::too_large;
        published.push_back({message, deadline, std::move(done)});
        return mqtt::NotSent::none;
    }

    void subscribe(std::string const& filter, Subscribed done) override {
        subscribes.emplace_back(filter, std::move(done));
    }
    void unsubscribe(std::string const& filter) override { unsubscribes.push_back(filter); }

    std::vector<Entry> published;
    std::vector<std::pair<std::string, Subscribed>> subscribes;
    std::vector<std::string> unsubscribes;
    mqtt::NotSent cause = mqtt::NotSent::none;
    std::string invalid_topic{};
    std::size_t payload_max = SIZE_MAX;  // of a message that is not too large
};

/// A service with a store and an uplink of the test, connected.
struct ServiceWorld {
    explicit ServiceWorld(Service::Settings settings = {},
                          std::vector<EventClass> recorded = {{"d/+/evt"},
                                                              {"d/+/ans"},
                                                              {"d/+/up"},
                                                              {"d/+/state"},
                                                              {"u/+/in"},
                                                              {"t/#"}},
                          std::function<std::string(Command const&)> document = {},
                          std::size_t tail_events_max = EventLog::Settings{}.tail_events_max)
        : classes{std::move(recorded)},
          log{{.classes = classes, .tail_events_max = tail_events_max}, events},
          service{settings,
                  {store, uplink, log, [this] { return clock.now; }, counting_random(),
                   [this](SteadyTime when) { wake = when; }, [](std::string const&) {},
                   [this](std::string const& line) { warnings.push_back(line); },
                   std::move(document)}} {
        service.on_broker(true, {});
    }

    void message(std::string_view topic, std::string_view payload, bool retained = false) {
        service.on_message({topic, payload, retained, false});
        store_all();
    }

    void store_all() {
        if (!store_works) return;
        store.complete();
        while (!deferred.empty()) {
            for (auto& task : std::exchange(deferred, {})) task();
        }
    }

    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        service.on_timer();
        store_all();
    }

    FakeClock clock;
    FakeStore store;
    FakeUplink uplink;
    std::vector<std::function<void()>> deferred;  // of the store of events
    std::vector<EventClass> classes;
    MemoryEventStore events{
        "k7", classes, [this](std::function<void()> task) { deferred.push_back(std::move(task)); }};
    EventLog log;
    std::optional<SteadyTime> wake;
    std::vector<std::string> warnings;
    bool store_works = true;
    Service service;
    MemoryHookStore hook_store{
        [this](std::function<void()> task) { deferred.push_back(std::move(task)); },
        [this](AuditEntry entry) { store.append(std::move(entry), {}); }};
    FakeHookClient hook_client;
    /// Of its timers only those go off that are due at once.
    Hooks hooks{{},
                {log, hook_store, hook_client, [this] { return clock.now; }, counting_random(),
                 [this](SteadyTime when) {
                     if (when <= clock.now.steady) deferred.push_back([this] { hooks.on_timer(); });
                 },
                 [this](std::string const& line) { warnings.push_back(line); }}};
};

}  // namespace spoke::bridge::test
