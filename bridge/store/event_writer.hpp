#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bridge/store/event_usage.hpp"
#include "bridge/store/sqlite.hpp"
#include "bridge/store/write.hpp"
#include "protocol/base/bytes.hpp"

namespace spoke::bridge {

/// Writes the log of events and what belongs to it, in transactions which somebody else begins and
/// ends; in each of them begin() comes first and finish() last.
/// Errors  SqliteError.  Thread  that of the connection.
class EventWriter {
public:
    /// What is true after a transaction: whoever rolls it back puts back the one from before.
    struct State {
        std::vector<ClassUsage> classes{};  // by their places
        std::uint64_t last_offset = 0;      // ever given
        std::uint64_t arrivals_from = 0;    // of removed events; those before may be forgotten
        std::uint64_t counted_upto = 0;     // events up to here are in the numbers of the file
        std::vector<bool> is_touched{};     // classes of which the file has older numbers
    };

    /// The classes outlive this.
    EventWriter(SqliteConnection& connection, EventClasses const& classes);

    /// Reads it from the file. Where the classes are others than those of the process before, the
    /// events are counted again, in a transaction of its own.
    [[nodiscard]] State load();

    /// What was added in a transaction that came to nothing is forgotten.
    void begin();

    void add(Event const& event, State& state);
    void set(InboxMark const& mark);
    void set(ReaderPosition const& position);
    void forget_arrivals(State const& state);

    /// Removes events beyond the limits of their classes, but not many more than were added in this
    /// transaction; `now`: those that are too old as well.
    void make_room(std::optional<WallTime> now, State& state);

    /// Whether remove() has something to do. Looks at `rows` events at most, and notes what it has
    /// learnt.
    [[nodiscard]] bool has_work(WallTime now, std::int64_t rows, State& state);

    /// Removes up to `rows` events.
    /// Out     whether there may be more.
    bool remove(std::optional<WallTime> now, std::int64_t rows, State& state);

    void finish(State& state);

private:
    /// What an event counts for.
    struct Counted {
        std::string_view topic;
        std::uint64_t offset;
        std::uint64_t bytes;
        WallTime at;
    };

    [[nodiscard]] bool read_classes(State& state);
    void count_again(State& state);
    void count_rest(State& state);
    void count(State& state, Counted const& event);
    void write_classes(State& state);
    void insert(Event const& event, std::string_view key);
    void keep_arrivals(std::uint64_t first, std::uint64_t last, State& state);
    [[nodiscard]] bool is_over(std::size_t place, std::optional<WallTime> now,
                               State const& state) const;
    [[nodiscard]] bool is_full(std::size_t place, State const& state) const;
    void find_oldest(std::size_t place, std::int64_t& rows, State& state);
    void remove_from(std::size_t place, std::optional<WallTime> now, std::int64_t& rows,
                     State& state);
    void remove_run(std::uint64_t first, std::uint64_t last, State& state);
    void write_counts(State& state);
    void note_counted(State& state);

    SqliteConnection& connection_;  // outlives this
    EventClasses const& classes_;
    SqliteStatement insert_;
    SqliteStatement changes_;
    SqliteStatement mark_;
    SqliteStatement position_;
    SqliteStatement erase_position_;
    SqliteStatement keep_arrivals_;
    SqliteStatement forget_arrivals_;
    SqliteStatement use_;
    SqliteStatement note_;
    SqliteStatement from_;
    SqliteStatement remove_;
    Buffer arrival_{};        // of the event that is being added
    std::int64_t added_ = 0;  // in this transaction
    bool has_removed_ = false;
};

}  // namespace spoke::bridge
