#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "bridge/event/event_log.hpp"
#include "bridge/inbox/expiries.hpp"
#include "bridge/inbox/inbox.hpp"
#include "bridge/inbox/inbox_waits.hpp"

namespace spoke::bridge {

/// A message that somebody puts into an inbox.
struct InboxMessage {
    std::string type{};
    std::string data = "null";  // JSON text
    std::string collapse{};
    std::optional<std::chrono::milliseconds> ttl{};
    friend bool operator==(InboxMessage const&, InboxMessage const&) = default;
};

/// All inboxes, as views of the log: everything told of them is committed and can be made again
/// from it. Records what people do with them, and what expires, as events of their topics.
/// Owns    the state of those that were asked for lately, and the requests that wait for one.
/// Bound   `cache_bytes_max` of state; one that is not there is read from the log, from its mark
///         on. One waiting request per HTTP connection.
/// Thread  one. The log outlives this.
class Inboxes final : private EventFollower {
public:
    struct Settings {
        Inbox::Limits limits{};
        std::size_t cache_bytes_max = std::size_t{64} << 20;
        std::size_t expiries_max = 1'000'000;
    };
    struct World {
        EventLog& log;
        std::function<Now()> clock;
        std::function<void(SteadyTime)> wake_at;  // call on_timer() then, at the latest
    };

    Inboxes(Settings settings, World world);
    Inboxes(Inboxes const&) = delete;
    Inboxes& operator=(Inboxes const&) = delete;
    ~Inboxes();

    /// Looks for what expires among the messages the process before this one left. Once.
    void restore();

    /// Whether messages of this inbox are recorded at all.
    [[nodiscard]] bool has(std::string_view who) const;

    /// Without a document while the log cannot be read.
    [[nodiscard]] InboxView look(std::string_view who);

    /// Records a message that came over MQTT, or anything else.
    void record(EventDraft draft, Need need, EventLog::Done done);

    struct PutResult {
        enum class Kind : std::uint8_t { stored, failed, key_reused };
        Kind kind{};
        bool repeated = false;                 // all of it was there before
        std::vector<std::uint64_t> offsets{};  // one for each message
        InboxView view{};
    };
    using PutDone = std::function<void(PutResult const&)>;

    /// All of the messages or none. Twice the same key is once. `done` comes once, perhaps at once.
    void put(std::string const& who, std::vector<InboxMessage> messages, std::string const& key,
             PutDone done);

    /// Marks read what is at this offset or before it. `done` comes once, perhaps at once: the
    /// inbox as it is then, or nullopt if that could not be stored, or what is in it not read.
    using ReadDone = std::function<void(std::optional<InboxView> const&)>;
    void mark_read(std::string const& who, std::uint64_t upto, ReadDone done);

    struct Query {
        std::uint64_t after = 0;
        bool unread_only = false;
        std::size_t limit = 100;
    };
    struct Page {
        std::vector<SharedEvent> messages{};
        std::uint64_t position = 0;  // all up to there were looked at
        bool has_more = false;
        bool is_stuck = false;  // the store cannot be read: there may be more, and others
    };
    static constexpr std::size_t kLookedAtMax = 100'000;

    /// Messages that stand (not expired, not replaced), oldest first. Looks at `kLookedAtMax`
    /// events: a page may be short and have more behind it, and one that was read and replaced so
    /// far back may be in it.
    [[nodiscard]] Page messages(std::string_view who, Query const& query);

    /// Holds a request until its inbox is another one or its time is up; perhaps ends it at once.
    /// Out     what let_go() takes; nullopt if it has ended.
    std::optional<InboxWaits::Ticket> hold(InboxWait wait);
    void let_go(InboxWaits::Ticket const& ticket);

    /// Ends every wait with the inbox as it is; later ones end at once.
    void drain();

    void on_timer();
    [[nodiscard]] std::optional<SteadyTime> next_deadline() const;

    [[nodiscard]] std::size_t held() const noexcept { return waits_.size(); }
    [[nodiscard]] std::size_t cached() const noexcept { return cached_.size(); }
    [[nodiscard]] std::size_t cache_bytes() const noexcept { return cache_bytes_; }

    struct Counters {
        std::uint64_t loaded = 0;   // from the log
        std::uint64_t expired = 0;  // times that something had
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }

private:
    struct Cached {
        std::string who;
        std::string topic;
        std::optional<std::size_t> event_class{};
        Inbox inbox;
        bool is_whole = false;  // all of it was read
        std::size_t bytes = 0;
        // The view, and of what it is.
        InboxView view{};
        std::uint64_t view_cursor = 0;
    };
    using CachedList = std::list<Cached>;  // the one used last is first

    /// An event on its way into the topic of an inbox.
    struct InFlight {
        Event event{};
        std::uint64_t upto = 0;  // of a notice: the mark that comes with it
        bool is_notice = false;
        bool is_correction = false;
        std::vector<ReadDone> done{};
    };
    struct Topic {
        std::deque<InFlight> events{};  // in order
        bool needs_notice = false;      // one is wrong, as an event before it failed
    };

    void on_event(SharedEvent const& event) override;

    Cached& open(std::string_view who);
    void load(Cached& cached);
    void refresh(Cached& cached, WallTime now);
    void account(Cached& cached);
    InboxView const& view_of(Cached& cached);
    [[nodiscard]] std::string document_at(std::uint64_t offset, Cached const& cached) const;
    [[nodiscard]] std::uint64_t removed_upto(std::optional<std::size_t> event_class) const;
    [[nodiscard]] std::string cursor_text(std::uint64_t offset) const;

    [[nodiscard]] EventLog::Done or_again(EventDraft const& draft, Need need, EventLog::Done done);
    bool is_refused(std::vector<EventDraft> const& drafts, PutDone const& done);
    void depart(std::string const& who, Event event);
    void land(std::string_view who, std::uint64_t offset, bool stored);
    void on_noticed(std::string const& who, EventLog::Recorded const& recorded);
    void notice(Cached& cached, std::string_view type, std::uint64_t upto, ReadDone done);
    [[nodiscard]] bool has_notice_in_flight(std::string_view who) const;
    void wake(std::string const& who);
    void tend(std::string const& who);
    void tend_soon(std::string_view who);
    void scan();
    void note_position();
    [[nodiscard]] std::map<std::string, std::uint64_t> newest_by_collapse(std::string const& topic,
                                                                          std::uint64_t after,
                                                                          bool& is_stuck) const;

    Settings settings_;
    World world_;
    std::vector<std::string> filters_;
    CachedList list_;
    std::unordered_map<std::string_view, CachedList::iterator> cached_;
    std::size_t cache_bytes_ = 0;
    std::map<std::string, Topic, std::less<>> in_flight_;
    InboxWaits waits_;
    Expiries expiries_;
    std::set<std::string, std::less<>> to_tend_;
    std::optional<SteadyTime> retry_at_{};       // to_tend_ is not looked at before
    std::optional<std::uint64_t> scanned_to_{};  // while what was left is being looked through
    std::uint64_t scan_end_ = 0;
    SteadyTime scan_at_{};        // not before
    std::uint64_t position_ = 0;  // the one that was stored
    SteadyTime position_due_{};
    SteadyTime retention_due_{};
    bool draining_ = false;
    Counters counters_;
};

}  // namespace spoke::bridge
