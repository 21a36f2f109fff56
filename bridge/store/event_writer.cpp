#include "bridge/store/event_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>
#include <utility>

#include "bridge/store/event_rows.hpp"
#include "bridge/store/fault_point.hpp"
#include "protocol/topic/filter_sets.hpp"

namespace spoke::bridge {
namespace {

constexpr std::uint64_t kArrivalsSpare = 1'024;

/// So many events are counted again at the start, at most: the others are in the file's numbers,
/// which would be one more page in each transaction.
constexpr std::uint64_t kUncountedMax = 4'096;

/// From a class that is full a few more events are removed than must be, so that not each one that
/// comes has to remove another: so many, and that part of what it has and may have.
constexpr std::uint64_t kSpareMax = 64;
constexpr std::uint64_t kSpareShare = 128;

constexpr int kArrivalColumn = 13;  // behind those of write_event()

/// Of other classes, so many rows are passed by for each that may be removed.
constexpr std::int64_t kLooksPerRow = 4;

/// In a transaction more is removed than was added, so that a limit that was lowered is reached.
constexpr std::int64_t kRoomMin = 64;

/// Events that claim to be from so far ahead were recorded while the clock was wrong. They go with
/// their neighbours, or nothing behind them would ever be too old.
constexpr std::chrono::hours kClockErrorMin{1};

std::int64_t signed_of(std::uint64_t value) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();
    return static_cast<std::int64_t>(std::min(value, kMax));
}

std::uint64_t number_at(SqliteStatement const& row, int column) {
    return static_cast<std::uint64_t>(row.integer(column));
}

WallTime time_at(SqliteStatement const& row, int column) {
    return WallTime{std::chrono::milliseconds{row.integer(column)}};
}

std::uint64_t spare_of(EventClass const& limits, ClassUsage const& usage) {
    return std::min(std::min(limits.events_max, usage.events) / kSpareShare, kSpareMax);
}

}  // namespace

EventWriter::EventWriter(SqliteConnection& connection, EventClasses const& classes)
    : connection_(connection),
      classes_(classes),
      insert_(connection.prepare(fmt::format(
          "INSERT INTO events ({}, arrival) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, "
          "?11, ?12, ?13) ON CONFLICT (key, topic) WHERE key <> '' DO NOTHING",
          kEventColumns))),
      changes_(connection.prepare("SELECT changes()")),
      mark_(connection.prepare("INSERT INTO inbox_marks VALUES (?1, ?2) ON CONFLICT (who) DO "
                               "UPDATE SET upto = excluded.upto WHERE upto < excluded.upto")),
      position_(connection.prepare("INSERT INTO positions VALUES (?1, ?2) ON CONFLICT (name) DO "
                                   "UPDATE SET offset = excluded.offset")),
      erase_position_(connection.prepare("DELETE FROM positions WHERE name = ?1")),
      keep_arrivals_(connection.prepare(
          "INSERT INTO arrivals SELECT offset, arrival FROM events WHERE offset BETWEEN ?1 AND ?2 "
          "AND arrival IS NOT NULL")),
      forget_arrivals_(connection.prepare("DELETE FROM arrivals WHERE upto <= ?1")),
      use_(connection.prepare("UPDATE event_classes SET events = ?2, bytes = ?3, first = ?4, "
                              "removed_upto = ?5 WHERE filter = ?1")),
      note_(connection.prepare("INSERT INTO marks VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET "
                               "value = excluded.value")),
      from_(connection.prepare("SELECT offset, at, topic, bytes FROM events WHERE offset >= ?1 "
                               "ORDER BY offset LIMIT ?2")),
      remove_(connection.prepare("DELETE FROM events WHERE offset BETWEEN ?1 AND ?2")) {}

// --- What there is -----------------------------------------------------------------------------

EventWriter::State EventWriter::load() {
    begin();
    State state;
    state.last_offset = static_cast<std::uint64_t>(
        connection_.number("SELECT max(coalesce((SELECT max(offset) FROM events), 0), "
                           "coalesce((SELECT max(removed_upto) FROM event_classes), 0))"));
    read_classes(state) ? count_rest(state) : count_again(state);
    return state;
}

/// False: there are others in the file, or in another order.
bool EventWriter::read_classes(State& state) {
    state.classes.assign(classes_.size(), {});
    state.is_touched.assign(classes_.size(), false);
    auto row = connection_.prepare(
        "SELECT filter, events, bytes, first, removed_upto FROM event_classes ORDER BY place");
    std::size_t place = 0;
    for (; row.step(); ++place) {
        if (place >= classes_.size() || classes_[place].filter != row.text(0)) return false;
        state.classes[place] = {number_at(row, 1), number_at(row, 2), number_at(row, 3),
                                number_at(row, 4)};
    }
    return place == classes_.size();
}

