#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "bridge/event/cursor.hpp"
#include "bridge/event/event.hpp"
#include "bridge/event/event_store.hpp"
#include "bridge/event/topic_index.hpp"

namespace spoke::bridge {

/// Is told of every new event that matches what it follows.
class EventFollower {
public:
    /// The event has just been committed. It may unfollow anybody, and must not write to the log.
    virtual void on_event(SharedEvent const& event) = 0;

protected:
    ~EventFollower() = default;
};

/// Why nobody can go on from a cursor.
enum class CursorProblem : std::uint8_t {
    malformed,
    other_epoch,  // of a log that is gone
    future,       // behind the end
    too_old,      // events behind it were removed that may have been wanted
};

/// "malformed", "epoch", "future", "too-old": for readers.
[[nodiscard]] std::string_view name_of(CursorProblem problem) noexcept;

/// The one log of what happened: places events in order, shows those that are committed, and tells
/// those who follow it.
/// Owns    the newest events, encoded, `tail_events_max` and `tail_bytes_max` of them; the store
///         has the rest.
/// Thread  one.
class EventLog {
public:
    struct Settings {
        std::vector<EventClass> classes{};  // the first whose filter matches counts
        std::size_t tail_events_max = 16'384;
        std::size_t tail_bytes_max = std::size_t{16} << 20;
        std::size_t topics_max = 100'000;  // whose number is remembered, besides those in flight
    };

    /// The store outlives the log.
    EventLog(Settings settings, EventStore& store);
    EventLog(EventLog const&) = delete;
    EventLog& operator=(EventLog const&) = delete;

    // Writers.

    /// Whether messages of this topic are recorded.
    [[nodiscard]] bool records(std::string_view topic) const noexcept;

    [[nodiscard]] std::vector<EventClass> const& classes() const noexcept {
        return settings_.classes;
    }

    struct Recorded {
        bool stored = false;
        bool repeated = false;  // its key was there before: this is the earlier event's place
        std::uint64_t offset = 0;
    };
    using Done = std::function<void(Recorded const&)>;

    /// Places the event and has it written. `done` comes once, later, after its followers were
    /// told.
    /// Out     its place; 0 if an event of its key is there or on its way.
    std::uint64_t record(EventDraft draft, Need need, Now const& now, Done done,
                         std::optional<InboxMark> mark = {});

    /// The same for several, which are written all or not at all. `done` gets one answer for each.
    using AllDone = std::function<void(std::vector<Recorded> const&)>;
    std::vector<std::uint64_t> record_all(std::vector<EventDraft> drafts, Need need, Now const& now,
                                          AllDone done);

    /// The event with this key in this topic, committed or on its way.
    [[nodiscard]] std::optional<Event> find(std::string const& topic, std::string const& key) const;

    /// Has `done` called once it is known what becomes of the event of this key that is on its way.
    /// Out     false: none is; `done` is not called.
    bool join(std::string const& topic, std::string const& key, Done done);

    /// Places an event that somebody else writes, next, together with a record of his own.
    /// on_written() must follow.
    [[nodiscard]] Event place(EventDraft draft, Now const& now);

    /// What place() gave was committed, or was not. In the order of the placing.
    void on_written(std::vector<Event> events, bool stored);

    // Readers.

    /// Behind the newest event.
    [[nodiscard]] Cursor head() const { return {store_.epoch(), head_}; }
    [[nodiscard]] std::uint64_t head_offset() const noexcept { return head_; }
    [[nodiscard]] std::string const& epoch() const { return store_.epoch(); }

    /// Where a reader goes on who has this cursor and reads these filters: "k7.1042"; or the oldest
    /// place behind which nothing of them is missing: "oldest".
    [[nodiscard]] std::variant<std::uint64_t, CursorProblem> locate(
        std::string_view cursor, std::vector<std::string> const& filters) const;

    struct Page {
        std::vector<SharedEvent> events{};
        std::uint64_t position = 0;  // read up to there
        bool is_end = false;         // nothing more for now
        bool is_stuck = false;       // the store cannot be read now
        // What has left the log of the classes of these filters; 0 while all that is wanted is
        // among the newest.
        std::uint64_t removed_upto = 0;

        [[nodiscard]] bool goes_on() const noexcept { return !is_end && !is_stuck; }
    };

    /// Events behind `after`, in order, `limit` at most. Does a bounded amount of work: a page may
    /// be empty without being the end.
    [[nodiscard]] Page read(std::uint64_t after, std::vector<std::string> const& filters,
                            std::size_t limit) const;

    /// The offset of the newest event that matches; if that is not among the newest ones, one
    /// behind it, so that nothing matches from there on. Does a bounded amount of work.
    [[nodiscard]] std::uint64_t last_matching(std::vector<std::string> const& filters) const;

    /// The highest offset that has left the log of the classes in which these filters may match.
    [[nodiscard]] std::uint64_t removed_upto(std::vector<std::string> const& filters) const;

    void follow(std::vector<std::string> const& filters, EventFollower& follower);
    void unfollow(std::vector<std::string> const& filters, EventFollower& follower);

    [[nodiscard]] EventStore& store() noexcept { return store_; }
    [[nodiscard]] EventStore const& store() const noexcept { return store_; }

    struct Counters {
        std::uint64_t recorded = 0;
        std::uint64_t repeated = 0;  // by their key
        std::uint64_t refused = 0;   // the store took none
    };
    [[nodiscard]] Counters const& counters() const noexcept { return counters_; }
    [[nodiscard]] std::size_t topics_numbered() const noexcept { return last_n_.size(); }
    [[nodiscard]] std::size_t followers() const noexcept { return index_.size(); }

private:
    struct KeyHash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const noexcept {
            return std::hash<std::string_view>{}(text);
        }
    };

    /// Of the events in a topic.
    struct Number {
        std::uint64_t last = 0;
        std::size_t in_flight = 0;  // placed, and not written or refused yet
    };

    struct Batch;

    std::uint64_t next_n(std::string const& topic);
    void forget_topics();
    void settle_joined(std::uint64_t offset, bool stored);
    static void settle(Batch& batch, std::size_t index, Recorded const& recorded);
    void publish(Event event);
    void trim();
    [[nodiscard]] bool tail_reaches(std::uint64_t after) const noexcept;

    Settings settings_;
    EventStore& store_;
    TopicIndex index_;
    std::deque<SharedEvent> tail_;  // the newest, in order
    std::uint64_t tail_after_ = 0;  // every committed event behind this offset is in the tail
    std::size_t tail_bytes_ = 0;
    std::uint64_t head_ = 0;
    std::uint64_t last_placed_ = 0;
    std::unordered_map<std::string, Number, KeyHash, std::equal_to<>> last_n_;
    std::size_t topics_full_;  // so many of them: those that the store knows are forgotten
    std::unordered_map<std::string, Event> keys_in_flight_;        // by topic and key
    std::unordered_map<std::uint64_t, std::vector<Done>> joined_;  // wait for an event in flight
    std::vector<EventFollower*> matched_{};  // by the event that is being told; null: gone
    Counters counters_;
};

}  // namespace spoke::bridge
