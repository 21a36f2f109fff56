#pragma once

#include <boost/json.hpp>
#include <catch2/catch.hpp>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bridge/inbox/inboxes.hpp"
#include "tests/unit/bridge/support/fixture.hpp"
#include "tests/unit/bridge/support/held_event_store.hpp"

namespace spoke::bridge::test {

namespace json = boost::json;

/// The inboxes of a bridge that can be killed and started again.
struct InboxWorld {
    /// `tail`: so many of the newest events are read from memory.
    explicit InboxWorld(Inboxes::Settings s = {}, std::uint64_t events_max = 10'000,
                        std::size_t tail = 16'384)
        : settings{s},
          tail_events_max{tail},
          classes{{"u/+/in", std::chrono::hours{1}, events_max}, {"#"}},
          store{classes} {
        start();
    }

    void start() {
        log = std::make_unique<EventLog>(
            EventLog::Settings{.classes = classes, .tail_events_max = tail_events_max}, store);
        inboxes =
            std::make_unique<Inboxes>(settings, Inboxes::World{*log, [this] { return clock.now; },
                                                               [this](SteadyTime when) {
                                                                   if (!wake || when < *wake)
                                                                       wake = when;
                                                               }});
    }

    /// What was not committed never happened.
    void kill_and_restart() {
        store.pending.clear();
        inboxes.reset();
        log.reset();
        wake.reset();
        start();
        inboxes->restore();
    }

    /// Commits what there is, and does what is due now, until nothing is left to do.
    void settle() {
        do {
            store.complete_all();
            run_timer();
        } while (!store.pending.empty());
    }

    void run_timer() {
        for (int i = 0; wake && *wake <= clock.now.steady; ++i) {
            REQUIRE(i < 1'000);
            wake.reset();
            inboxes->on_timer();
            if (auto next = inboxes->next_deadline(); next && (!wake || *next < *wake)) wake = next;
        }
    }

    void advance(std::chrono::milliseconds by) {
        clock.advance(by);
        run_timer();
    }

    /// Published over MQTT.
    void publish(std::string const& who, std::string type, std::string collapse = {},
                 std::optional<std::chrono::milliseconds> ttl = {}) {
        auto draft = make_draft(topic_of_inbox(who), "{}");
        draft.type = std::move(type);
        draft.collapse = std::move(collapse);
        draft.from_broker = true;
        if (ttl) draft.expires_at = clock.now.wall + *ttl;
        inboxes->record(std::move(draft), Need::certain, {});
    }

    std::optional<Inboxes::PutResult> last_put;
    void put(std::string const& who, std::vector<InboxMessage> messages, std::string key = {}) {
        last_put.reset();
        inboxes->put(who, std::move(messages), key, [this](auto const& r) { last_put = r; });
    }

    int reads_done = 0;
    std::optional<InboxView> last_read;
    void mark_read(std::string const& who, std::uint64_t upto) {
        inboxes->mark_read(who, upto, [this](auto const& view) {
            ++reads_done;
            last_read = view;
        });
    }

    json::object document(std::string const& who) {
        return json::parse(*inboxes->look(who).document).as_object();
    }
    std::uint64_t unread(std::string const& who) { return inboxes->look(who).unread; }

    /// {"like":2} as the document has it.
    std::string by(std::string const& who) { return json::serialize(document(who).at("by")); }

    std::vector<Event> events_of(std::string const& who) const {
        EventQuery query;
        query.filters = {topic_of_inbox(who)};
        query.limit = query.scan_max = 1'000'000;
        return store.events(query).events;
    }

    std::vector<std::string> listed(std::string const& who, Inboxes::Query query = {}) {
        std::vector<std::string> out;
        for (auto const& e : inboxes->messages(who, query).messages) out.push_back(e->id());
        return out;
    }

    Inboxes::Settings settings;
    std::size_t tail_events_max;
    std::vector<EventClass> classes;
    HeldEventStore store;
    FakeClock clock;
    std::optional<SteadyTime> wake;
    std::unique_ptr<EventLog> log;
    std::unique_ptr<Inboxes> inboxes;
};

inline InboxMessage message(std::string type, std::string collapse = {},
                            std::optional<std::chrono::milliseconds> ttl = {}) {
    return {std::move(type), "{}", std::move(collapse), ttl};
}

}  // namespace spoke::bridge::test