/// What has come since the numbers were written.
void EventWriter::count_rest(State& state) {
    auto counted = connection_.number("SELECT value FROM marks WHERE name = 'counted'");
    state.counted_upto = static_cast<std::uint64_t>(counted);
    auto row = connection_.prepare(
        "SELECT offset, topic, bytes, at FROM events WHERE offset > ?1 ORDER BY offset");
    row.bind(1, counted);
    while (row.step()) {
        count(state, {row.text(1), number_at(row, 0), number_at(row, 2), time_at(row, 3)});
    }
}

void EventWriter::count(State& state, Counted const& event) {
    auto place = classes_.of(event.topic);
    auto& usage = state.classes[place];
    if (usage.events++ == 0) {
        usage.first = event.offset;
        usage.oldest = event.at;
    }
    usage.bytes += event.bytes;
    state.is_touched[place] = true;
}

/// What was removed of a class may have been of any that overlaps it now.
void EventWriter::count_again(State& state) {
    std::map<std::string, std::uint64_t> removed;
    {
        auto row = connection_.prepare("SELECT filter, removed_upto FROM event_classes");
        while (row.step()) removed.emplace(row.text(0), number_at(row, 1));
    }
    state.classes.assign(classes_.size(), {});
    state.is_touched.assign(classes_.size(), false);
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto const& filter = classes_[i].filter;
        for (auto const& [other, upto] : removed) {
            auto may_be = filter.empty() || other.empty() || mqtt::overlap(filter, other);
            auto& to = state.classes[i].removed_upto;
            if (may_be) to = std::max(to, upto);
        }
    }
    auto row = connection_.prepare("SELECT offset, topic, bytes, at FROM events ORDER BY offset");
    while (row.step()) {
        count(state, {row.text(1), number_at(row, 0), number_at(row, 2), time_at(row, 3)});
    }
    write_classes(state);
}

void EventWriter::write_classes(State& state) {
    connection_.execute("BEGIN IMMEDIATE; DELETE FROM event_classes");
    auto insert = connection_.prepare("INSERT INTO event_classes VALUES (?1, ?2, ?3, ?4, ?5, ?6)");
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto const& usage = state.classes[i];
        insert.bind(1, classes_[i].filter).bind(2, static_cast<std::int64_t>(i));
        insert.bind(3, signed_of(usage.events)).bind(4, signed_of(usage.bytes));
        insert.bind(5, signed_of(usage.first)).bind(6, signed_of(usage.removed_upto)).run();
    }
    note_counted(state);
    SPOKE_FAULT_POINT("store-classes");
    connection_.execute("COMMIT");
}

// --- What is new -------------------------------------------------------------------------------

void EventWriter::begin() {
    added_ = 0;
    has_removed_ = false;
}

void EventWriter::add(Event const& event, State& state) {
    insert(event, event.key);
    // Two of one key come here only if the first could not be read. Nothing may be lost then.
    if (!event.key.empty()) {
        SqliteReset reset{changes_};
        if (changes_.step() && changes_.integer(0) == 0) insert(event, {});
    }
    SPOKE_FAULT_POINT("store-event");
    count(state, {event.topic, event.offset, bytes_of(event), event.at});
    state.last_offset = std::max(state.last_offset, event.offset);
    ++added_;
}

void EventWriter::insert(Event const& event, std::string_view key) {
    write_event(insert_, event, key);
    arrival_.clear();
    if (event.arrival) append_arrival(arrival_, *event.arrival);
    event.arrival ? insert_.bind(kArrivalColumn, Bytes{arrival_})
                  : insert_.bind_null(kArrivalColumn);
    insert_.run();
}

void EventWriter::set(InboxMark const& mark) {
    mark_.bind(1, mark.who).bind(2, signed_of(mark.upto)).run();
    SPOKE_FAULT_POINT("store-inbox-mark");
}

void EventWriter::set(ReaderPosition const& position) {
    if (position.offset) {
        position_.bind(1, position.name).bind(2, signed_of(*position.offset)).run();
    } else {
        erase_position_.bind(1, position.name).run();
    }
    SPOKE_FAULT_POINT("store-position");
}

void EventWriter::forget_arrivals(State const& state) {
    forget_arrivals_.bind(1, signed_of(state.last_offset)).run();
    note_.bind(1, "arrivals").bind(2, signed_of(state.last_offset)).run();
    SPOKE_FAULT_POINT("store-forget-arrivals");
}

void EventWriter::finish(State& state) {
    auto uncounted = state.last_offset - std::min(state.last_offset, state.counted_upto);
    if (has_removed_ || uncounted >= kUncountedMax) write_counts(state);
}

void EventWriter::write_counts(State& state) {
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (!state.is_touched[i]) continue;
        state.is_touched[i] = false;
        auto const& usage = state.classes[i];
        use_.bind(1, classes_[i].filter).bind(2, signed_of(usage.events));
        use_.bind(3, signed_of(usage.bytes)).bind(4, signed_of(usage.first));
        use_.bind(5, signed_of(usage.removed_upto)).run();
        SPOKE_FAULT_POINT("store-class");
    }
    note_counted(state);
    SPOKE_FAULT_POINT("store-class-counted");
}

void EventWriter::note_counted(State& state) {
    note_.bind(1, "counted").bind(2, signed_of(state.last_offset)).run();
    state.counted_upto = state.last_offset;
}

// --- What is old -------------------------------------------------------------------------------

bool EventWriter::is_full(std::size_t place, State const& state) const {
    auto const& usage = state.classes[place];
    return usage.events > classes_[place].events_max || usage.bytes > classes_[place].bytes_max;
}

bool EventWriter::is_over(std::size_t place, std::optional<WallTime> now,
                          State const& state) const {
    auto const& usage = state.classes[place];
    if (usage.events == 0) return false;
    if (is_full(place, state)) return true;
    if (!now || !usage.oldest) return false;
    return *usage.oldest < *now - classes_[place].keep || *usage.oldest > *now + kClockErrorMin;
}

void EventWriter::make_room(std::optional<WallTime> now, State& state) {
    if (added_ > 0) remove(now, 2 * added_ + kRoomMin, state);
}

bool EventWriter::has_work(WallTime now, std::int64_t rows, State& state) {
    auto has = false;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        auto& usage = state.classes[i];
        if (usage.events > 0 && !usage.oldest) find_oldest(i, rows, state);
        // Not found yet: it is gone on with next time.
        has = has || is_over(i, now, state) || (usage.events > 0 && !usage.oldest);
    }
    return has;
}

/// The first event of the class, from where it is known that none lies before.
void EventWriter::find_oldest(std::size_t place, std::int64_t& rows, State& state) {
    auto& usage = state.classes[place];
    SqliteReset reset{from_};
    from_.bind(1, signed_of(usage.first)).bind(2, std::max(rows, std::int64_t{1}));
    while (from_.step()) {
        --rows;
        usage.first = number_at(from_, 0);
        if (classes_.of(from_.text(2)) == place) {
            usage.oldest = time_at(from_, 1);
            return;
        }
        ++usage.first;
    }
}

bool EventWriter::remove(std::optional<WallTime> now, std::int64_t rows, State& state) {
    auto more = false;
    for (std::size_t i = 0; i < classes_.size(); ++i) {
        if (rows > 0 && is_over(i, now, state)) remove_from(i, now, rows, state);
        auto const& usage = state.classes[i];
        auto is_known = usage.events == 0 || usage.oldest;
        more = more || is_over(i, now, state) || (now && !is_known);
    }
    return more;
}

void EventWriter::remove_from(std::size_t place, std::optional<WallTime> now, std::int64_t& rows,
                              State& state) {
    auto& usage = state.classes[place];
    auto spare = is_full(place, state) ? spare_of(classes_[place], usage) : 0;
    std::vector<std::pair<std::uint64_t, std::uint64_t>> runs;  // of neighbours, first and last
    auto is_neighbour = false;
    {
        SqliteReset reset{from_};
        from_.bind(1, signed_of(usage.first)).bind(2, rows * kLooksPerRow);
        usage.oldest.reset();
        while (from_.step()) {
            auto offset = number_at(from_, 0);
            usage.first = offset;
            if (classes_.of(from_.text(2)) != place) {
                is_neighbour = false;
                ++usage.first;
                continue;
            }
            usage.oldest = time_at(from_, 1);
            if (rows == 0 || usage.events == 0) break;
            if (!is_over(place, now, state) && spare-- == 0) break;
            usage.oldest.reset();
            --usage.events;
            usage.bytes -= std::min(usage.bytes, number_at(from_, 3));
            usage.removed_upto = std::max(usage.removed_upto, offset);
            ++usage.first;
            --rows;
            if (!std::exchange(is_neighbour, true)) runs.emplace_back(offset, offset);
            runs.back().second = offset;
        }
    }
    for (auto const& [first, last] : runs) remove_run(first, last, state);
    state.is_touched[place] = true;
}

void EventWriter::remove_run(std::uint64_t first, std::uint64_t last, State& state) {
    keep_arrivals(first, last, state);
    remove_.bind(1, signed_of(first)).bind(2, signed_of(last)).run();
    has_removed_ = true;
    SPOKE_FAULT_POINT("store-remove-events");
}

/// What the broker may deliver again is known although it is gone.
void EventWriter::keep_arrivals(std::uint64_t first, std::uint64_t last, State& state) {
    auto old = state.last_offset - std::min(state.last_offset, kArrivalsMin);
    if (last <= old) return;
    keep_arrivals_.bind(1, signed_of(first)).bind(2, signed_of(last)).run();
    SPOKE_FAULT_POINT("store-arrivals");
    // Many at a time: each commit that removes some writes one page more.
    if (old < state.arrivals_from + kArrivalsSpare) return;
    forget_arrivals_.bind(1, signed_of(old)).run();
    state.arrivals_from = old;
}

}  // namespace spoke::bridge
